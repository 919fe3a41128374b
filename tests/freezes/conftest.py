"""A judge of budgets and a hold registry that announce the names of transitions."""

from collections.abc import Sequence

import pytest

from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.hold_writer import TransitionContext
from bot.store.database import Database
from bot.store.outbox import OutboxMessage


def announce_name(context: TransitionContext) -> Sequence[OutboxMessage]:
    """Announce a transition by its name alone, in both channels."""
    name = type(context.transition).__name__
    return [OutboxMessage(channel, name, name) for channel in (context.service.channel, "#releases")]


@pytest.fixture
def hold_registry(database: Database) -> HoldRegistry:
    return HoldRegistry(database, announce_name)


@pytest.fixture
def judge(database: Database) -> BudgetJudge:
    return BudgetJudge(database, announce_name)
