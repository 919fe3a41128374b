"""Plans what to read from a source next, given what the ledger holds. Pure; no clock, no I/O."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
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
from bot.catalog.slo import Slo
from bot.catalog.window import Span, Window

SHORT_OVERLAP = timedelta(minutes=1)
"""How far the reads in between reach back: they cost the source, and us, a fraction."""

_CLOCK_SKEW = timedelta(minutes=5)
"""More than replicas' clocks differ."""

_MINUTES_FROM_DELAY = timedelta(hours=1)
"""From this delay on reads end with a minute: narrower buckets are not kept for long."""

_SLOS_IN_TURN = 10

_CHUNK_S = {HOUR: 7 * DAY, FIVE_MINUTES: DAY}
"""The longest time in seconds that one read covers, by bucket width."""


@dataclass(frozen=True, slots=True)
class Read:
    """One read from a source: the events of `span` in buckets of `width` (the span is aligned to it)."""

    span: Span
    width: timedelta

    @property
    def points(self) -> int:
        """How many buckets the answer has at most."""
        return self.span.length // self.width


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Reads in their order: what is `new`, up to now; then the `history` that is missing, newest first.

    After each of them what is filled is still one span. `all_minutes` says whether the new part reads all
    minutes again.
    """

    new: tuple[Read, ...]
    history: tuple[Read, ...]
    all_minutes: bool = False


@lru_cache(maxsize=1_024)
def history_start(window: Window, as_of: datetime) -> datetime:
    """Return how far back the ledger must reach: window and longest burn rate, rounded down to an hour."""
    start = min(window.span(as_of).start, as_of - max(SHOWN_BURN_WINDOWS))
    return instant(floor(seconds(start), HOUR))


def plan_reads(
    state: LedgerState, window: Window, now: datetime, base: int, *, all_minutes: bool = False
) -> ReadPlan:
    """Return what to read.

    For a new ledger, and after a gap longer than the window, everything is history but the newest read.
    Later the new part overlaps what was read, and is read oldest first: from where it is not known that
    everything had arrived. `now` is the present less the source's delay. `base` is the finest width in
    seconds. With `all_minutes` the overlap is all time of which the ledger keeps minutes.
    """
    end = instant(floor(seconds(now), base))
    history = history_start(window, end)
    rollups = rollups_at(replace(state, base=base), now)
    if state.filled_from is None or state.filled_to is None or state.filled_to < history:
        newest, *older = _chunks(Span(history, end), rollups)[::-1]
        return ReadPlan((newest,), tuple(older), all_minutes)
    new: list[Read] = []
    if end > state.filled_to or state.fault is not None:
        # No part of a wide bucket is read again: its events would be counted twice.
        minutes_from = max(state.minutes_from or state.filled_from, state.filled_from)
        overlap_start = state.filled_to - _overlap(state.filled_to, end, state.fault)
        # What came after the known end is read again until all of it is there.
        overlap_start = min(overlap_start, (state.counted_to or state.filled_to) - SHORT_OVERLAP)
        if all_minutes:
            since = next(rollup.since for rollup in rollups if rollup.width == MINUTE)
            overlap_start = min(overlap_start, instant(since))
        reread_from = max(floor(seconds(overlap_start), MINUTE), int(seconds(minutes_from)))
        new = _chunks(Span(instant(reread_from), end), rollups)
    older = []
    if history < state.filled_from:
        older = _chunks(Span(history, state.filled_from), rollups)[::-1]
    return ReadPlan(tuple(new), tuple(older), all_minutes)


def earlier_read(state: LedgerState, window: Window) -> Read | None:
    """Return the next part to read, in hours, of the time before the window; None where it is all there.

    It reaches back by another window: the budget as it stood a while ago rests on it. No decision does, so it
    is read once the window's own history is there, newest first.
    """
    if state.filled_from is None or state.filled_to is None or seconds(state.filled_from) % HOUR:
        return None
    history = history_start(window, state.filled_to)
    earliest = instant(floor(seconds(history - window.full_length(history)), HOUR))
    if state.filled_from > history or state.filled_from <= earliest:
        return None
    start = max(earliest, state.filled_from - timedelta(seconds=_CHUNK_S[HOUR]))
    return Read(Span(start, state.filled_from), timedelta(seconds=HOUR))


def is_delayed_by_hours(delay: timedelta) -> bool:
    """Return whether a source's events come so late that reads end with a whole minute."""
    return delay >= _MINUTES_FROM_DELAY


