"""The ledger on both stores, and the servers that the tests of one session share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.budgets.ledger import Ledger
from bot.store.database import Database
from bot.store.tables import metadata
from tests.servers import PostgreSQL, running_postgresql


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgresql() -> AsyncIterator[PostgreSQL]:
    async with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> PostgreSQL | None:
    """The server of the store under test; None for SQLite, which has none."""
    if request.param == "sqlite":
        return None
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server


@pytest.fixture
async def database(store: PostgreSQL | None, tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{tmp_path}/governor.db" if store is None else await store.new_database()
    async with Database(url) as database:
        async with database.transaction() as connection:
            await connection.run_sync(metadata.create_all)
        yield database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
