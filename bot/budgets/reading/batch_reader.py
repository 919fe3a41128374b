"""Reads many SLIs from a source at once: batches, retries, and smaller batches where one fails.

A batch that fails is divided, so that no SLI fails because of its neighbours.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

import structlog
import tenacity

from bot.budgets.budget import MOST_EVENTS
from bot.budgets.reading.read_plan import Read
from bot.budgets.source import (
    Answer,
    AnswerTooLargeError,
    Bucket,
    BucketColumns,
    Cell,
    InvalidAnswerError,
    LateReading,
    Source,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
    buckets_of,
)
from bot.catalog.slo import Sli, Slo
from bot.retries import retried

log = structlog.get_logger()

_ATTEMPTS = 3
_MOST_SLIS = 500
_MOST_BUCKETS = 10_000
"""How many buckets one answer may have, over all its SLIs: it must fit into memory."""
_NEWEST_WITHIN = timedelta(minutes=2)
"""How long ago a read ends at most that shows whether the source has data now."""
_LIMITED_FOR = timedelta(hours=1)
"""How long a source gets only batches smaller than one that it could not answer."""


@dataclass(frozen=True, slots=True)
class _BatchLimit:
    """The largest batch for a source, in SLIs, until a larger one is tried again."""

    size: int
    until: datetime


class BatchReader:
    """Reads from `sources`, which are called by the names that SLIs give them.

    `at_once` bounds the open requests to one source; `retry_wait` is the pause before the second attempt,
    the third waits twice as long.
    """

    def __init__(self, sources: Mapping[str, Source], at_once: int, retry_wait: timedelta) -> None:
        self._sources = sources
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(partial(asyncio.Semaphore, at_once))
        self._retry_wait = retry_wait
        self._limits: dict[str, _BatchLimit] = {}
        # SLIs that failed by themselves: read alone until they succeed.
        self._alone: set[Sli] = set()

    def source(self, name: str) -> Source | None:
        """Return the source of that name, None if there is none."""
        return self._sources.get(name)

    def batches(self, source_name: str, slos: Sequence[Slo], points: int, now: datetime) -> list[list[Slo]]:
        """Divide SLOs of one source into batches; `points` is the largest number of buckets of one SLO."""
        slos_by_sli: dict[Sli, list[Slo]] = defaultdict(list)
        for slo in slos:
            slos_by_sli[slo.sli].append(slo)
        source = self._sources.get(source_name)
        if source is None:
            return [list(slos)]
        limit = self._limits.get(source_name)
        at_most = _MOST_SLIS if limit is None or limit.until <= now else limit.size
        at_most = max(1, min(at_most, _MOST_BUCKETS // max(1, points)))
        alone = [[sli] for sli in slos_by_sli if sli in self._alone]
        together = source.groups([sli for sli in slos_by_sli if sli not in self._alone], at_most)
        return [[slo for sli in batch for slo in slos_by_sli[sli]] for batch in (*alone, *together)]

    async def read(
        self, source_name: str, slos: Sequence[Slo], read: Read, now: datetime
    ) -> dict[Slo, Answer]:
        """Return for each SLO of a batch its buckets, late or not, or the error why there are none.

        That the source has nothing to count is an error only now: a time in the past may lie before the
        metric began.
        """
        source = self._sources.get(source_name)
        if source is None:
            return dict.fromkeys(slos, SourceRefusedError(f"there is no source named {source_name}"))
        slis = list(dict.fromkeys(slo.sli for slo in slos))
        answers = await self._read_or_divide(source_name, source, slis, read, now) if slis else {}
        if now - read.span.end > _NEWEST_WITHIN:
            answers = {sli: _of_the_past(answer) for sli, answer in answers.items()}
        return {slo: answers[slo.sli] for slo in slos}

    async def _read_or_divide(
        self, source_name: str, source: Source, slis: Sequence[Sli], read: Read, now: datetime
    ) -> Mapping[Sli, Answer]:
        """Read a batch; where it fails, but not for each SLI alone, read its halves."""
        try:
            batch = await self._read_with_retries(source_name, source, slis, read)
        except SourceError as error:
            if len(slis) == 1 or await self._fails_for_all(source_name, source, slis, read, error):
                return dict.fromkeys(slis, error)
            half = len(slis) // 2
            answers = {
                **await self._read_or_divide(source_name, source, slis[:half], read, now),
                **await self._read_or_divide(source_name, source, slis[half:], read, now),
            }
            self._adapt(source_name, answers, half, now)
            return answers
        answers = dict(zip(slis, batch, strict=True))
        self._alone -= {sli for sli in slis if not isinstance(answers[sli], SourceError)}
        return answers

    async def _fails_for_all(
        self, source_name: str, source: Source, slis: Sequence[Sli], read: Read, error: SourceError
    ) -> bool:
        """Return whether the source fails, not just the batch: its first and last SLI fail alone too."""
        if isinstance(error, InvalidAnswerError) and not isinstance(error, AnswerTooLargeError):
            return False
        for sli in (slis[0], slis[-1]):
            try:
                await self._ask(source_name, source, [sli], read)
            except SourceError:
                continue
            return False
        return True

    def _adapt(self, source_name: str, answers: Mapping[Sli, Answer], half: int, now: datetime) -> None:
        """Remember why a batch had to be divided: faulty SLIs, or else its size."""
        faulty = {sli for sli, answer in answers.items() if isinstance(answer, SourceError)}
        self._alone |= faulty
        if not faulty:
            limit = self._limits.get(source_name)
            size = half if limit is None or limit.until <= now else min(half, limit.size)
            self._limits[source_name] = _BatchLimit(size, now + _LIMITED_FOR)
            log.warning("batch_size_reduced", source=source_name, slos=size)

    async def _read_with_retries(
        self, source_name: str, source: Source, slis: Sequence[Sli], read: Read
    ) -> list[Answer]:
        answers = await retried(partial(self._ask, source_name, source, slis, read), self._retrying)
        return [_checked(answer, read) for answer in answers]

    def _retrying(self) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=self._retry_wait.total_seconds()),
            retry=tenacity.retry_if_exception_type(SourceUnavailableError),
            reraise=True,
        )

    async def _ask(
        self, source_name: str, source: Source, slis: Sequence[Sli], read: Read
    ) -> Sequence[Answer]:
        """Read a batch once, and make any error one of the source: the batch is divided then."""
        try:
            async with self._slots[source_name]:
                answers = await source.read_together(slis, read.span, read.width)
        except SourceError:
            raise
        except Exception as error:
            # The boundary between SLIs: an answer that nobody expected must not end the reading of others.
            raise InvalidAnswerError(f"its answer cannot be read: {type(error).__name__}") from error
        if len(answers) != len(slis):
            raise InvalidAnswerError(f"it answered {len(answers)} of {len(slis)} questions")
        return answers


def _of_the_past(answer: Answer) -> Answer:
    if isinstance(answer, LateReading):
        return answer.buckets
    return answer if not isinstance(answer, SourceError) or answer.counted is None else answer.counted


def _checked(answer: Answer, read: Read) -> Answer:
    """Return the buckets within the span; `InvalidAnswerError` if one of them cannot be true."""
    if isinstance(answer, SourceError):
        return _impossible(answer.counted or ()) or answer
    buckets = buckets_of(answer)
    impossible = _impossible(buckets)
    if impossible is not None:
        return impossible
    within: Sequence[Bucket]
    if isinstance(buckets, BucketColumns):
        within = buckets.within(read.span)
    else:
        within = [bucket for bucket in buckets if read.span.start <= bucket.start < read.span.end]
    return LateReading(within, answer.newest) if isinstance(answer, LateReading) else within


def _impossible(buckets: Sequence[Bucket]) -> InvalidAnswerError | None:
    """Return what is wrong with the buckets, None if nothing is.

    Bad events may be slightly negative where counters were read one after the other; never all events.
    """
    if isinstance(buckets, BucketColumns) and _are_possible(buckets.cells.values()):
        return None
    for bucket in buckets:
        at, most = bucket.start.isoformat(), max(abs(bucket.bad), abs(bucket.total))
        if not (math.isfinite(bucket.bad) and math.isfinite(bucket.total)):
            return InvalidAnswerError(f"the source answered no number for {at}")
        if most > MOST_EVENTS:
            return InvalidAnswerError(
                f"the source answered {most:g} events for {at}, more than can be counted"
            )
        if bucket.total < 0:
            return InvalidAnswerError(f"the source answered {bucket.total:g} events for {at}")
    return None


def _are_possible(cells: Collection[Cell]) -> bool:
    """Return whether all of many buckets can be true, without a look at each."""
    if not cells:
        return True
    bad, total = (list(map(itemgetter(kind), cells)) for kind in (0, 1))
    numbers = (min(bad), max(bad), min(total), max(total))
    return (
        math.isfinite(sum(bad))
        and math.isfinite(sum(total))
        and numbers[2] >= 0
        and all(abs(number) <= MOST_EVENTS for number in numbers)
    )
