"""Ids of requests that were carried out: a repeated request does nothing, whichever replica it reaches."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.replicas import requests

MOST_ID = 200
"""The longest request id that is stored; longer ones are cut to it."""


async def is_first(database: Database, connection: AsyncConnection, request: str, now: datetime) -> bool:
    """Record the request within the caller's transaction; return whether it comes for the first time."""
    statement = database.insert(requests).values(id=request[:MOST_ID], at=now).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1


async def forget(database: Database, request: str) -> None:
    """Delete the record of a request that failed, so that it can be repeated."""
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(delete(requests).where(requests.c.id == request[:MOST_ID]))
