"""What sources have in common that are asked about each SLI by itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.source import (
    Answer,
    Bucket,
    Inspection,
    LateReading,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.sent_queries import sent_queries
from bot.catalog.slo import Sli
from bot.catalog.window import Span

Reading = Sequence[Bucket] | LateReading
"""What a source counted for one SLI."""


class OneByOneSource(ABC):
    """A source that is asked about each SLI by itself; the methods without an underscore are the port's."""

    delay = timedelta()
    """How late events come at most; those of younger times are not asked for yet."""

    @abstractmethod
    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        """Return the events of one SLI; raises `SourceError`."""

    @abstractmethod
    async def check(self) -> None:
        """Make one cheap request to see whether the source answers; raises `SourceError`."""

    def groups(self, slis: Sequence[Sli], at_most: int) -> Sequence[Sequence[Sli]]:
        """Return each SLI alone."""
        del at_most
        return [[sli] for sli in dict.fromkeys(slis)]

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        """Read one SLI after the other; raises `SourceUnavailableError` if the source does not answer."""
        answers: list[Answer] = []
        for sli in slis:
            try:
                answers.append(await self._read(sli, span, step))
            except SourceUnavailableError:
                raise
            except SourceError as error:
                answers.append(error)
        return answers

    async def inspect(self, sli: Sli, span: Span, step: timedelta) -> Inspection:
        """Return what is sent for one SLI, and what the source says to it."""
        with sent_queries() as sent:
            try:
                answer: Answer = await self._read(sli, span, step)
            except SourceError as error:
                answer = error
        return Inspection(tuple(sent), answer, newest=_newest(answer))

    def narrowed(self, sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
        """Raise `SourceRefusedError`: what is asked here has no labels that could be added."""
        del sli, label, value, others
        raise SourceRefusedError("the events of this source cannot be divided by a label")

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Raise `SourceRefusedError`: see `narrowed`."""
        del label, match, span
        raise SourceRefusedError("this source does not list the values of labels")


def _newest(answer: Answer) -> datetime | None:
    """Return until when the source has data, as far as its answer says."""
    if isinstance(answer, LateReading):
        return answer.newest
    if isinstance(answer, SourceError) or not answer:
        return None
    return max(bucket.start + bucket.width for bucket in answer)
