"""Deletes the windows that people planned and that have been over for long."""

from datetime import datetime, timedelta

from sqlalchemy import delete

from bot.catalog.catalog import Catalog
from bot.freezes.calendar.occurrences import next_occurrence
from bot.freezes.calendar.schedules import read_planned
from bot.store.database import Database
from bot.store.retention.rules import HISTORY
from bot.store.tables.freeze_schedules import freeze_schedules


async def delete_past_windows(database: Database, catalog: Catalog, now: datetime) -> None:
    """Delete the windows whose last occurrence ended longer ago than history is kept."""
    async with database.reading() as connection:
        windows = {planned.id: planned.window(catalog) for planned in await read_planned(connection)}
    past = [
        id_
        for id_, window in windows.items()
        if next_occurrence(window, _saturated(now, HISTORY + window.duration)) is None
    ]
    if past:
        async with database.transaction(in_turn=False) as connection:
            await connection.execute(delete(freeze_schedules).where(freeze_schedules.c.id.in_(past)))


def _saturated(now: datetime, ago: timedelta) -> datetime:
    """Return the time so long ago; windows may be as long as a person may write."""
    return now - min(ago, timedelta(days=10_000))
