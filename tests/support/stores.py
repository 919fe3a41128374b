"""Fixtures for what must hold on both stores, SQLite and PostgreSQL.

`url` is the address of an empty database, `database` an open one with all tables.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from bot.store.database import SERVER_SETTINGS, Database
from bot.store.tables.core import audit, metadata
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


@pytest.fixture
async def url(server: PostgreSQL | None, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty database."""
    if server is None:
        yield f"sqlite+aiosqlite:///{tmp_path}/governor.db"
        return
    address = await server.new_database()
    yield address
    # Hundreds of databases would fill a disk, and take a minute to delete at the end.
    await server.drop(address)


async def create_tables(database: Database) -> None:
    """Create all tables as they are declared, which is quicker than by migrations."""
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all, checkfirst=False)


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
