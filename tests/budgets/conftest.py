"""The ledger on both stores."""

import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.store.database import Database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
