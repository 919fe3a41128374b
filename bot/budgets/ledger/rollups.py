"""The ledger's rollups: the bucket widths, how long each is retained, and which buckets cover a span.

Each rollup holds all events of the time for which it is retained, so a sum takes the widest buckets
inside a span and narrower ones at its edges, and costs hardly more for 90 days than for 7. Pure: whole
seconds since the epoch, no clock, no I/O.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from bot.budgets.ledger.state import LedgerState
from bot.catalog.window import Span

MINUTE = 60
FIVE_MINUTES = 300
HOUR = 3_600
DAY = 86_400
WIDTHS = (MINUTE, FIVE_MINUTES, HOUR, DAY)
"""The widths that every ledger has, in seconds, aligned to the epoch (hence to UTC days)."""

PUSHED_BASE = 10
"""The finest width in seconds for events that are pushed."""

BASE_RETENTION_S = 2 * HOUR
RETENTION_S = {MINUTE: 12 * HOUR, FIVE_MINUTES: 4 * DAY}
"""How many seconds each width is retained; hours and days as long as windows and backtests need."""

BEYOND_LONGEST = timedelta(days=4)
WINDOWS_RETAINED = 2
"""Hours and days are retained for so many of the longest window, and for some days more.

A window that ended a window's length ago can then still be summed: the budget as it stood at that time.
"""

LEAST_HISTORY = timedelta(days=124)
"""How long hours and days are retained at least: a quarter can be replayed, with a month's window before."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def seconds(at: datetime) -> float:
    """Return the seconds since the epoch, microseconds as the fraction."""
    return (at - _EPOCH) / _SECOND


def instant(at_s: float) -> datetime:
    """Return the UTC datetime that many seconds after the epoch."""
    return _EPOCH + timedelta(seconds=at_s)


def floor(at_s: float, width: int) -> int:
    """Return the start of the bucket of this width that contains the second."""
    return math.floor(at_s / width) * width


def ceil(at_s: float, width: int) -> int:
    """Return the first start of a bucket of this width at or after the second."""
    return math.ceil(at_s / width) * width


@lru_cache(maxsize=64)
def base_width(evaluate_every: timedelta) -> int:
    """Return the finest width in seconds: the largest divisor of a minute within the interval."""
    interval_s = max(1, int(evaluate_every / _SECOND))
    return max(width for width in range(1, MINUTE + 1) if MINUTE % width == 0 and width <= interval_s)


@dataclass(frozen=True, slots=True)
class Rollup:
    """One rollup: its width in seconds, and the second (a start of the next wider rollup) it is kept from."""

    width: int
    since: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Adjoining buckets of one width in [start, end), seconds; `share` of each counts, 0 to 1."""

    width: int
    start: int
    end: int
    share: float = 1.0

    def divided(self, at: int) -> "tuple[Segment, ...]":
        """Return the segment in two if `at`, the start of one of its buckets, lies within it."""
        if self.start < at < self.end:
            return replace(self, end=at), replace(self, start=at)
        return (self,)


def rollups_at(state: LedgerState, now: datetime) -> tuple[Rollup, ...]:
    """Return the rollups of a ledger at a time, finest first; hours and days are never incomplete."""
    # A clock that was set back must not make us look for buckets that were dropped before.
    latest = now if state.filled_to is None else max(now, state.filled_to)
    base = state.base or MINUTE
    complete_since = {base: state.base_from, MINUTE: state.minutes_from, FIVE_MINUTES: state.fives_from}
    rollups = []
    for width, wider in pairwise(sorted({base, *WIDTHS})):
        since = 0
        if width < HOUR:
            since = floor(seconds(latest) - RETENTION_S.get(width, BASE_RETENTION_S), wider)
            complete_from = complete_since[width]
            since = since if complete_from is None else max(since, ceil(seconds(complete_from), wider))
        rollups.append(Rollup(width, since))
    return (*rollups, Rollup(DAY, 0))


def only_hours_before(now: datetime) -> int:
    """Return the second, a whole hour, before which no buckets narrower than hours are kept."""
    return floor(seconds(now) - RETENTION_S[FIVE_MINUTES], HOUR)


def kept_from(width: int, now: datetime, longest: timedelta) -> int:
    """Return the second before which buckets of this width may be dropped."""
    if width >= HOUR:
        return floor(seconds(now - max(WINDOWS_RETAINED * longest + BEYOND_LONGEST, LEAST_HISTORY)), DAY)
    retention_s = RETENTION_S.get(width, BASE_RETENTION_S)
    return floor(seconds(now) - retention_s, HOUR)


def cover(span: Span, rollups: Sequence[Rollup], refined: datetime | None = None) -> list[Segment]:
    """Return the segments whose sum is the span's.

    `rollups` are ordered finest first. `refined` is the start of an hour of which minutes are kept
    although their rollup no longer reaches back so far. Where only a bucket wider than an edge is left,
    its share is taken, as if its events were spread evenly.
    """
    hour = None if refined is None else floor(seconds(refined), HOUR)
    widest_first = tuple(reversed(rollups))
    return list(_cover(seconds(span.start), seconds(span.end), widest_first, hour))


def _cover(
    start: float, end: float, widest_first: Sequence[Rollup], refined: int | None
) -> Iterator[Segment]:
    if start >= end:
        return
    width = widest_first[0].width
    first, last = ceil(start, width), floor(end, width)
    if first > last:
        yield from _edge(start, end, widest_first, refined)
        return
    yield from _edge(start, first, widest_first, refined)
    if first < last:
        yield Segment(width, first, last)
    yield from _edge(last, end, widest_first, refined)


def _edge(start: float, end: float, widest_first: Sequence[Rollup], refined: int | None) -> Iterator[Segment]:
    """Cover seconds that lie within one bucket of the widest rollup."""
    if start >= end:
        return
    width = widest_first[0].width
    bucket = floor(start, width)
    finer = widest_first[1:]
    if finer and finer[0].since <= bucket:
        yield from _cover(start, end, finer, refined)
    elif MINUTE < width <= HOUR and floor(start, HOUR) == refined:
        yield from _cover(start, end, (Rollup(MINUTE, 0),), None)
    else:
        yield Segment(width, bucket, bucket + width, (end - start) / width)
