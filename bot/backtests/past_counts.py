"""What the ledger holds of one SLO's past, in memory, so that any span of it is summed at once. Pure.

Old times are known by the hour, newer ones by five minutes or by the minute. Within one part the events count
as spread evenly, as the ledger itself takes them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate, pairwise

from bot.budgets.budget import EventCounts
from bot.budgets.ledger.buckets import without_skew
from bot.budgets.ledger.rollups import FIVE_MINUTES, HOUR, MINUTE, Rollup, floor, seconds
from bot.budgets.source import Cell
from bot.catalog.window import Span

Cells = Mapping[int, Mapping[int, Cell]]
"""Stored buckets: by their width, then by their start, both in seconds."""

_Position = tuple[int, float]


class PastTimes:
    """The edges of the parts in which a past is known, shared by all SLOs that are known alike."""

    def __init__(self, edges: Sequence[int]) -> None:
        self.edges = tuple(edges)
        self.positions: dict[float, _Position] = {}
        """The positions that were asked for by now."""

    def position(self, at_s: float) -> _Position:
        """Return the part that contains a second, and which share of it lies before; clipped to the past."""
        found = self.positions.get(at_s)
        if found is None:
            found = self.positions[at_s] = self._find(at_s)
        return found

    def _find(self, at_s: float) -> _Position:
        edges = self.edges
        if at_s <= edges[0]:
            return 0, 0.0
        if at_s >= edges[-1]:
            return len(edges) - 1, 0.0
        index = bisect_right(edges, at_s) - 1
        return index, (at_s - edges[index]) / (edges[index + 1] - edges[index])


class PastCounts:
    """The events of one SLO over `times`, `cells` one for each part."""

    def __init__(self, times: PastTimes, cells: Sequence[Cell]) -> None:
        self.times = times
        # The last sum stands twice: whoever asks about the very end adds a share of nothing.
        self._bad = _sums([bad for bad, _ in cells])
        self._total = _sums([total for _, total in cells])

    def sums(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Return the bad events and all events between two seconds."""
        positions = self.times.positions
        first, before = positions.get(start_s) or self.times.position(start_s)
        last, within = positions.get(end_s) or self.times.position(end_s)
        bad, total = self._bad, self._total
        return (
            bad[last] - bad[first] + within * (bad[last + 1] - bad[last])
            - before * (bad[first + 1] - bad[first]),
            total[last] - total[first] + within * (total[last + 1] - total[last])
            - before * (total[first + 1] - total[first]),
        )  # fmt: skip

    def events(self, span: Span) -> EventCounts:
        """Return the events of a span."""
        return without_skew(EventCounts(*self.sums(seconds(span.start), seconds(span.end))))


def _sums(values: Sequence[float]) -> list[float]:
    sums = list(accumulate(values, initial=0.0))
    return [*sums, sums[-1]]


def edges_of(rollups: Sequence[Rollup], start: datetime, end: datetime) -> list[int]:
    """Return the edges of the parts from `start` to `end` in which a ledger with these rollups is known."""
    since = {rollup.width: rollup.since for rollup in rollups}
    until = floor(seconds(end), MINUTE)
    fives = min(until, max(floor(seconds(start), HOUR), since.get(FIVE_MINUTES, until)))
    fives = min(floor(until, HOUR), floor(fives, HOUR))
    minutes = min(floor(until, FIVE_MINUTES), max(fives, floor(since.get(MINUTE, until), FIVE_MINUTES)))
    return [
        *range(floor(seconds(start), HOUR), fives, HOUR),
        *range(fives, minutes, FIVE_MINUTES),
        *range(minutes, until + 1, MINUTE),
    ]


def counted_cells(times: PastTimes, cells: Cells) -> list[Cell]:
    """Return the stored bucket of each part of the past; one without a bucket had no events."""
    return [cells.get(end - at, {}).get(at, (0.0, 0.0)) for at, end in pairwise(times.edges)]
