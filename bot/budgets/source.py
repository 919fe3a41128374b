"""The port to monitoring systems: what a source must be able to do, and how it may fail.

SourceError
├── SourceUnavailable   no answer, or a passing fault; retryable
├── SourceRefused       the query or the credentials are wrong; asking again will not help
└── InvalidAnswer       an answer that cannot be true (NaN, negative, more bad than all, no such bucket)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.catalog.slo import Sli
from bot.catalog.window import Span


class SourceError(Exception):
    """A source could not be read. The message is fit for the person who owns the policy."""

    retryable = False


class SourceUnavailableError(SourceError):
    """The source did not answer, or not this time."""

    retryable = True


class SourceRefusedError(SourceError):
    """The source understood and said no: a faulty query, wrong credentials."""


class InvalidAnswerError(SourceError):
    """The source answered with numbers that cannot be true."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The events of one stretch of time: [start, start + width)."""

    start: datetime
    width: timedelta
    bad: float
    total: float


class Source(Protocol):
    """A monitoring system that counts events."""

    def groups(self, slis: Sequence[Sli], at_most: int) -> Sequence[Sequence[Sli]]:
        """Sort SLIs into groups that the system answers together, none larger than `at_most`."""
        ...

    async def read_together(
        self, slis: Sequence[Sli], span: Span, step: timedelta
    ) -> Sequence[Sequence[Bucket] | SourceError]:
        """Count for each SLI of a group the events of `span` in buckets of width `step`, oldest first.

        `span` is aligned: start and end are multiples of `step` since the epoch. Buckets without
        events may be left out. What is wrong with one SLI's answer is its answer; raises `SourceError`
        where there is none for any.
        """
        ...

    async def check(self) -> None:
        """Ask one cheap question to see whether the source answers; raises `SourceError`."""
        ...

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values that a label has in `span`, on the series that `match` selects; None is all.

        A value may be answered for a while after the span's series ceased to have it. Raises `SourceError`.
        """
        ...
