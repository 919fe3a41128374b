"""A source for tests that counts by a formula, and fails when told to."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.budget import Events
from bot.budgets.slo import Sli
from bot.budgets.source import Bucket, SourceError
from bot.budgets.tiers import seconds
from bot.budgets.window import Span


def truth(span: Span) -> Events:
    """Answer how many events happened in the span: about 1.7 a second, a few of them bad, unevenly."""
    start, end = int(seconds(span.start)), int(seconds(span.end))
    return Events(_bad(end) - _bad(start), _total(end) - _total(start))


def _total(until: int) -> float:
    return until * 17 // 10 + until // 977 * 300


def _bad(until: int) -> float:
    return until // 61 + until // 977 * 10


class CountingSource:
    """Answers the truth. `failure` is raised instead while it is set; `begins` is its oldest memory."""

    def __init__(self) -> None:
        self.failure: SourceError | None = None
        self.fails_before: datetime | None = None
        self.begins: datetime | None = None
        self.missing: Span | None = None
        self.reads: list[tuple[Span, timedelta]] = []
        self.attempts = 0

    async def read(self, sli: Sli, span: Span, step: timedelta) -> Sequence[Bucket]:  # noqa: ARG002 - the port's
        self.attempts += 1
        if self.failure is not None and (self.fails_before is None or span.start < self.fails_before):
            raise self.failure
        assert seconds(span.start) % step.total_seconds() == seconds(span.end) % step.total_seconds() == 0
        self.reads.append((span, step))
        return [
            Bucket(part.start, step, events.bad, events.total)
            for number in range(span.length // step)
            if self._knows(part := Span(span.start + number * step, span.start + (number + 1) * step))
            for events in [truth(part)]
        ]

    async def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _knows(self, part: Span) -> bool:
        if self.begins is not None and part.start < self.begins:
            return False
        return self.missing is None or not self.missing.start <= part.start < self.missing.end
