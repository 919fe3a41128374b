"""Tells metrics that come late from those that have ended, by whether their samples go on coming."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.reading.read_plan import Read
from bot.budgets.source import Answer, Bucket, LateReading, NoSeriesError, SourceError
from bot.catalog.slo import Slo

_SLACK = timedelta(minutes=5)
"""How much later than before samples may come until the metric counts as ended."""


class Lags:
    """How old the newest samples of SLOs became until further ones came, as far as this process has seen."""

    def __init__(self) -> None:
        self._newest: dict[str, datetime] = {}
        self._lags: dict[str, timedelta] = {}

    def judged(self, slo: Slo, answer: Answer, read: Read) -> Answer:
        """Return a late reading for a metric that seems to have ended, but goes on that late."""
        if not isinstance(answer, LateReading | NoSeriesError) or answer.newest is None:
            return answer
        before = self._newest.get(slo.key)
        if before is not None and before < answer.newest:
            self._lags[slo.key] = read.span.end - before
        self._newest[slo.key] = answer.newest
        lag = self._lags.get(slo.key)
        if isinstance(answer, LateReading) or lag is None or read.span.end - answer.newest > lag + _SLACK:
            return answer
        return LateReading(answer.counted or (), answer.newest)


def known_of(answer: Answer) -> Sequence[Bucket] | LateReading | None:
    """Return what an answer counted, if only up to where the metric ended; None where it says nothing."""
    if isinstance(answer, NoSeriesError) and answer.newest is not None:
        return LateReading(answer.counted or (), answer.newest)
    return None if isinstance(answer, SourceError) else answer
