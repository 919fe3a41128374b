"""Reads how fast a flag's services burn since a change, with the counts that the guard's test needs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.budgets.budget import Budget, EventCounts
from bot.budgets.change_counts import ChangeCounts
from bot.budgets.variant_counts import NoVariantsError, VariantCounts
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import CanaryGuard, OnUndecided
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.variants import Variants
from bot.flags.guard import BurnReading, ChangeTest
from bot.flags.ownership import LatestBudgets, is_measured, reading_name, readings
from bot.flags.variant_test import VariantTest

CountChange = Callable[[Slo, datetime, timedelta, datetime | None], Awaitable[ChangeCounts]]
"""Returns the events of an SLO around a change, with those of the newest length apart, up to a time."""

CountByVariant = Callable[[Slo, Variants, datetime, timedelta, datetime | None], Awaitable[VariantCounts]]
"""Returns the events of an SLO since a change by variant, up to a time; raises `NoVariantsError`."""


class ChangeReadings:
    """Reads burn rates around a change. `latest` returns a service's budgets as of its last evaluation."""

    def __init__(self, latest: LatestBudgets, count: CountChange, count_by_variant: CountByVariant) -> None:
        self._latest = latest
        self._count = count
        self._count_by_variant = count_by_variant

    async def since(
        self, services: Sequence[Service], changed_at: datetime | None, flag: str
    ) -> Sequence[BurnReading] | None:
        """Return how fast each SLO burns since the flag's change; None before a service's first evaluation.

        Without a change the burn rates are those of now. Where the policy names variants, the burn rate is
        that of requests with the flag on, to be compared with all others, as far as they can be told apart.
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
                variants = service.variants_of(flag)
                found.append(await self._reading(service, budget, name, changed_at, variants))
        return found

    async def _reading(
        self, service: Service, budget: Budget, name: str, changed_at: datetime, variants: Variants | None
    ) -> BurnReading:
        slo, guard = budget.slo, service.policy_for(budget.slo).guard
        if isinstance(slo.sli, DowntimeSli):
            burn = float(budget.burn.get(guard.over) or 0) if is_measured(budget) else None
            return BurnReading(name, burn, guard.over)
        no_variants = ""
        if variants is not None:
            try:
                by_variant = await self._count_by_variant(slo, variants, changed_at, guard.over, budget.as_of)
            except NoVariantsError as error:
                no_variants = str(error)
            else:
                reading = BurnReading(name, None, guard.over, _variant_test(budget, guard, by_variant))
                return _burning(reading, budget, changed_at, by_variant.recent)
        counts = await self._count(slo, changed_at, guard.over, budget.as_of)
        test = ChangeTest(
            slo.service,
            float(1 - slo.objective),
            _plausible(counts.before),
            _plausible(counts.since),
            budget.as_of,
            float(guard.alpha),
            holds=guard.on_undecided is OnUndecided.HOLD,
            no_variants=no_variants,
        )
        return _burning(BurnReading(name, None, guard.over, test), budget, changed_at, counts.recent)


def _variant_test(budget: Budget, guard: CanaryGuard, counts: VariantCounts) -> VariantTest:
    return VariantTest(
        budget.slo.service,
        float(1 - budget.slo.objective),
        _plausible(counts.on),
        _plausible(counts.off),
        counts.buckets,
        budget.as_of,
        float(guard.alpha),
        holds=guard.on_undecided is OnUndecided.HOLD,
    )


def _burning(reading: BurnReading, budget: Budget, changed_at: datetime, counted: EventCounts) -> BurnReading:
    """Return a reading with the burn rate of what was `counted` newest since a change."""
    elapsed = timedelta(0) if budget.as_of is None else budget.as_of - changed_at
    window = min(reading.window, max(elapsed, timedelta(seconds=1)))
    if reading.test is None or not is_measured(budget):
        return replace(reading, window=window)
    recent = _plausible(counted)
    burn = recent.bad / recent.total / reading.test.allowed if recent.total > 0 else 0.0
    return replace(reading, burn=burn, window=window)


def _plausible(counted: EventCounts) -> EventCounts:
    """Return counts within their limits, which rounding may have passed."""
    total = max(0.0, counted.total)
    return EventCounts(min(max(0.0, counted.bad), total), total)
