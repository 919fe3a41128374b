"""The ledger's pyramid of bucket widths: what is kept how long, and which buckets cover a span.

Every tier by itself holds all that was counted in the time for which it is kept, so a sum takes the
widest buckets inside a span and narrower ones at its edges, and costs hardly more for 90 days than for
7. Pure: whole seconds since the epoch, no clock, no I/O.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

KEPT_BASE = 2 * HOUR
_KEPT = {MINUTE: 12 * HOUR, FIVE_MINUTES: 4 * DAY}
"""How many seconds of the past each width is kept; the others as long as the longest window needs."""

KEPT_BEYOND_LONGEST = timedelta(days=4)
"""How much more than the longest window the hours and days reach back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def seconds(at: datetime) -> float:
    """Return the seconds since the epoch, microseconds as the fraction."""
    return (at - _EPOCH) / _SECOND


def instant(at_s: float) -> datetime:
    """Return the moment that many seconds after the epoch, in UTC."""
    return _EPOCH + timedelta(seconds=at_s)


def floor(at_s: float, width: int) -> int:
    """Return the start of the bucket that the moment lies in."""
    return math.floor(at_s / width) * width


def ceil(at_s: float, width: int) -> int:
    """Return the first start of a bucket at or after the moment."""
    return math.ceil(at_s / width) * width


@lru_cache(maxsize=64)
def base_width(evaluate_every: timedelta) -> int:
    """Return the finest bucket in seconds: the largest divisor of a minute within the interval."""
    every = max(1, int(evaluate_every / _SECOND))
    return max(width for width in range(1, MINUTE + 1) if MINUTE % width == 0 and width <= every)


@dataclass(frozen=True, slots=True)
class Tier:
    """One width (seconds), and the moment (seconds, a start of the next wider tier) it is kept from."""

    width: int
    since: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Adjoining buckets of one width in [start, end), seconds; `share` of each counts, 0 to 1."""

    width: int
    start: int
    end: int
    share: float = 1.0


def tiers(state: LedgerState, now: datetime) -> tuple[Tier, ...]:
    """Return the pyramid of a ledger at a moment, finest first; days and hours reach back for ever."""
    # A clock that was set back must not make us look for what was dropped before.
    latest = now if state.filled_to is None else max(now, state.filled_to)
    base = state.base or MINUTE
    complete = {base: state.base_from, MINUTE: state.minutes_from, FIVE_MINUTES: state.fives_from}
    pyramid = []
    for width, wider in pairwise(sorted({base, *WIDTHS})):
        since = 0
        if width < HOUR:
            since = floor(seconds(latest) - _KEPT.get(width, KEPT_BASE), wider)
            begins = complete[width]
            since = since if begins is None else max(since, ceil(seconds(begins), wider))
        pyramid.append(Tier(width, since))
    return (*pyramid, Tier(DAY, 0))


def only_hours_before(now: datetime) -> int:
    """Return the second, a whole hour, before which no buckets narrower than hours are kept."""
    return floor(seconds(now) - _KEPT[FIVE_MINUTES], HOUR)


def kept_from(width: int, now: datetime, longest: timedelta) -> int:
    """Return the second before which buckets of that width may be dropped."""
    if width >= HOUR:
        return floor(seconds(now - longest - KEPT_BEYOND_LONGEST), DAY)
    kept = _KEPT.get(width, KEPT_BASE)
    return floor(seconds(now) - kept, HOUR)


def cover(span: Span, pyramid: Sequence[Tier], refined: datetime | None = None) -> list[Segment]:
    """Return the segments whose sum is the span's.

    `pyramid` is finest first. `refined` begins an hour of which minutes are there although their tier
    no longer reaches back so far. Where only a bucket wider than an edge is left, its share is taken,
    as if its events had come evenly.
    """
    hour = None if refined is None else floor(seconds(refined), HOUR)
    widest_first = tuple(reversed(pyramid))
    return list(_cover(seconds(span.start), seconds(span.end), widest_first, hour))


def _cover(start: float, end: float, widest_first: Sequence[Tier], refined: int | None) -> Iterator[Segment]:
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


def _edge(start: float, end: float, widest_first: Sequence[Tier], refined: int | None) -> Iterator[Segment]:
    """Cover a stretch that lies within one bucket of the widest tier."""
    if start >= end:
        return
    width = widest_first[0].width
    bucket = floor(start, width)
    finer = widest_first[1:]
    if finer and finer[0].since <= bucket:
        yield from _cover(start, end, finer, refined)
    elif MINUTE < width <= HOUR and floor(start, HOUR) == refined:
        yield from _cover(start, end, (Tier(MINUTE, 0),), None)
    else:
        yield Segment(width, bucket, bucket + width, (end - start) / width)
