"""Reading is from one snapshot, and a writer sees what was committed before its turn, on both databases."""

import asyncio

from sqlalchemy import func, insert, select

from bot.store.database import Database
from bot.store.tables.core import holds
from tests.support.clock import NOW

HOLD = {"service": "checkout", "kind": "person", "reason": "migration", "by": "U0DANA", "since": NOW}
COUNT = select(func.count()).select_from(holds)


async def place(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(holds).values(HOLD))


async def test_what_is_committed_while_somebody_reads_is_not_seen_by_them(database: Database) -> None:
    async with database.reading() as connection:
        seen = [await connection.scalar(COUNT)]
        await place(database)
        seen.append(await connection.scalar(COUNT))
    assert seen == [0, 0]
    async with database.reading() as connection:
        assert await connection.scalar(COUNT) == 1


async def test_a_writer_sees_what_was_committed_while_it_waited_for_its_turn(database: Database) -> None:
    # Connections that were read from before: nothing of that may be left.
    async with database.reading() as one, database.reading() as other:
        for connection in (one, other):
            await connection.scalar(COUNT)
    has_turn, seen = asyncio.Event(), []

    async def wait_and_count() -> None:
        await has_turn.wait()
        async with database.transaction() as connection:
            seen.append(await connection.scalar(COUNT))

    async with asyncio.TaskGroup() as group:
        group.create_task(wait_and_count())
        async with database.transaction() as connection:
            has_turn.set()
            await asyncio.sleep(0.2)
            await connection.execute(insert(holds).values(HOLD))
    assert seen == [1]
