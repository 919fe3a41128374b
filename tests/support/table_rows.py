"""Rows of any table: what a test or measurement does not say is filled in, as long as usual values are."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, Table

from bot.store.tables.core import Instant
from tests.support.clock import NOW


def filled(table: Table, /, **values: Any) -> dict[str, Any]:
    """Return a row with these values, and some for all other columns that need one."""
    return {
        column.name: values.get(column.name, _usual(column))
        for column in table.columns
        if column.name in values or not (column.nullable or _is_numbered(column))
    }


def _is_numbered(column: Column[Any]) -> bool:
    return column.primary_key and column.name == "id" and isinstance(column.type, BigInteger)


def _usual(column: Column[Any]) -> Any:
    if isinstance(column.type, Instant):
        return NOW
    if isinstance(column.type, JSON):
        return {}
    if isinstance(column.type, Boolean):
        return False
    if isinstance(column.type, Integer | Double):
        return 0
    return "x"