def read_width(state: LedgerState, base: int) -> int:
    """Return the width in seconds with whose buckets the ledger's newest events are read: at most a minute.

    `base` is the finest width. A ledger has it from a time on, which may be later than the end of its reads.
    """
    base_from, filled_to = state.base_from, state.filled_to
    is_later = base_from is not None and filled_to is not None and base_from > filled_to
    return MINUTE if is_later or is_delayed_by_hours(state.delay) else base


def _overlap(filled_to: datetime, end: datetime, fault: ReadFault | None) -> timedelta:
    """Return how far to read back: the long overlap after a fault and once in five minutes of the clock."""
    is_due = floor(seconds(filled_to), FIVE_MINUTES) < floor(seconds(end), FIVE_MINUTES)
    return OVERLAP if is_due or fault is not None else SHORT_OVERLAP


def turns(slos: Iterable[Slo]) -> dict[Slo, str]:
    """Return a name for each SLO's turn of `is_hourly_read_due`; some SLOs of a service share one.

    They are read by the same requests then.
    """
    counted: Counter[str] = Counter()
    found = {}
    for slo in slos:
        found[slo] = f"{slo.service}/{counted[slo.service] // _SLOS_IN_TURN}"
        counted[slo.service] += 1
    return found


def is_hourly_read_due(state: LedgerState, now: datetime, base: int, turn: str) -> bool:
    """Return whether all minutes are to be read again: once an hour, at a minute that the SLO's turn sets.

    So no evaluation reads all SLOs of a workspace.
    """
    if state.filled_to is None:
        return False
    phase = zlib.crc32(turn.encode()) % (HOUR // MINUTE) * MINUTE
    end = floor(seconds(now), base)
    return floor(seconds(state.filled_to) - phase, HOUR) < floor(end - phase, HOUR)


def is_ahead(state: LedgerState, now: datetime) -> bool:
    """Return whether the ledger was filled by a wrong clock, ahead by more than replicas' clocks differ."""
    return state.filled_to is not None and state.filled_to > now + _CLOCK_SKEW


def edge_to_refine(state: LedgerState, window: Window, now: datetime) -> Span | None:
    """Return the hour in which the window begins if it should be read minute by minute.

    For old times the ledger holds only hours; when errors came in a burst, a share of an hour may be far
    from the truth. None where the minutes are there already, or the window begins with a whole hour.
    """
    if state.filled_to is None or state.filled_from is None:
        return None
    start = seconds(window.span(state.filled_to).start)
    hour = floor(start, HOUR)
    minutes = next(rollup for rollup in rollups_at(state, now) if rollup.width == MINUTE)
    if start == hour or hour >= minutes.since or instant(hour) < state.filled_from:
        return None
    return None if state.refined == instant(hour) else Span(instant(hour), instant(hour + HOUR))


def _chunks(span: Span, rollups: tuple[Rollup, ...]) -> list[Read]:
    """Divide a span into reads, oldest first: wide buckets for old times, narrow ones for new."""
    start, until = int(seconds(span.start)), int(seconds(span.end))
    reads: list[Read] = []
    for rollup in rollups:
        since = max(start, rollup.since)
        if rollup.width < DAY and since < until:
            aligned = _aligned(since, until, rollup.width)
            reads = [read for part in aligned for read in _chunk(*part)] + reads
            until = since
    return reads


def _aligned(start: int, end: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Divide [start, end) into parts with the widest width that they are aligned to; no parts of minutes."""
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


def _chunk(start: int, end: int, width: int) -> Iterator[Read]:
    length = _CHUNK_S.get(width, DAY)
    for at in range(start, end, length):
        span = Span(instant(at), instant(min(at + length, end)))
        yield Read(span, timedelta(seconds=width))
