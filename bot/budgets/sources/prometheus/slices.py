"""Slices of time as events, by the counters' events within them: each is good or bad as a whole. Pure.

A slice begins at a multiple of its length since the epoch, and is an event of the bucket in which it ends.
"""

from collections.abc import Sequence
from datetime import timedelta

from bot.budgets.source import Answer, Bucket, BucketColumns, Cell, LateReading, SourceError
from bot.budgets.sources.prometheus.events import instant, seconds
from bot.catalog.slo import CounterSlicesSli
from bot.catalog.window import Span


def slices_span(span: Span, of: timedelta) -> Span:
    """Return the slices that end within a span, at least the last one that has ended with it."""
    length = int(of.total_seconds())
    first, end = -(-(seconds(span.start) - length + 1) // length), seconds(span.end) // length
    return Span(instant(min(first, end - 1) * length), instant(end * length))


def as_slices(sli: CounterSlicesSli, answer: Answer, span: Span, step: timedelta) -> Answer:
    """Return the slices of the span in buckets of width `step`, given the events in buckets of a slice."""

    def judged(slices: Sequence[Bucket]) -> BucketColumns:
        return BucketColumns(_judged(sli, slices, int(step.total_seconds())), step).within(span)

    if isinstance(answer, LateReading):
        return LateReading(judged(answer.buckets), answer.newest)
    if not isinstance(answer, SourceError):
        return judged(answer)
    if answer.counted is not None:
        answer.counted = judged(answer.counted)
    return answer


def _judged(sli: CounterSlicesSli, slices: Sequence[Bucket], width: int) -> dict[int, Cell]:
    cells: dict[int, Cell] = {}
    for each in slices:
        if each.total > 0:
            start = bucket_of(seconds(each.start + each.width), width)
            bad, total = cells.get(start, (0.0, 0.0))
            is_good = sli.good_when.holds((each.total - each.bad) / each.total)
            cells[start] = bad + (not is_good), total + 1
    return cells


def bucket_of(at: int, width: int) -> int:
    """Return the start of the bucket of an event at a second: one at a bucket's end is still in it."""
    return (at - 1) // width * width
