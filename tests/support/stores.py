"""Fixtures for what must hold on both stores, SQLite and PostgreSQL.

`url` is the address of an empty database, `database` an open one with all tables.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.store.database import SERVER_SETTINGS, Database
from bot.store.migrate import migrate
from bot.store.tables.core import audit
from tests.support.servers import PostgreSQL, running_postgresql

# A loaded machine stops a whole test process for seconds. The replicas in the stories are processes of their
# own and keep the real limit.
SERVER_SETTINGS["idle_in_transaction_session_timeout"] = "60000"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgresql() -> AsyncIterator[PostgreSQL]:
    async with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> PostgreSQL | None:
    """The server that the database needs, if it needs one."""
    if request.param == "sqlite":
        return None
    running: PostgreSQL = request.getfixturevalue("postgresql")
    return running


# What asks for a database with tables. Everything else gets an empty one.
_WITH_TABLES = frozenset({"database", "api_server", "incidents_setup"})


@pytest.fixture
async def url(
    request: pytest.FixtureRequest, server: PostgreSQL | None, tmp_path: Path
) -> AsyncIterator[str]:
    """The address of an empty database, or of one with all tables for a test that asks for it as well."""
    if server is None:
        yield f"sqlite+aiosqlite:///{tmp_path}/governor.db"
    elif _WITH_TABLES.isdisjoint(request.fixturenames):
        address = await server.new_database()
        yield address
        # Hundreds of databases would fill a disk, and take a minute to delete at the end.
        await server.drop(address)
    else:
        address = await server.take_database(migrated)
        yield address
        await server.give_back(address)


async def migrated(address: str) -> None:
    """Create all tables in the database of an address."""
    async with Database(address) as database:
        await migrate(database)


async def create_tables(database: Database) -> None:
    """Create all tables; where the file of SQLite is new, as a copy of one that has them."""
    if database.file is None or database.file.path.exists():
        await migrate(database)
    else:
        database.file.path.write_bytes(await file_with_tables())


_FILES: list[bytes] = []


async def file_with_tables() -> bytes:
    """Return what SQLite's file contains once all tables were created in it; that is done once."""
    if not _FILES:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "governor.db"
            await migrated(f"sqlite+aiosqlite:///{path}")
            _FILES.append(path.read_bytes())
    return _FILES[0]


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """An open database with all tables."""
    async with Database(url) as database:
        await create_tables(database)
        yield database


async def rows_of_audit(database: Database) -> list[str]:
    """Return the subjects in the audit log, oldest first."""
    async with database.reading() as connection:
        return list(await connection.scalars(select(audit.c.subject).order_by(audit.c.id)))
