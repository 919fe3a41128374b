"""The flags as the bot last saw them."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.flag import FlagState, state_as_json, state_from_json
from bot.store.database import Database
from bot.store.tables.flags import flag_sightings as rows


async def record_seen(
    connection: AsyncConnection, database: Database, state: FlagState, now: datetime
) -> None:
    """Store the flag's state as the last one that was seen."""
    values = {"version": state.version, "state": state_as_json(state), "seen_at": now}
    await connection.execute(
        database.insert(rows)
        .values(flag=state.flag, environment=state.environment, **values)
        .on_conflict_do_update(index_elements=["flag", "environment"], set_=values)
    )


async def last_seen(
    connection: AsyncConnection, flag: str, environment: str
) -> tuple[FlagState, datetime] | None:
    """Return the flag's state as it was last seen, and when; None before the first time."""
    query = select(rows).where(rows.c.flag == flag, rows.c.environment == environment)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (state_from_json(row.state), row.seen_at)
