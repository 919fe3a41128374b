"""A source for tests that counts by a formula, and fails on request."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import Budget, EventCounts
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import seconds
from bot.budgets.source import Answer, Bucket, Inspection, LateReading, SentQuery, SourceError
from bot.catalog.slo import Sli, Slo
from bot.catalog.window import Span
from tests.support.clock import MINUTE


def truth(span: Span) -> EventCounts:
    """Return how many events happened in the span: about 1.7 a second, a few of them bad, unevenly."""
    start, end = int(seconds(span.start)), int(seconds(span.end))
    return EventCounts(_bad(end) - _bad(start), _total(end) - _total(start))


def _total(until: int) -> float:
    return until * 17 // 10 + until // 977 * 300


def _bad(until: int) -> float:
    return until // 61 + until // 977 * 10


class CountingSource:
    """Returns exact counts. `failure` is raised instead while it is set; before `begins` it has no data.

    Nothing after `known_until` has arrived yet.
    """

    def __init__(self) -> None:
        self.failure: SourceError | None = None
        self.fails_before: datetime | None = None
        self.begins: datetime | None = None
        self.missing: Span | None = None
        self.known_until: datetime | None = None
        self.reads: list[tuple[Span, timedelta]] = []
        self.attempts = 0
        self.delay = timedelta()

    def groups(self, slis: Sequence[Sli], at_most: int) -> Sequence[Sequence[Sli]]:
        return [slis[at : at + at_most] for at in range(0, len(slis), at_most)]

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        self.attempts += 1
        if self.failure is not None and (self.fails_before is None or span.start < self.fails_before):
            raise self.failure
        assert seconds(span.start) % step.total_seconds() == seconds(span.end) % step.total_seconds() == 0
        self.reads.append((span, step))
        told = [
            Bucket(part.start, step, events.bad, events.total)
            for number in range(span.length // step)
            if self._knows(part := Span(span.start + number * step, span.start + (number + 1) * step))
            for events in [truth(part)]
        ]
        if self.known_until is not None and self.known_until < span.end:
            return [LateReading(told, self.known_until) for _ in slis]
        return [told for _ in slis]

    def narrowed(self, sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
        del label, value, others
        return sli

    async def inspect(self, sli: Sli, span: Span, step: timedelta) -> Inspection:
        try:
            (answer,) = await self.read_together([sli], span, step)
        except SourceError as error:
            return Inspection((SentQuery("formula", {"query": "truth"}),), error)
        return Inspection((SentQuery("formula", {"query": "truth"}),), answer, 1, span.end)

    async def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:  # noqa: ARG002 - the port's
        await self.check()
        return ()

    def _knows(self, part: Span) -> bool:
        if self.begins is not None and part.start < self.begins:
            return False
        if self.known_until is not None and part.end > self.known_until:
            return False
        return self.missing is None or not self.missing.start <= part.start < self.missing.end


async def assessed(ledger: Ledger, of: Slo, now: datetime, every: timedelta = MINUTE) -> Budget:
    """Return the SLO's budget from what is counted already."""
    (budget,) = await assess_all(ledger, [AssessmentRequest(of)], now, every)
    return budget
