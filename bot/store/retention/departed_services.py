"""Remembers since when services are missing from the policies: what is theirs goes some time later."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update

from bot.store.database import Database
from bot.store.tables.readiness import known_services
from bot.store.value_lists import is_one_of

_AT_ONCE = 250


async def note_departed(database: Database, services: Collection[str], now: datetime) -> None:
    """Record which of the known services are not among these, and forget it of those that are back."""
    columns = known_services.c
    async with database.reading() as connection:
        rows = (await connection.execute(select(columns.service, columns.gone_at))).all()
    # The row without a name is no service, see `known_services`.
    gone = [
        row.service for row in rows if row.service and row.gone_at is None and row.service not in services
    ]
    back = [row.service for row in rows if row.gone_at is not None and row.service in services]
    for names, gone_at in ((gone, now), (back, None)):
        for first in range(0, len(names), _AT_ONCE):
            are_they = is_one_of(columns.service, names[first : first + _AT_ONCE])
            async with database.transaction(in_turn=False) as connection:
                await connection.execute(update(known_services).where(are_they).values(gone_at=gone_at))
