"""The collector: asks the sources for what the ledger does not hold yet, and turns counts into budgets."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
import tenacity

from bot.budgets.assessment import Question, assess_all
from bot.budgets.budget import Budget
from bot.budgets.ledger import Ledger
from bot.budgets.ledger_state import Fault
from bot.budgets.reads import Read, edge_to_refine, is_ahead, plan_reads
from bot.budgets.slo import CounterSli, LatencySli, Slo
from bot.budgets.source import (
    Bucket,
    InvalidAnswer,
    Source,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from bot.budgets.tiers import MINUTE, base_width
from bot.budgets.window import Span

log = structlog.get_logger()

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of an SLO's reading is done, in buckets."""

    done: int
    total: int


class Collector:
    """Brings the ledger up to date, one SLO at a time; any number of SLOs may be under way at once.

    `sources` go by the name that SLIs call them; `at_once` bounds the questions that are open at a
    time, `retry_wait` is the pause before the second attempt (the third waits twice as long).
    """

    def __init__(
        self,
        ledger: Ledger,
        sources: Mapping[str, Source],
        *,
        at_once: int = 8,
        retry_wait: timedelta = timedelta(milliseconds=500),
    ) -> None:
        self.sources = sources
        self.progress: dict[str, Progress] = {}
        """Readings of more than one question that are under way, by the SLO's key."""
        self._ledger = ledger
        # Hours that a source no longer tells minute by minute: not to be asked for again and again.
        self._forgotten: dict[str, Span] = {}
        self._open = asyncio.Semaphore(at_once)
        self._retry_wait = retry_wait
        self._every = timedelta(minutes=1)

    async def collect(self, slo: Slo, now: datetime, evaluate_every: timedelta) -> None:
        """Read what is new, late or missing. A source's failure is noted in the ledger, not raised.

        What was read before a failure is kept; the next call goes on from there.
        """
        self._every = evaluate_every
        sli = slo.sli
        if not isinstance(sli, CounterSli | LatencySli):
            return
        try:
            source = self.sources.get(sli.source)
            if source is None:
                raise SourceRefused(f"there is no source named {sli.source}")
            await self._read_all(slo, source, now, base_width(evaluate_every))
        except SourceError as error:
            fault = _fault(error)
            log.warning("ledger.read_failed", slo=slo.key, fault=fault.value, problem=str(error))
            await self._ledger.note_failure(slo, fault, str(error), now)

    async def assess(self, slo: Slo, burn_windows: Sequence[timedelta], now: datetime) -> Budget:
        """Answer the SLO's budget from what is counted already, with the burn rate in these windows too.

        Counts are stale by the interval of the last `collect`.
        """
        question = Question(slo, tuple(burn_windows))
        return (await assess_all(self._ledger, [question], now, self._every))[0]

    async def _read_all(self, slo: Slo, source: Source, now: datetime, base: int) -> None:
        state = await self._ledger.state(slo)
        if is_ahead(state, now):
            log.warning("ledger.cut_back", slo=slo.key, now=now.isoformat())
            await self._ledger.cut_back(slo, now)
            state = await self._ledger.state(slo)
        if state.base != base:
            await self._ledger.rebase(slo, base, now)
            state = await self._ledger.state(slo)
        reads = plan_reads(state, slo.window, now, base)
        total, done = sum(read.points for read in reads), 0
        try:
            for read in reads:
                buckets = await self._ask(slo, source, read)
                await self._ledger.write(slo, read.span, buckets, read.width, now)
                done += read.points
                self._tell(slo, Progress(done, total), len(reads))
        finally:
            self.progress.pop(slo.key, None)
        await self._refine_edge(slo, source, now)

    async def _refine_edge(self, slo: Slo, source: Source, now: datetime) -> None:
        edge = edge_to_refine(await self._ledger.state(slo), slo.window, now)
        if edge is None or self._forgotten.get(slo.key) == edge:
            return
        self._forgotten.pop(slo.key, None)
        try:
            minutes = await self._ask(slo, source, Read(edge, timedelta(seconds=MINUTE)))
        except SourceError as error:
            # The hour stays as it is counted, and its share is good enough until the next attempt.
            log.info("ledger.edge_not_refined", slo=slo.key, problem=str(error))
            return
        if not await self._ledger.refine(slo, edge, minutes):
            self._forgotten[slo.key] = edge

    def _tell(self, slo: Slo, progress: Progress, questions: int) -> None:
        if questions > 1:
            self.progress[slo.key] = progress
            log.info("ledger.filling", slo=slo.key, done=progress.done, total=progress.total)

    async def _ask(self, slo: Slo, source: Source, read: Read) -> Sequence[Bucket]:
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=self._retry_wait.total_seconds()),
            retry=tenacity.retry_if_exception_type(SourceUnavailable),
            reraise=True,
        ):
            with attempt:
                async with self._open:
                    buckets = await source.read(slo.sli, read.span, read.width)
                    return _plausible(buckets, read)
        raise AssertionError("tenacity answers or raises")


def _fault(error: SourceError) -> Fault:
    match error:
        case InvalidAnswer():
            return Fault.INVALID
        case SourceRefused():
            return Fault.REFUSED
        case _:
            return Fault.NO_DATA


def _plausible(buckets: Sequence[Bucket], read: Read) -> Sequence[Bucket]:
    """Answer the buckets if they can be written; raise `InvalidAnswer` if they cannot be true."""
    for bucket in buckets:
        if not (math.isfinite(bucket.bad) and math.isfinite(bucket.total)):
            raise InvalidAnswer(f"the source answered no number for {bucket.start.isoformat()}")
    return [bucket for bucket in buckets if read.span.start <= bucket.start < read.span.end]
