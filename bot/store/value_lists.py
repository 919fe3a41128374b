"""Conditions on values that both databases take the same way and find by an index.

An `IN` with a place for each value is another statement for each number of values, and every connection
prepares and keeps each of them. SQLite's `LIKE` takes capital letters for small ones.
"""

import json
import sys
from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, String, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

Values = Collection[int] | Collection[str]

_LAST_CHARACTER = chr(sys.maxunicode)


def is_one_of(column: ColumnElement[Any], values: Values) -> ColumnElement[bool]:
    """Return the condition that a column of whole numbers or of texts has one of the values."""
    return _IsOneOf(column, bindparam("values", values, type_=_list_of(column), unique=True))


def is_one_of_parameter(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the same condition for a statement that is built once and given its values when executed."""
    return _IsOneOf(column, bindparam(name, type_=_list_of(column)))


def begins_with(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with a text, in the same capital and small letters."""
    return _BeginsWith(
        # SQLite compares the bytes of UTF-8.
        (column >= text) & (column < f"{text}{_LAST_CHARACTER}"),
        column.startswith(text, autoescape=True),
    )


class _ValueList(TypeDecorator[Values]):
    """One parameter for all values: an array for PostgreSQL, a text of JSON for SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(self.item))

    def process_bind_param(self, value: Values | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return json.dumps(values) if dialect.name == "sqlite" else values


class _Condition(FunctionElement[bool]):
    """A condition that each database has in words of its own."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Return the condition as it is: compared with 1, as SQLite's booleans are, it uses no index."""
        del against
        return self


class _IsOneOf(_Condition):
    name = "is_one_of"
    inherit_cache = True


def _list_of(column: ColumnElement[Any]) -> _ValueList:
    return _ValueList(BigInteger() if issubclass(column.type.python_type, int) else String())


@compiles(_IsOneOf, "sqlite")
def _in_json(element: _IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - a column and a parameter's place


@compiles(_IsOneOf, "postgresql")
def _in_array(element: _IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({values})"


class _BeginsWith(_Condition):
    """Two conditions: SQLite's, and that of databases whose `LIKE` tells capital from small letters."""

    name = "begins_with"
    inherit_cache = True


@compiles(_BeginsWith, "sqlite")
def _in_range(element: _BeginsWith, compiler: SQLCompiler, **options: Any) -> str:
    in_range, _ = element.clauses
    return f"({compiler.process(in_range, **options)})"


@compiles(_BeginsWith, "postgresql")
def _is_like(element: _BeginsWith, compiler: SQLCompiler, **options: Any) -> str:
    _, is_like = element.clauses
    return f"({compiler.process(is_like, **options)})"
