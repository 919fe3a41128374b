"""When a budget's hold ends: what is left now, what it takes, and when that is expected. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.budgets.budget import Budget
from bot.catalog.error_budget_policy import ErrorBudgetPolicy


@dataclass(frozen=True, slots=True)
class LackingBudget:
    """A budget that keeps the hold: less than `level` (a fraction) is left, or it is not known."""

    budget: Budget
    level: Decimal


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to end a budget's hold.

    `dwell` is how long all budgets must stay at their level, `since` since when all of them are there;
    `expected_at` is None where it cannot be told, or does not come within a window at the present burn.
    """

    lacking: tuple[LackingBudget, ...]
    dwell: timedelta
    since: datetime | None
    expected_at: datetime | None


def opening_of(
    judged: Sequence[tuple[Budget, ErrorBudgetPolicy]],
    recoveries: Mapping[str, datetime | None],
    recovered_since: datetime | None,
    now: datetime,
) -> Opening:
    """Return what it takes, by the rules of `decision.py`.

    `recoveries` are the times at which budgets are expected to be at their level again, by the name of the
    SLO; `recovered_since` is since when the last evaluation saw all of them there.
    """
    dwell = max((policy.dwell for _, policy in judged), default=timedelta(0))
    lacking = tuple(
        LackingBudget(budget, policy.unfreeze_at)
        for budget, policy in judged
        if not budget.is_known or (budget.remaining is not None and budget.remaining < policy.unfreeze_at)
    )
    if not lacking:
        since = min(recovered_since or now, now)
        return Opening((), dwell, since, max(since + dwell, now))
    expected = [recoveries.get(lack.budget.slo.name) for lack in lacking]
    known = [at for at in expected if at is not None]
    complete = len(known) == len(expected)
    return Opening(lacking, dwell, None, max(known) + dwell if complete else None)
