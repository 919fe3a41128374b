# ruff: noqa: PTH105, PTH110, ASYNC240 - a file is moved under the running program, as an operator would
"""A database that cannot be used: each cause is told apart from a faulty statement, on both stores."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from bot.store import database as database_module
from bot.store.database import Database
from bot.store.health.errors import (
    DatabaseDamagedError,
    DatabaseFileLostError,
    SchemaTooNewError,
    unavailable_reason,
)
from bot.store.migrate import migrate
from bot.store.startup import check_before_use
from bot.store.tables.replicas import conditions
from bot.store.write_probe import WriteProbe
from tests.support.clock import NOW
from tests.support.servers import PostgreSQL


async def write(database: Database, name: str = "written") -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(conditions).values(name=name, since=NOW))


async def reason(database: Database) -> str | None:
    """Return why a write fails now, None if it succeeds."""
    try:
        await write(database)
    except Exception as error:
        found = unavailable_reason(error)
        if found is None:
            raise
        return found
    return None


@asynccontextmanager
async def sqlite(path: Path, *pragmas: str) -> AsyncIterator[Database]:
    """Open a database whose connections begin with these pragmas."""
    async with Database(f"sqlite+aiosqlite:///{path}") as database:

        def begin(connection: Any, _record: object) -> None:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

        event.listen(database.engine.sync_engine, "connect", begin)
        yield database


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """The file of a database that is closed again."""
    path = tmp_path / "governor.db"
    async with sqlite(path) as database:
        await migrate(database)
    return path


async def test_a_full_disk_is_said_by_every_write_and_by_readiness(path: Path) -> None:
    pages = sqlite3.connect(path).execute("PRAGMA page_count").fetchone()[0]
    async with sqlite(path, f"max_page_count={pages}") as database:
        full = "the disk of the database is full"
        large = insert(conditions).values(name="x" * 90, since=NOW)
        with pytest.raises(Exception, match="full") as caught:  # noqa: PT012 - a page more, however it is filled
            async with database.transaction() as connection:
                await connection.exec_driver_sql("CREATE TABLE filler (what TEXT)")
                await connection.execute(large)
        assert unavailable_reason(caught.value) == full


async def test_a_locked_database_is_said_and_works_again_afterwards(path: Path) -> None:
    async with sqlite(path, "busy_timeout=20") as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        probe = WriteProbe(database)
        await probe.attempt()
        assert probe.problem == await reason(database) == "the database is locked by another program"
        other.execute("ROLLBACK")
        await probe.attempt()
        assert probe.problem is None
        assert await reason(database) is None
        other.close()


async def test_a_read_only_database_is_said(path: Path) -> None:
    async with sqlite(path, "query_only=1") as database:
        probe = WriteProbe(database)
        await probe.attempt()
        assert probe.problem == await reason(database) == "the database is read-only"


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_is_gone_takes_no_write_until_it_is_back(path: Path, how: str) -> None:
    async with sqlite(path) as database:
        await write(database, "before")
        aside = path.with_name("aside.db")
        os.replace(path, aside)
        if how == "replaced":
            async with sqlite(path.with_name("restored.db")) as other:
                await migrate(other)
            os.replace(path.with_name("restored.db"), path)
        with pytest.raises(DatabaseFileLostError, match="was deleted or replaced"):
            await write(database, "lost")
        probe = WriteProbe(database)
        assert "deleted or replaced" in str(probe.problem)
        await probe.attempt()
        # What was written before can still be read and saved; no new file comes into being.
        async with database.reading() as connection:
            names = list(await connection.scalars(text("SELECT name FROM conditions")))
        assert names == ["before"]
        assert os.path.exists(path) == (how == "replaced")
        os.replace(aside, path)
        await probe.attempt()
        assert probe.problem is None
        await write(database, "after")


async def test_a_file_that_goes_within_a_transaction_keeps_nothing_of_it(path: Path) -> None:
    async with sqlite(path) as database:
        with pytest.raises(DatabaseFileLostError):  # noqa: PT012 - it goes in the midst
            async with database.transaction() as connection:
                await connection.execute(insert(conditions).values(name="x", since=NOW))
                os.replace(path, path.with_name("aside.db"))
        async with database.reading() as connection:
            assert list(await connection.scalars(text("SELECT name FROM conditions"))) == []


async def test_an_exhausted_pool_is_said(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_POOL_TIMEOUT_S", 0.05)
    async with Database(database.url) as small, AsyncExitStack() as stack:
        for _ in range(15):
            await stack.enter_async_context(small.reading())
        assert await reason(small) == "too many requests wait for the database"


async def test_a_turn_that_does_not_come_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_TURN_TIMEOUT_S", 0.05)
    async with sqlite(path) as database, database.transaction():
        assert await reason(database) == "the database is busy or locked"


async def test_a_faulty_statement_is_no_matter_of_the_database(database: Database) -> None:
    await write(database, "once")
    for statement in ("INSERT INTO conditions (name, since) VALUES ('once', 1)", "SELECT * FROM nothing"):
        with pytest.raises(Exception, match=r".") as caught:
            async with database.transaction() as connection:
                await connection.execute(text(statement))
        assert unavailable_reason(caught.value) is None


async def test_a_postgresql_that_stops_or_is_full_or_read_only_is_said(postgresql: PostgreSQL) -> None:
    url = await postgresql.new_database()
    name = url.rpartition("/")[2]
    async with Database(url) as database:
        await migrate(database)
        async with database.reading() as connection:
            await connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
            await connection.commit()
        await database.engine.dispose()
        assert await reason(database) == "the database is read-only"
        async with database.reading() as connection:
            await connection.execute(text("SET transaction_read_only = off"))
            await connection.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
            await connection.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT 0"))
            await connection.commit()
    for state, said in {"53100": "full", "57P01": "stopped", "08006": "does not answer"}.items():
        async with Database(await postgresql.new_database()) as database, database.reading() as connection:
            with pytest.raises(Exception, match=state) as caught:
                await connection.execute(
                    text(f"DO $$ BEGIN RAISE '{state}' USING ERRCODE = '{state}'; END $$")
                )
            assert said in str(unavailable_reason(caught.value))


async def test_tables_of_a_newer_program_are_not_touched(database: Database) -> None:
    await migrate(database)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="at version 9999, and this program knows versions up to"):
        await migrate(database)


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4_096 * 3 : 4_096 * 5] = os.urandom(4_096 * 2)
    path.write_bytes(content)


async def test_a_damaged_file_is_not_started_upon(path: Path) -> None:
    damage_pages(path)
    async with sqlite(path) as database:
        with pytest.raises(DatabaseDamagedError, match="the database's file is damaged"):
            await check_before_use(database)


async def test_a_whole_file_and_a_new_one_pass(path: Path, tmp_path: Path) -> None:
    for file in (path, tmp_path / "new.db"):
        async with sqlite(file) as database:
            assert await check_before_use(database) is None
