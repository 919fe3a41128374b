"""Reads how far goals have come, from the ledger and the deployments."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.budgets.budget import EventCounts
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Catalog
from bot.catalog.goal import Goal
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.velocity.goals.progress import GoalProgress, progress
from bot.velocity.reader import VelocityReader
from bot.velocity.scope import goal_scope


class GoalReader:
    """Reads goals. What is not in the catalog (any more) counts as unknown."""

    def __init__(self, ledger: Ledger, velocity: VelocityReader) -> None:
        self._ledger = ledger
        self._velocity = velocity

    async def current(self, catalog: Catalog, now: datetime) -> Sequence[GoalProgress]:
        """Return the goals whose time it is, those that end first before the others."""
        terms = {goal.name: goal.term(now).span for goal in catalog.goals.values()}
        current = [each for each in catalog.goals.values() if _contains(terms[each.name], now)]
        ordered = sorted(current, key=lambda goal: (terms[goal.name].end, goal.name))
        return [await self.progress(catalog, goal, now) for goal in ordered]

    async def progress(self, catalog: Catalog, goal: Goal, now: datetime) -> GoalProgress:
        """Return how far a goal has come, or how it ended."""
        term = goal.term(now).span
        span = Span(term.start, min(now, term.end))
        if span.start >= span.end:
            return progress(goal, None, {}, now)
        measures = await self._velocity.measures(goal_scope(catalog, goal), span)
        return progress(goal, measures, await self._counts(catalog, goal, span, now), now)

    async def _counts(
        self, catalog: Catalog, goal: Goal, span: Span, now: datetime
    ) -> Mapping[str, EventCounts]:
        wanted = {target.key for target in goal.reliability}
        counts: dict[str, EventCounts] = {}
        for slo in (each for each in catalog.slos if each.key in wanted):
            (counts[slo.key],) = await self._of(slo, span, now)
        return counts

    async def _of(self, slo: Slo, span: Span, now: datetime) -> Sequence[EventCounts]:
        if isinstance(slo.sli, DowntimeSli):
            return await self._ledger.downtime_counts(slo, [span])
        return await self._ledger.counts(slo, [span], now)


def _contains(span: Span, at: datetime) -> bool:
    return span.start <= at < span.end
