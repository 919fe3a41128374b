"""Tasks are tested on tables that the migrations made."""

from collections.abc import AsyncIterator

import pytest

from bot.store.database import Database
from bot.store.migrate import migrate


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        await migrate(database)
        yield database
