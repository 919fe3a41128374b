"""Fixtures for what must hold on both stores: `url` is the address of an empty database, once on each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.servers import PostgreSQL, running_postgresql


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
async def url(server: PostgreSQL | None, tmp_path: Path) -> str:
    """The address of an empty database."""
    return f"sqlite+aiosqlite:///{tmp_path}/governor.db" if server is None else await server.new_database()
