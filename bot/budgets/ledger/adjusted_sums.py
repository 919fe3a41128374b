"""Subtracts adjustments from sums: the one place through which every sum that anybody sees goes.

Which adjustments are in force is read with the sums, in the same snapshot: what was approved or reversed a
moment ago, on whichever replica, counts in the next sum.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.adjustments.effects import AdjustedSpan, AdjustmentPlanner, adjusted
from bot.budgets.adjustments.records import read_in_force
from bot.budgets.budget import EventCounts
from bot.budgets.ledger.covers import segments_of
from bot.budgets.ledger.exact_sums import exact_sums
from bot.budgets.ledger.state import LedgerState
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.store.database import Database

SumSpans = Callable[[Sequence[Span]], Awaitable[Sequence[EventCounts]]]
"""Returns the recorded events of each of some spans of one SLO."""


@dataclass(frozen=True, slots=True)
class Supposition:
    """What sums would be with adjustments that are not in force, and without some (by number) that are."""

    also: tuple[Adjustment, ...] = ()
    without: frozenset[int] = frozenset()


AS_IT_IS = Supposition()


class SumAdjuster:
    """Adjusts recorded sums by what is in force, or by a supposition."""

    def __init__(self, database: Database, supposition: Supposition = AS_IT_IS) -> None:
        self._database = database
        self._supposition = supposition

    def supposing(self, supposition: Supposition) -> "SumAdjuster":
        """Return an adjuster by a supposition."""
        return SumAdjuster(self._database, supposition)

    async def planners(
        self, connection: AsyncConnection, slos: Sequence[Slo], since: datetime
    ) -> Mapping[Slo, AdjustmentPlanner]:
        """Return the planners of the SLOs that are adjusted after `since`; others are left out."""
        in_force = await read_in_force(connection, {slo.service for slo in slos}, since)
        if not in_force and not self._supposition.also:
            return {}
        planners = {}
        for slo in slos:
            supposed = self._supposition
            counting = (each for each in in_force.get(slo.service, ()) if each.id not in supposed.without)
            if own := [
                each
                for each in (*counting, *supposed.also)
                if each.service == slo.service and each.concerns(slo.name)
            ]:
                planners[slo] = AdjustmentPlanner(own)
        return planners

    async def adjust(
        self,
        connection: AsyncConnection,
        requests: Sequence[tuple[Slo, Sequence[Span]]],
        counted: list[list[EventCounts]],
        ledger_of: Callable[[Slo], tuple[int, LedgerState]],
        now: datetime,
    ) -> list[list[EventCounts]]:
        """Return the sums of the requests' spans after adjustments; `counted` are those before."""
        starts = [span.start for _, spans in requests for span in spans]
        if not starts:
            return counted
        planners = await self.planners(connection, [slo for slo, _ in requests], min(starts))
        for index, (slo, spans) in enumerate(requests):
            if slo in planners:
                ledger = ledger_of(slo)

                async def sum_spans(
                    needed: Sequence[Span], ledger: tuple[int, LedgerState] = ledger
                ) -> Sequence[EventCounts]:
                    covers = [(span, segments_of(ledger[1], span, now)) for span in needed]
                    return await exact_sums(self._database, connection, ledger, covers)

                counted[index] = await adjusted_by(planners[slo], spans, counted[index], sum_spans)
        return counted


async def adjusted_by(
    planner: AdjustmentPlanner,
    spans: Sequence[Span],
    counted: Sequence[EventCounts],
    sum_spans: SumSpans,
) -> list[EventCounts]:
    """Return the sums of spans after the adjustments of one planner."""
    plans: list[AdjustedSpan] = [planner.plan(span) for span in spans]
    needed = list(dict.fromkeys(span for plan in plans for span in plan.needed))
    if not needed:
        return list(counted)
    sums = dict(zip(needed, await sum_spans(needed), strict=True))
    return [adjusted(each, plan, sums.__getitem__) for each, plan in zip(counted, plans, strict=True)]


def seconds_of(spans: Sequence[Span], bad: Sequence[float]) -> list[EventCounts]:
    """Return spans of downtime as events: each second is one, `bad` of them were an outage."""
    second = timedelta(seconds=1)
    return [EventCounts(seconds, span.length / second) for span, seconds in zip(spans, bad, strict=True)]
