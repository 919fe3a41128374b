"""Reads how fast a flag's services burn since a change, with the counts that the guard's test needs."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from bot.budgets.budget import Budget, EventCounts
from bot.budgets.change_counts import ChangeCounts
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import OnUndecided
from bot.catalog.slo import DowntimeSli, Slo
from bot.flags.guard import BurnReading, ChangeTest
from bot.flags.ownership import LatestBudgets, is_measured, reading_name, readings

CountChange = Callable[[Slo, datetime, timedelta, datetime | None], Awaitable[ChangeCounts]]
"""Returns the events of an SLO around a change, with those of the newest length apart, up to a time."""


class ChangeReadings:
    """Reads burn rates around a change. `latest` returns a service's budgets as of its last evaluation."""

    def __init__(self, latest: LatestBudgets, count: CountChange) -> None:
        self._latest = latest
        self._count = count

    async def since(
        self, services: Sequence[Service], changed_at: datetime | None
    ) -> Sequence[BurnReading] | None:
        """Return how fast each SLO burns since the change; None before a service's first evaluation.

        Without a change the burn rates are those of now.
        """
        if changed_at is None:
            return readings(services, self._latest)
        found: list[BurnReading] = []
        for service in services:
            budgets = self._latest(service.name)
            if budgets is None:
                return None
            for budget in budgets:
                name = reading_name(service, budget, services)
                found.append(await self._reading(service, budget, name, changed_at))
        return found

    async def _reading(
        self, service: Service, budget: Budget, name: str, changed_at: datetime
    ) -> BurnReading:
        slo, guard = budget.slo, service.policy_for(budget.slo).guard
        if isinstance(slo.sli, DowntimeSli):
            burn = float(budget.burn.get(guard.over) or 0) if is_measured(budget) else None
            return BurnReading(name, burn, guard.over)
        counts = await self._count(slo, changed_at, guard.over, budget.as_of)
        allowed = float(1 - slo.objective)
        test = ChangeTest(
            service.name,
            allowed,
            _plausible(counts.before),
            _plausible(counts.since),
            budget.as_of,
            float(guard.alpha),
            holds=guard.on_undecided is OnUndecided.HOLD,
        )
        recent = _plausible(counts.recent)
        burn = recent.bad / recent.total / allowed if recent.total > 0 else 0.0
        elapsed = timedelta(0) if budget.as_of is None else budget.as_of - changed_at
        window = min(guard.over, max(elapsed, timedelta(seconds=1)))
        return BurnReading(name, burn if is_measured(budget) else None, window, test)


def _plausible(counted: EventCounts) -> EventCounts:
    """Return counts within their limits, which rounding may have passed."""
    total = max(0.0, counted.total)
    return EventCounts(min(max(0.0, counted.bad), total), total)
