"""A cache of sums over ledgers, for the part that stays the same from one evaluation to the next.

A window of 30 days moves by a minute: its whole hours and days stay the same until the hour is over, and
days of which no minutes are kept until the day is. Their sums are cached, the latter apart, and only the
minutes at the window's ends are summed again. A ledger's state says which buckets are final: nothing further
back than the overlap of reads is written again, unless the ledger was filled further back, truncated or begun
again, all of which change the state. Once an hour another process may read late events into minutes.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import EventCounts
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.buckets import SumRequest
from bot.budgets.ledger.rollups import DAY, HOUR, MINUTE, RETENTION_S, Segment, floor
from bot.budgets.ledger.state import LedgerState
from bot.pacing import Pacer
from bot.store.database import Database

_Start = tuple[datetime | None, ...]

_MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class FinalPart:
    """Final segments of each span, and the second since the epoch in which the last ends.

    Settled are days of which no minutes are kept any more.
    """

    is_settled: bool
    segments: tuple[tuple[Segment, ...], ...]
    until: int


@dataclass(frozen=True, slots=True)
class SumPlan:
    """How to sum some spans: their final segments, and the changing parts that each consists of.

    `parts` that several spans have in common are listed once; `parts_of` holds the indices of each span's
    parts.
    """

    final: tuple[FinalPart, ...]
    parts: tuple[tuple[Segment, ...], ...]
    parts_of: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _CachedSums:
    """The sums of one ledger's final segments, settled or not, and what they are valid for."""

    start: _Start
    filled_to: datetime | None
    part: int
    until: int
    sums: Sequence[EventCounts]


def plan(covers: Sequence[tuple[Segment, ...]], final_until: int) -> SumPlan:
    """Separate the final segments of each span from the changing ones. `final_until` is a whole hour."""

    def is_final(segment: Segment) -> bool:
        return segment.width >= HOUR and segment.share == 1 and segment.end <= final_until

    final = [[segment for segment in cover if is_final(segment)] for cover in covers]
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
    return SumPlan(_final_parts(final, final_until), tuple(parts), tuple(parts_of))


def _final_parts(covers: Sequence[Sequence[Segment]], final_until: int) -> tuple[FinalPart, ...]:
    """Separate the settled days from the other final segments."""
    settled_until = floor(final_until - RETENTION_S[MINUTE], DAY)
    settled: list[tuple[Segment, ...]] = []
    others: list[tuple[Segment, ...]] = []
    for cover in covers:
        pieces = [
            piece
            for segment in cover
            for piece in (segment.divided(settled_until) if segment.width == DAY else (segment,))
        ]
        settled.append(tuple(piece for piece in pieces if _is_settled(piece, settled_until)))
        others.append(tuple(piece for piece in pieces if not _is_settled(piece, settled_until)))
    return tuple(
        FinalPart(is_settled, tuple(segments), max(each.end for own in segments for each in own))
        for is_settled, segments in ((True, settled), (False, others))
        if any(segments)
    )


def _is_settled(segment: Segment, settled_until: int) -> bool:
    return segment.width == DAY and segment.end <= settled_until


class SumCache:
    """Sums over the ledgers of one database. Other processes may write to them meanwhile."""

    def __init__(self) -> None:
        self._cached: dict[tuple[int, bool], _CachedSums] = {}
        self._numbers: dict[FinalPart, int] = {}
        self._next_number = itertools.count()

    async def sums(
        self,
        database: Database,
        connection: AsyncConnection,
        requests: Sequence[tuple[int, LedgerState, SumPlan]],
    ) -> list[list[EventCounts]]:
        """Return for each ledger (its id, its state) the sums that its plan describes."""
        numbers = {id(part): self._number(part) for part in _distinct(plan for *_, plan in requests)}
        final: dict[tuple[int, int], Sequence[EventCounts]] = {}
        missing: list[tuple[int, LedgerState, FinalPart]] = []
        for slo_id, state, plan in requests:
            for part in plan.final:
                cached = self._lookup(slo_id, state, part, numbers[id(part)])
                if cached is None:
                    missing.append((slo_id, state, part))
                else:
                    final[slo_id, id(part)] = cached
        uncached = [SumRequest(slo_id, part.segments) for slo_id, _, part in missing]
        summed = await bucket_rows.sums(database, connection, uncached)
        for (slo_id, state, part), sums in zip(missing, summed, strict=True):
            final[slo_id, id(part)] = sums
            self._cached[slo_id, part.is_settled] = _CachedSums(
                _start(state), state.filled_to, numbers[id(part)], part.until, sums
            )
        parts = [SumRequest(slo_id, plan.parts) for slo_id, _, plan in requests]
        changing = await bucket_rows.sums(database, connection, parts)
        totals, pace = [], Pacer()
        for sums, (slo_id, _, plan) in zip(changing, requests, strict=True):
            await pace()
            whole = [final[slo_id, id(part)] for part in plan.final]
            totals.append([_total(whole, index, sums, own) for index, own in enumerate(plan.parts_of)])
        return totals

    def invalidate(self, slo_ids: Iterable[int], since: int) -> None:
        """Drop the sums of these ledgers that reach beyond `since`, the second from which it is rewritten."""
        for slo_id in slo_ids:
            for is_settled in (True, False):
                cached = self._cached.get((slo_id, is_settled))
                if cached is not None and cached.until > since:
                    del self._cached[slo_id, is_settled]

    def retain(self, slo_ids: Collection[int]) -> None:
        """Drop the sums of all ledgers but these."""
        self._cached = {key: cached for key, cached in self._cached.items() if key[0] in slo_ids}

    def _number(self, part: FinalPart) -> int:
        if len(self._numbers) > _MOST_PARTS:
            self._numbers.clear()
            self._cached.clear()
        return self._numbers.setdefault(part, next(self._next_number))

    def _lookup(
        self, slo_id: int, state: LedgerState, part: FinalPart, number: int
    ) -> Sequence[EventCounts] | None:
        cached = self._cached.get((slo_id, part.is_settled))
        if cached is None or cached.part != number or cached.start != _start(state):
            return None
        is_behind = cached.filled_to is None or state.filled_to is None or state.filled_to < cached.filled_to
        return None if is_behind else cached.sums


def _distinct(plans: Iterable[SumPlan]) -> list[FinalPart]:
    by_identity = {id(plan): plan for plan in plans}
    return [part for plan in by_identity.values() for part in plan.final]


def _total(
    whole: Sequence[Sequence[EventCounts]],
    index: int,
    sums: Sequence[EventCounts],
    own: Sequence[int],
) -> EventCounts:
    bad = total = 0.0
    for each in whole:
        counts = each[index]
        bad, total = bad + counts.bad, total + counts.total
    for part in own:
        counts = sums[part]
        bad, total = bad + counts.bad, total + counts.total
    return bucket_rows.without_skew(EventCounts(bad, total))


def _start(state: LedgerState) -> _Start:
    """Return the fields that change when anything but the newest buckets is written."""
    return state.filled_from, state.base_from, state.minutes_from, state.fives_from
