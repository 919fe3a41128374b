"""Requests that were carried out, and conditions that were told: each once, whichever replica is asked."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.replicas import conditions, requests

MOST_ID = 200
"""How long a request's id may be."""

_KEPT = timedelta(days=2)


async def is_first(database: Database, connection: AsyncConnection, request: str, now: datetime) -> bool:
    """Remember the request within the caller's transaction; return whether it comes for the first time."""
    statement = database.insert(requests).values(id=request[:MOST_ID], at=now).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1


async def forget(database: Database, request: str) -> None:
    """Let a request that failed be made again."""
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(delete(requests).where(requests.c.id == request[:MOST_ID]))


async def forget_old(database: Database, now: datetime) -> None:
    """Drop requests that nobody repeats any more."""
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(delete(requests).where(requests.c.at < now - _KEPT))


async def begins(database: Database, connection: AsyncConnection, condition: str, now: datetime) -> bool:
    """Note within the caller's transaction that a condition holds; return whether that is new."""
    statement = database.insert(conditions).values(name=condition, since=now).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1


async def ends(connection: AsyncConnection, condition: str) -> bool:
    """Note within the caller's transaction that a condition is over; return whether it held."""
    gone = await connection.execute(delete(conditions).where(conditions.c.name == condition))
    return gone.rowcount == 1


async def lasts(connection: AsyncConnection, condition: str) -> bool:
    """Return whether a condition was told as begun and not as over."""
    query = select(conditions.c.name).where(conditions.c.name == condition)
    return (await connection.execute(query)).first() is not None


async def lasting(connection: AsyncConnection, prefix: str) -> frozenset[str]:
    """Return the conditions whose names begin so and that were told as begun and not as over."""
    query = select(conditions.c.name).where(conditions.c.name.startswith(prefix, autoescape=True))
    return frozenset((await connection.execute(query)).scalars())
