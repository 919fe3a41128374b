"""Named conditions that are active for a while, such as faults in the policies.

They are in the database, so that of several replicas that notice the begin or the end only one announces it.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.replicas import conditions
from bot.store.value_lists import begins_with


async def begin_condition(
    database: Database, connection: AsyncConnection, condition: str, now: datetime
) -> bool:
    """Record within the caller's transaction that a condition is active; return whether that is new."""
    statement = database.insert(conditions).values(name=condition, since=now).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1


async def end_condition(connection: AsyncConnection, condition: str) -> bool:
    """Record within the caller's transaction that a condition is over; return whether it was active."""
    deleted = await connection.execute(delete(conditions).where(conditions.c.name == condition))
    return deleted.rowcount == 1


async def is_active(connection: AsyncConnection, condition: str) -> bool:
    """Return whether a condition has begun and not ended."""
    query = select(conditions.c.name).where(conditions.c.name == condition)
    return (await connection.execute(query)).first() is not None


async def active_conditions(connection: AsyncConnection, prefix: str) -> frozenset[str]:
    """Return the names of the active conditions that begin with `prefix`."""
    query = select(conditions.c.name).where(begins_with(conditions.c.name, prefix))
    return frozenset((await connection.execute(query)).scalars())
