"""Turns the numbers that a source counted, by bucket, into good and bad events. Pure; no clock, no I/O."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot.budgets.source import BucketColumns, InvalidAnswerError, LateReading
from bot.catalog.window import Span

Counts = Mapping[int, float]
"""How many events each bucket has, by its start in seconds since the epoch."""

# What is counted a moment later may have this share, or so many events, more.
_SKEW_SHARE = 0.01
_SKEW_EVENTS = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def second(at: datetime) -> int:
    """Return a time in whole seconds since the epoch."""
    return (at - _EPOCH) // timedelta(seconds=1)


def instant(at_s: float) -> datetime:
    """Return the time of a second since the epoch."""
    return _EPOCH + timedelta(seconds=at_s)


def starts(span: Span, step: timedelta) -> range:
    """Return the starts of the buckets of a span, in seconds since the epoch."""
    return range(second(span.start), second(span.end), int(step.total_seconds()))


def events(
    total: Counts, *, bad: Counts | None = None, good: Counts | None = None, step: timedelta
) -> BucketColumns:
    """Return the events, of all of them and either the bad or the good ones.

    Raises `InvalidAnswerError` for what cannot be true: no number, less than nothing, more than all.
    """
    part, name = (bad or {}, "bad") if good is None else (good, "good")
    for counted, which in ((total, "total"), (part, name)):
        if not all(map(math.isfinite, counted.values())):
            raise InvalidAnswerError(f"the answer for `{which}` holds NaN or infinity")
        if counted and min(counted.values()) < 0:
            raise InvalidAnswerError(f"the answer for `{which}` holds a negative number of events")
    parts, wholes = sum(part.values()), sum(total.values())
    if parts > wholes + max(_SKEW_EVENTS, _SKEW_SHARE * wholes):
        raise InvalidAnswerError(f"there are more {name} events than events in all ({parts:g} of {wholes:g})")
    cells = {}
    for start in sorted({*total, *part}):
        whole, counted_part = total.get(start, 0.0), part.get(start, 0.0)
        cells[start] = (whole - counted_part if good is not None else counted_part, whole)
    return BucketColumns(cells, step)


def until_known(columns: BucketColumns, known: int | None, span: Span) -> BucketColumns | LateReading:
    """Return the events up to the time since which the source does not know them; all where there is none.

    `known` is that time in seconds since the epoch.
    """
    if known is None or known >= second(span.end):
        return columns
    before = {start: cell for start, cell in columns.cells.items() if start < known}
    return LateReading(BucketColumns(before, columns.width), instant(known))
