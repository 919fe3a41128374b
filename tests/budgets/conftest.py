"""The ledger on both stores."""

from collections.abc import AsyncIterator

import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.store.database import Database
from bot.store.tables.core import metadata


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        async with database.transaction() as connection:
            await connection.run_sync(metadata.create_all)
        yield database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
