"""What to ask a source for next, given what the ledger holds. Pure; no clock, no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from bot.budgets.budget import SHOWN_BURN_WINDOWS
from bot.budgets.ledger.rollups import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    MINUTE,
    Rollup,
    ceil,
    floor,
    instant,
    rollups_at,
    seconds,
)
from bot.budgets.ledger.state import OVERLAP, LedgerState, ReadFault
from bot.catalog.window import Span, Window

SHORT_OVERLAP = timedelta(minutes=1)
"""How far the readings in between reach back: they take a fraction of the source's time, and of ours."""

_AHEAD = timedelta(minutes=5)
"""More than replicas' clocks differ."""

_CHUNK = {HOUR: 7 * DAY, FIVE_MINUTES: DAY}
"""The longest stretch in seconds that is asked for at once, by width."""


@dataclass(frozen=True, slots=True)
class Read:
    """One question to a source: the events of `span` in buckets of `width` (aligned to it)."""

    span: Span
    width: timedelta

    @property
    def points(self) -> int:
        """How many buckets the answer has at most."""
        return self.span.length // self.width


@lru_cache(maxsize=1_024)
def history_start(window: Window, as_of: datetime) -> datetime:
    """Return how far back the ledger must reach: the window, the longest burn rate, a whole hour."""
    wanted = min(window.span(as_of).start, as_of - max(SHOWN_BURN_WINDOWS))
    return instant(floor(seconds(wanted), HOUR))


def plan_reads(state: LedgerState, window: Window, now: datetime, base: int) -> list[Read]:
    """Return what to read, in the order to read it; what is filled stays one stretch at each step.

    At first sight, and after a silence longer than the window: the whole history, newest first. Later
    the new part with an overlap, oldest first, and then what history is still missing, newest first.
    `base` is the finest width in seconds.
    """
    end = instant(floor(seconds(now), base))
    wanted = history_start(window, end)
    pyramid = rollups_at(replace(state, base=base), now)
    if state.filled_from is None or state.filled_to is None or state.filled_to < wanted:
        return _chunks(Span(wanted, end), pyramid)[::-1]
    reads = []
    if end > state.filled_to or state.fault is not None:
        # No part of a wide bucket is read again: it would be counted twice.
        narrow = max(state.minutes_from or state.filled_from, state.filled_from)
        reaches_to = state.filled_to - _overlap(state.filled_to, end, state.fault)
        again = max(floor(seconds(reaches_to), MINUTE), int(seconds(narrow)))
        reads = _chunks(Span(instant(again), end), pyramid)
    if wanted < state.filled_from:
        reads += _chunks(Span(wanted, state.filled_from), pyramid)[::-1]
    return reads


def _overlap(filled_to: datetime, end: datetime, fault: ReadFault | None) -> timedelta:
    """Return how far to read back: far after a fault and whenever five minutes of the clock are over."""
    is_due = floor(seconds(filled_to), FIVE_MINUTES) < floor(seconds(end), FIVE_MINUTES)
    return OVERLAP if is_due or fault is not None else SHORT_OVERLAP


def is_ahead(state: LedgerState, now: datetime) -> bool:
    """Return whether the ledger was filled by a clock that was wrong, more than replicas' clocks differ."""
    return state.filled_to is not None and state.filled_to > now + _AHEAD


def edge_to_refine(state: LedgerState, window: Window, now: datetime) -> Span | None:
    """Return the hour in which the window begins if it should be read minute by minute.

    The ledger has only hours of old times; when errors came in a burst, a share of an hour may be far
    from the truth. None where minutes are there already, or the window begins with a whole hour.
    """
    if state.filled_to is None or state.filled_from is None:
        return None
    start = seconds(window.span(state.filled_to).start)
    hour = floor(start, HOUR)
    minutes = next(tier for tier in rollups_at(state, now) if tier.width == MINUTE)
    if start == hour or hour >= minutes.since or instant(hour) < state.filled_from:
        return None
    return None if state.refined == instant(hour) else Span(instant(hour), instant(hour + HOUR))


def _chunks(span: Span, pyramid: tuple[Rollup, ...]) -> list[Read]:
    """Cut a span into questions, oldest first: wide buckets for old times, narrow ones for new."""
    start, until = int(seconds(span.start)), int(seconds(span.end))
    reads: list[Read] = []
    for tier in pyramid:
        since = max(start, tier.since)
        if tier.width < DAY and since < until:
            pieces = _aligned(since, until, tier.width)
            reads = [read for piece in pieces for read in _cut(*piece)] + reads
            until = since
    return reads


def _aligned(start: int, end: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Cut [start, end) into stretches with the widest width that divides them; no parts of minutes."""
    first, last = ceil(start, width), floor(end, width)
    if width <= MINUTE:
        if first < last:
            yield first, last, width
        return
    narrower = MINUTE if width < HOUR else FIVE_MINUTES
    if first >= last:
        yield from _aligned(start, end, narrower)
        return
    yield from _aligned(start, first, narrower)
    yield first, last, width
    yield from _aligned(last, end, narrower)


def _cut(start: int, end: int, width: int) -> Iterator[Read]:
    length = _CHUNK.get(width, DAY)
    for at in range(start, end, length):
        span = Span(instant(at), instant(min(at + length, end)))
        yield Read(span, timedelta(seconds=width))
