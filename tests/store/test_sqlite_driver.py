"""SQLite's transactions, whose BEGIN goes along with their first statement, and its write-ahead log."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.store.database import Database
from bot.store.drivers.sqlite import open_connection, use_write_ahead_log

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


@pytest.fixture
def reader(tmp_path: Path) -> sqlite3.Connection:
    """A connection that reads from a file without a write-ahead log, which nobody may switch to one then."""
    reader = sqlite3.connect(tmp_path / "new.db", isolation_level=None)
    reader.execute("CREATE TABLE counted (number INTEGER)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM counted")
    return reader


async def test_a_write_ahead_log_is_begun_once_others_let_it(
    tmp_path: Path, reader: sqlite3.Connection
) -> None:
    async with open_connection(str(tmp_path / "new.db"), timeout=0) as connection:
        switching = asyncio.create_task(use_write_ahead_log(connection, within_s=30.0))
        await asyncio.sleep(0.2)
        assert not switching.done()
        reader.execute("ROLLBACK")
        await switching
    # A connection that reads tells the mode of the file.
    reader.execute("SELECT * FROM counted")
    assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    reader.close()


async def test_a_file_that_others_keep_is_said_to_be_locked(
    tmp_path: Path, reader: sqlite3.Connection
) -> None:
    async with open_connection(str(tmp_path / "new.db"), timeout=0) as connection:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await use_write_ahead_log(connection, within_s=0.1)
    reader.close()
