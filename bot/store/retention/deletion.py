"""Deletes what has expired: looks for it without locks, then deletes it in small transactions.

SQLite has one writer: a transaction that deletes a day's rows at once would keep every command waiting.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Table, delete, select, tuple_

from bot.store.database import Database
from bot.store.retention.rules import RULES

log = structlog.get_logger(__name__)

ROWS_AT_ONCE: Final = 250
"""How many rows one transaction deletes: a few milliseconds' work."""
_FOUND_AT_ONCE: Final = 5_000


async def delete_expired(database: Database, now: datetime, *, only: Collection[Table] | None = None) -> None:
    """Delete the expired rows of all tables, or `only` of some."""
    for table, rule in RULES.items():
        if rule.expired is not None and (only is None or table in only):
            await delete_rows(database, table, rule.expired(now))


async def delete_rows(database: Database, table: Table, expired: ColumnElement[bool]) -> int:
    """Delete the rows of a table that have expired; return how many."""
    deleted, query = 0, select(*table.primary_key.columns).where(expired).limit(_FOUND_AT_ONCE)
    while True:
        async with database.reading() as connection:
            found = (await connection.execute(query)).all()
        for first in range(0, len(found), ROWS_AT_ONCE):
            few = _are(table, found[first : first + ROWS_AT_ONCE])
            async with database.transaction(in_turn=False) as connection:
                # Some may be in use again since they were found.
                deleted += (await connection.execute(delete(table).where(few, expired))).rowcount
        if len(found) < _FOUND_AT_ONCE:
            break
    if deleted:
        log.info("expired_rows_deleted", table=table.name, rows=deleted)
    return deleted


def _are(table: Table, keys: Sequence[Sequence[Any]]) -> ColumnElement[bool]:
    columns = list(table.primary_key.columns)
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_([tuple(key) for key in keys])
