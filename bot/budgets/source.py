"""The port to monitoring systems: what a source can do, and how it may fail.

SourceError
├── SourceUnavailableError   no answer, or a transient fault; retryable
├── SourceRefusedError       the query or the credentials are wrong; a retry will not help
├── NoSeriesError            nothing matches the query: data is missing, which is not the same as no events
└── InvalidAnswerError       an answer that cannot be true (NaN, negative, more bad than all)
    ├── AnswerTooLargeError  an answer with more bytes than are read of one
    └── UnmeasurableError    some of the events cannot be told good from bad (no such bucket)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol, overload, runtime_checkable

from bot.catalog.slo import Sli
from bot.catalog.window import Span


class SourceError(Exception):
    """A source could not be read. The message is fit for the person who owns the policy.

    `counted` is what a span in the past holds in spite of the error: it may lie before the metric began. None
    where that is not known.
    """

    retryable: ClassVar[bool] = False
    counted: "Sequence[Bucket] | None" = None


class SourceUnavailableError(SourceError):
    """The source did not answer, or has a transient fault."""

    retryable = True


class SourceRefusedError(SourceError):
    """The source rejected the request: a faulty query, wrong credentials."""


class NoSeriesError(SourceError):
    """At the end of the span the source has no series that the query selects: events may be missing.

    `newest` is the time of the newest sample before, if there is one; `counted` are the events up to it.
    """

    def __init__(
        self, message: str, counted: "Sequence[Bucket]" = (), newest: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.counted = counted
        self.newest = newest


class InvalidAnswerError(SourceError):
    """The source answered with numbers that cannot be true."""


class AnswerTooLargeError(InvalidAnswerError):
    """The source answered with more than is read of one answer."""


class UnmeasurableError(InvalidAnswerError):
    """At the end of the span the source has events of which it does not know whether they were good.

    `counted` are the events of the steps that have none of those.
    """

    def __init__(self, message: str, counted: "Sequence[Bucket]" = ()) -> None:
        super().__init__(message)
        self.counted = counted


@dataclass(frozen=True, slots=True)
class Bucket:
    """The events of one time bucket: [start, start + width)."""

    start: datetime
    width: timedelta
    bad: float
    total: float


Cell = tuple[float, float]
"""The bad events and all events of one bucket."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BucketColumns(Sequence[Bucket]):
    """Buckets of one width, as numbers: a month of an SLO has thousands, and each is an object otherwise.

    `cells` are by the bucket's start in seconds since the epoch, oldest first.
    """

    __slots__ = ("cells", "width")

    def __init__(self, cells: Mapping[int, Cell], width: timedelta) -> None:
        self.cells = cells
        self.width = width

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> Bucket: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Bucket]: ...
    def __getitem__(self, index: int | slice) -> Bucket | Sequence[Bucket]:
        return list(self)[index]

    def __iter__(self) -> Iterator[Bucket]:
        for start, (bad, total) in self.cells.items():
            yield Bucket(_EPOCH + timedelta(seconds=start), self.width, bad, total)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((self.width, len(self.cells)))

    def __repr__(self) -> str:
        return repr(list(self))

    def within(self, span: Span) -> "BucketColumns":
        """Return those that begin in the span."""
        first, until = (at.timestamp() for at in (span.start, span.end))
        if not self.cells or (first <= min(self.cells) and max(self.cells) < until):
            return self
        return BucketColumns({at: cell for at, cell in self.cells.items() if first <= at < until}, self.width)


@dataclass(frozen=True, slots=True)
class LateReading:
    """The events of a span whose last part the source has not received yet.

    `newest` is the time of the newest sample: what happened after it is not known.
    """

    buckets: Sequence[Bucket]
    newest: datetime


Answer = Sequence[Bucket] | LateReading | SourceError
"""What a source answers for one SLI."""


@dataclass(frozen=True, slots=True)
class SentQuery:
    """A query as it was sent to a source: what was called, and with which parameters."""

    endpoint: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a source says of one SLI when somebody asks: what was sent, and what came back.

    `series` is how many series have the events, None where the source does not say (a full query);
    `newest` is the time of the newest sample, None where there is none or it is not known.
    """

    queries: tuple[SentQuery, ...]
    answer: Answer
    series: int | None = None
    newest: datetime | None = None


def buckets_of(answer: Sequence[Bucket] | LateReading) -> Sequence[Bucket]:
    """Return the events of an answer, late or not."""
    return answer.buckets if isinstance(answer, LateReading) else answer


@dataclass(frozen=True, slots=True)
class Births:
    """The series that began in a span: how many, and of how many the first sample was not counted.

    `events` are those that came with these samples: since when they were counted is not proven.
    """

    series: int
    uncounted: int
    events: float


@runtime_checkable
class ScrapedSource(Protocol):
    """A source whose counters begin with a sample that may hold events from before it."""

    async def births(self, sli: Sli, span: Span) -> Births | None:
        """Return which series of an SLI began in a span, to the hour; None for an SLI without series.

        Raises `SourceError`.
        """
        ...


@runtime_checkable
class DelayedSource(Protocol):
    """A source whose events come late: those of the last `delay` are not asked for yet."""

    delay: timedelta


def delay_of(source: object) -> timedelta:
    """Return how late a source's events come; nothing for one that does not say."""
    return source.delay if isinstance(source, DelayedSource) else timedelta()


class Source(Protocol):
    """A monitoring system that counts events."""

    def groups(self, slis: Sequence[Sli], at_most: int) -> Sequence[Sequence[Sli]]:
        """Divide SLIs into groups that can be read together, none larger than `at_most`."""
        ...

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        """Return for each SLI of a group the events of `span` in buckets of width `step`, oldest first.

        `span` is aligned: start and end are multiples of `step` since the epoch. Buckets without events
        may be left out. Where the newest sample is minutes older than the end of the span, it is a
        `LateReading`. An error that concerns one SLI is returned in its place, `NoSeriesError` where the
        source has nothing that it could count; `SourceError` is raised where there is no answer for any.
        """
        ...

    async def inspect(self, sli: Sli, span: Span, step: timedelta) -> Inspection:
        """Return what is sent for one SLI alone and what the source says to it; errors are its answer."""
        ...

    def narrowed(self, sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
        """Return the SLI of the events whose label has the value; with `others`, another that is not empty.

        Raises `SourceRefusedError` for an SLI that the source does not count.
        """
        ...

    async def check(self) -> None:
        """Make one cheap request to see whether the source answers; raises `SourceError`."""
        ...

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values that a label has in `span`, on the series that `match` selects (None: on all).

        A value may be returned for a while after the last series with it has ended. Raises `SourceError`.
        """
        ...
