"""A cache of sums over ledgers, for the part that stays the same from one evaluation to the next.

A window of 30 days moves by a minute: its whole hours and days stay the same until the hour is over.
Their sums are cached, and only the minutes at the window's ends are summed again. A ledger's state says
which buckets are final: nothing further back than the overlap of reads is written again, unless the
ledger was filled further back, truncated or begun again, all of which change the state.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import EventCounts
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.buckets import SumRequest
from bot.budgets.ledger.rollups import HOUR, Segment
from bot.budgets.ledger.state import LedgerState
from bot.pacing import Pacer
from bot.store.database import Database

_Start = tuple[datetime | None, ...]

_MOST_PLANS = 10_000


@dataclass(frozen=True, slots=True)
class SumPlan:
    """How to sum some spans: the final segments of each, and the changing parts that each consists of.

    `final_until` is in seconds since the epoch. `parts` that several spans have in common are listed once;
    `parts_of` holds the indices of each span's parts.
    """

    final: tuple[tuple[Segment, ...], ...]
    final_until: int
    parts: tuple[tuple[Segment, ...], ...]
    parts_of: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _CachedSums:
    """The sums of one ledger's final segments, and what they are valid for."""

    start: _Start
    filled_to: datetime | None
    plan: int
    final_until: int
    sums: Sequence[EventCounts]


def plan(covers: Sequence[tuple[Segment, ...]], final_until: int) -> SumPlan:
    """Separate the final segments of each span from the changing ones. `final_until` is a whole hour."""

    def is_final(segment: Segment) -> bool:
        return segment.width >= HOUR and segment.share == 1 and segment.end <= final_until

    final = tuple(tuple(segment for segment in cover if is_final(segment)) for cover in covers)
    changing = [[segment for segment in cover if not is_final(segment)] for cover in covers]
    uses = Counter(segment for cover in changing for segment in cover)
    parts: list[tuple[Segment, ...]] = [(segment,) for segment, number in uses.items() if number > 1]
    shared = {part[0]: index for index, part in enumerate(parts)}
    parts_of = []
    for cover in changing:
        own = tuple(segment for segment in cover if segment not in shared)
        indices = [shared[segment] for segment in cover if segment in shared]
        if own:
            indices.append(len(parts))
            parts.append(own)
        parts_of.append(tuple(indices))
    return SumPlan(final, final_until, tuple(parts), tuple(parts_of))


class SumCache:
    """Sums over the ledgers of one database. Other processes may write to them meanwhile."""

    def __init__(self) -> None:
        self._cached: dict[int, _CachedSums] = {}
        self._plans: dict[tuple[tuple[Segment, ...], ...], int] = {}

    async def sums(
        self,
        database: Database,
        connection: AsyncConnection,
        requests: Sequence[tuple[int, LedgerState, SumPlan]],
    ) -> list[list[EventCounts]]:
        """Return for each ledger (its id, its state) the sums that its plan describes."""
        plans = {id(plan): plan for *_, plan in requests}
        numbers = {plan_id: self._number(plan) for plan_id, plan in plans.items()}
        final: list[Sequence[EventCounts] | None] = [
            self._lookup(slo_id, state, numbers[id(plan)]) for slo_id, state, plan in requests
        ]
        missing = [index for index, sums in enumerate(final) if sums is None]
        uncached = [SumRequest(requests[index][0], requests[index][2].final) for index in missing]
        for index, sums in zip(missing, await bucket_rows.sums(database, connection, uncached), strict=True):
            final[index] = sums
            slo_id, state, plan = requests[index]
            self._cached[slo_id] = _CachedSums(
                _start(state), state.filled_to, numbers[id(plan)], plan.final_until, sums
            )
        parts = [SumRequest(slo_id, plan.parts) for slo_id, _, plan in requests]
        changing = await bucket_rows.sums(database, connection, parts)
        totals, pace = [], Pacer()
        for bases, sums, (_, _, plan) in zip(final, changing, requests, strict=True):
            await pace()
            indices_of = zip(bases or (), plan.parts_of, strict=True)
            totals.append([_total(base, sums, indices) for base, indices in indices_of])
        return totals

    def invalidate(self, slo_ids: Iterable[int], since: int) -> None:
        """Drop the sums of these ledgers that reach beyond `since`, the second from which it is rewritten."""
        for slo_id in slo_ids:
            cached = self._cached.get(slo_id)
            if cached is not None and cached.final_until > since:
                del self._cached[slo_id]

    def retain(self, slo_ids: Collection[int]) -> None:
        """Drop the sums of all ledgers but these."""
        self._cached = {slo_id: cached for slo_id, cached in self._cached.items() if slo_id in slo_ids}

    def _number(self, plan: SumPlan) -> int:
        if len(self._plans) > _MOST_PLANS:
            self._plans.clear()
            self._cached.clear()
        return self._plans.setdefault(plan.final, len(self._plans))

    def _lookup(self, slo_id: int, state: LedgerState, number: int) -> Sequence[EventCounts] | None:
        cached = self._cached.get(slo_id)
        if cached is None or cached.plan != number or cached.start != _start(state):
            return None
        is_behind = cached.filled_to is None or state.filled_to is None or state.filled_to < cached.filled_to
        return None if is_behind else cached.sums


def _total(base: EventCounts, sums: Sequence[EventCounts], indices: Sequence[int]) -> EventCounts:
    bad, total = base.bad, base.total
    for index in indices:
        part = sums[index]
        bad, total = bad + part.bad, total + part.total
    return bucket_rows.without_skew(EventCounts(bad, total))


def _start(state: LedgerState) -> _Start:
    """Return the fields that change when anything but the newest buckets is written."""
    return state.filled_from, state.base_from, state.minutes_from, state.fives_from
