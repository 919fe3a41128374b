"""Reads where budgets went: the ledger's sums, divided among what happened around a service."""

from collections.abc import Sequence

from bot.budgets.budget import Budget
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Service
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import Span
from bot.clock import Clock
from bot.freezes.explanation_reader import UnknownSloError
from bot.freezes.status import ServiceStatus
from bot.spending.attribution import claims, stretches
from bot.spending.breakdown import SpendingBreakdown, breakdown
from bot.spending.event_reader import ServiceEventReader
from bot.spending.service_events import ServiceEvents
from bot.suggestions import suggest


class SpendingReader:
    """Says what spent budgets. `events` reads what happened around a service."""

    def __init__(self, ledger: Ledger, events: ServiceEventReader, clock: Clock) -> None:
        self.events = events
        self._ledger = ledger
        self._clock = clock

    async def where(self, service: Service, budgets: Sequence[Budget]) -> Sequence[SpendingBreakdown]:
        """Return where each of a service's budgets went; those of which nothing is counted are left out.

        All incidents are named: `as_seen` leaves out what the reader may not know of.
        """
        counted = [(budget, window) for budget in budgets if (window := _window(budget))]
        if not counted:
            return []
        longest = max(service.policy_for(budget.slo).attribute_within for budget, _ in counted)
        start, end = min(window.start for _, window in counted), max(window.end for _, window in counted)
        events = await self.events.read(service, Span(start, end), longest)
        return [await self._breakdown(service, budget, window, events) for budget, window in counted]

    async def _breakdown(
        self, service: Service, budget: Budget, window: Span, events: ServiceEvents
    ) -> SpendingBreakdown:
        within = service.policy_for(budget.slo).attribute_within
        divided = stretches(window, claims(events, window, within))
        spans = [Span(window.start, stretch.end) for stretch, _ in divided]
        if isinstance(budget.slo.sli, DowntimeSli):
            counted = await self._ledger.downtime_counts(budget.slo, spans)
        else:
            counted = await self._ledger.counts(budget.slo, spans, self._clock.now())
        return breakdown(budget, window, divided, [each.bad for each in counted], within)


def chosen_budgets(status: ServiceStatus, slo: str | None) -> Sequence[Budget]:
    """Return a service's budgets, or that of one SLO; raises `UnknownSloError`."""
    if slo is None:
        return status.budgets
    chosen = [budget for budget in status.budgets if budget.slo.name.casefold() == slo.casefold()]
    if not chosen:
        names = [each.name for each in status.service.slos]
        raise UnknownSloError(status.service.name, slo, suggest(slo, names, most=3))
    return chosen


def _window(budget: Budget) -> Span | None:
    """Return the window of which events are counted; None where none are, or no time has passed in it."""
    if budget.as_of is None or budget.events is None or budget.events.total <= 0:
        return None
    window = budget.slo.window.span(budget.as_of)
    return window if window.start < window.end else None
