"""SQLite's transactions, whose BEGIN goes along with their first statement."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.store.database import Database

_COUNT = text("SELECT count(*) FROM counted")
_INSERT = text("INSERT INTO counted VALUES (1)")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE counted (number INTEGER)"))
        yield database


async def insert(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(_INSERT)


async def count(database: Database) -> int:
    async with database.reading() as connection:
        return int((await connection.execute(_COUNT)).scalar_one())


async def test_a_reader_sees_one_snapshot_from_its_first_statement_on(database: Database) -> None:
    async with database.reading() as connection:
        before = (await connection.execute(_COUNT)).scalar_one()
        await insert(database)
        assert (await connection.execute(_COUNT)).scalar_one() == before == 0
    assert await count(database) == 1


async def test_what_a_reader_writes_is_discarded(database: Database) -> None:
    async with database.reading() as connection:
        await connection.execute(_INSERT)
        assert (await connection.execute(_COUNT)).scalar_one() == 1
    assert await count(database) == 0


async def test_many_rows_that_a_reader_writes_at_once_are_discarded(database: Database) -> None:
    async with database.reading() as connection:
        await connection.execute(text("INSERT INTO counted VALUES (:number)"), [{"number": 1}, {"number": 2}])
    assert await count(database) == 0


@pytest.mark.parametrize("end", ["rollback", "commit"])
async def test_a_transaction_without_a_statement_leaves_nothing_behind(database: Database, end: str) -> None:
    async with database.engine.connect() as connection:
        transaction = await connection.begin()
        await getattr(transaction, end)()
        # The next transaction of the same connection begins anew.
        await connection.execute(_INSERT)
        await connection.rollback()
    assert await count(database) == 0
    await insert(database)
    assert await count(database) == 1


async def test_a_first_statement_that_fails_leaves_no_transaction_open(database: Database) -> None:
    with pytest.raises(Exception, match="no such table"):
        async with database.reading() as connection:
            await connection.execute(text("SELECT * FROM missing"))
    await insert(database)
    assert await count(database) == 1
