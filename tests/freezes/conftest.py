"""A hold registry that announces transitions by their name."""

from collections.abc import Sequence

import pytest

from bot.freezes.hold_registry import HoldRegistry, TransitionContext
from bot.store.database import Database
from bot.store.outbox import OutboxMessage


def plainly(context: TransitionContext) -> Sequence[OutboxMessage]:
    """Announce a transition in both channels by its class's name."""
    name = type(context.transition).__name__
    return [OutboxMessage(channel, name, name) for channel in (context.service.channel, "#releases")]


@pytest.fixture
def hold_registry(database: Database) -> HoldRegistry:
    return HoldRegistry(database, plainly)
