"""Channels whose digests are paused, as rows. Functions run in their caller's transaction."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.digests import digest_pauses

_COLUMNS = digest_pauses.c


@dataclass(frozen=True, slots=True)
class DigestPause:
    """Who paused a channel's digests, and until when; None: until somebody resumes them."""

    by: str
    since: datetime
    until: datetime | None


async def find(connection: AsyncConnection, channel: str, now: datetime) -> DigestPause | None:
    """Return the pause of a channel that lasts; None without one."""
    query = select(digest_pauses).where(_COLUMNS.channel == channel)
    row = (await connection.execute(query)).one_or_none()
    if row is None or (row.until is not None and row.until <= now):
        return None
    return DigestPause(row.by, row.since, row.until)


async def is_paused(connection: AsyncConnection, channel: str, now: datetime) -> bool:
    """Return whether a channel's digests are paused."""
    return await find(connection, channel, now) is not None


async def pause(database: Database, connection: AsyncConnection, channel: str, paused: DigestPause) -> None:
    """Pause a channel's digests, or change until when they are."""
    values = {"by": paused.by, "since": paused.since, "until": paused.until}
    insertion = database.insert(digest_pauses).values(channel=channel, **values)
    await connection.execute(insertion.on_conflict_do_update(index_elements=["channel"], set_=values))


async def resume(connection: AsyncConnection, channel: str) -> None:
    """End the pause of a channel's digests, if there is one."""
    await connection.execute(delete(digest_pauses).where(_COLUMNS.channel == channel))
