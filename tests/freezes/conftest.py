"""A real database and a freezer that tells in plain words."""

from collections.abc import Sequence

import pytest

from bot.freezes.hold_registry import HoldRegistry, TransitionContext
from bot.store.database import Database
from bot.store.outbox import OutboxMessage


def plainly(occasion: TransitionContext) -> Sequence[OutboxMessage]:
    """Tell an occasion in both channels by its name alone."""
    what = type(occasion.transition).__name__
    return [OutboxMessage(channel, what, what) for channel in (occasion.service.channel, "#releases")]


@pytest.fixture
def hold_registry(database: Database) -> HoldRegistry:
    return HoldRegistry(database, plainly)
