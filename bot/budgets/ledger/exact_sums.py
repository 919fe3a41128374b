"""Sums of exact times long ago, from the minutes that are kept where an adjustment begins or ends.

Where only an hour is kept, its share would be taken, as if its events were spread evenly: an adjustment of
twenty minutes of outage would leave most of it. The minutes (or five minutes) of such an hour are used if
they add up to it, so nothing depends on whether they were kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.buckets import SumRequest
from bot.budgets.ledger.rollups import (
    FIVE_MINUTES,
    HOUR,
    MINUTE,
    Rollup,
    Segment,
    cover,
    instant,
    rollups_at,
    seconds,
)
from bot.budgets.ledger.state import LedgerState
from bot.catalog.window import Span
from bot.store.database import Database


@dataclass(frozen=True, slots=True)
class _Edge:
    """A time within one wide bucket: the bucket, the time's share of it, and the time in narrower ones.

    Each narrower one has the segments of the time and the segment of the whole bucket. All are indices.
    """

    shared: int
    bucket: int
    narrower: tuple[tuple[int, int], ...]


class _SumList:
    """The covers that are to be summed in one statement."""

    def __init__(self) -> None:
        self.covers: list[tuple[Segment, ...]] = []

    def add(self, *segments: Segment) -> int:
        """Add a cover; return its index."""
        self.covers.append(segments)
        return len(self.covers) - 1

    def add_edge(self, segment: Segment, span: Span) -> _Edge:
        """Add what may be summed in place of a share of a bucket."""
        start, end = max(seconds(span.start), segment.start), min(seconds(span.end), segment.end)
        own = Span(instant(start), instant(end))
        narrower = [
            (self.add(*cover(own, (Rollup(width, 0),))), self.add(Segment(width, segment.start, segment.end)))
            for width in (MINUTE, FIVE_MINUTES)
            if width < segment.width
        ]
        whole = self.add(Segment(segment.width, segment.start, segment.end))
        return _Edge(self.add(segment), whole, tuple(narrower))


async def exact_sums(
    database: Database,
    connection: AsyncConnection,
    ledger: tuple[int, LedgerState],
    covers: Sequence[tuple[Span, Sequence[Segment]]],
) -> list[EventCounts]:
    """Return the events of spans of one ledger (its id, its state), each given with what covers it."""
    sums, plans = _SumList(), []
    for span, segments in covers:
        wide = [each for each in segments if each.share < 1 and each.width > MINUTE]
        rest = sums.add(*(each for each in segments if each not in wide))
        plans.append((rest, [sums.add_edge(each, span) for each in wide]))
    (counted,) = await bucket_rows.sums(database, connection, [SumRequest(ledger[0], tuple(sums.covers))])
    return [
        bucket_rows.without_skew(sum((_edge_sum(counted, edge) for edge in edges), counted[rest]))
        for rest, edges in plans
    ]


def _edge_sum(counted: Sequence[EventCounts], edge: _Edge) -> EventCounts:
    whole = counted[edge.bucket]
    for time, all_of_bucket in edge.narrower:
        found = counted[all_of_bucket]
        if found != NO_EVENTS and bucket_rows.add_up([(found.bad, found.total)], (whole.bad, whole.total)):
            return counted[time]
    return counted[edge.shared]


def finest_width(state: LedgerState, at: datetime, now: datetime) -> timedelta:
    """Return the width of the narrowest buckets, a minute or wider, that are kept of the hour of `at`."""
    hour = seconds(at) // HOUR * HOUR
    widths = [each.width for each in rollups_at(state, now) if each.since <= hour and each.width >= MINUTE]
    return timedelta(seconds=min(widths, default=HOUR))
