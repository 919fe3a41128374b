"""The collector: asks the sources for what the ledger does not hold yet.

SLOs that want the same stretch of time, and that the source can answer together, are one question and one
writing. Where such a question fails, smaller ones are asked: none fails on account of its neighbours.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
import tenacity

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import MINUTE, base_width
from bot.budgets.ledger.state import LedgerState, ReadFault
from bot.budgets.read_plan import Read, edge_to_refine, is_ahead, plan_reads
from bot.budgets.source import (
    Bucket,
    InvalidAnswerError,
    Source,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.catalog.slo import CounterSli, LatencySli, Sli, Slo
from bot.catalog.window import Span, Window

log = structlog.get_logger()

_ATTEMPTS = 3
_MOST_TOGETHER = 500
_MOST_CELLS = 20_000
"""How many buckets one question may be answered with, over all its SLOs: what must fit into memory."""
_SMALLER_FOR = timedelta(hours=1)
"""For how long a source is spared questions as large as one that it could not answer."""

Answer = Sequence[Bucket] | SourceError
OnCollected = Callable[[Sequence[Slo]], None]


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How much of an SLO's reading is done, in buckets."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _BatchLimit:
    """How many SLOs a source is asked about together, until it is tried with more again."""

    size: int
    until: datetime


class Collector:
    """Brings the ledger up to date, of any number of SLOs at a time.

    `sources` go by the name that SLIs call them; `at_once` bounds the questions that are open to one of
    them, `retry_wait` is the pause before the second attempt (the third waits twice as long).
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
        self.progress: dict[str, ReadProgress] = {}
        """Readings of more than one question that are under way, by the SLO's key."""
        self._ledger = ledger
        # Hours that a source no longer tells minute by minute: not to be asked for again and again.
        self._forgotten: dict[str, Span] = {}
        self._open: dict[str, asyncio.Semaphore] = defaultdict(partial(asyncio.Semaphore, at_once))
        self._retry_wait = retry_wait
        self._limits: dict[str, _BatchLimit] = {}
        # Whose question failed on its own: asked alone until it is answered.
        self._alone: set[Sli] = set()

    async def collect(
        self,
        slos: Sequence[Slo],
        now: datetime,
        evaluate_every: timedelta,
        collected: OnCollected = lambda _: None,
    ) -> None:
        """Read what is new, late or missing. A source's failure is noted in the ledger, not raised.

        What was read before a failure is kept; the next call goes on from there. `collected` is told of
        SLOs as soon as nothing more is read for them, failed or not. A fault of ours (the database is
        away) is logged, and those SLOs are not told.
        """
        measured = [slo for slo in slos if isinstance(slo.sli, CounterSli | LatencySli)]
        if len(measured) < len(slos):
            collected([slo for slo in slos if not isinstance(slo.sli, CounterSli | LatencySli)])
        if not measured:
            return
        states = await self._prepare(measured, now, base_width(evaluate_every))
        plans = _plans(states, now, base_width(evaluate_every))
        groups = [
            self._read_group(source, {slo: states[slo] for slo in group}, reads, now, collected)
            for (source, reads), alike in plans.items()
            for group in self._grouped(source, alike, _most_points(reads), now)
        ]
        for outcome in await asyncio.gather(*groups, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("ledger.not_written", exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _prepare(self, slos: Sequence[Slo], now: datetime, base: int) -> dict[Slo, LedgerState]:
        """Return the ledgers' states, once no clock of the past and no other interval is in them."""
        states = dict(zip(slos, await self._ledger.states(slos), strict=True))
        changed = []
        for slo, state in states.items():
            if is_ahead(state, now):
                log.warning("ledger.cut_back", slo=slo.key, now=now.isoformat())
                await self._ledger.truncate(slo, now)
            if state.base != base:
                await self._ledger.change_resolution(slo, base, now)
            if is_ahead(state, now) or state.base != base:
                changed.append(slo)
        return states | dict(zip(changed, await self._ledger.states(changed), strict=True))

    def _grouped(self, source: str, slos: Sequence[Slo], points: int, now: datetime) -> list[list[Slo]]:
        """Sort SLOs of one source into groups that are asked together."""
        owners: dict[Sli, list[Slo]] = defaultdict(list)
        for slo in slos:
            owners[slo.sli].append(slo)
        door = self.sources.get(source)
        if door is None:
            return [list(slos)]
        limit = self._limits.get(source)
        at_most = _MOST_TOGETHER if limit is None or limit.until <= now else limit.size
        at_most = max(1, min(at_most, _MOST_CELLS // max(1, points)))
        alone = [[sli] for sli in owners if sli in self._alone]
        together = door.groups([sli for sli in owners if sli not in self._alone], at_most)
        return [[slo for sli in group for slo in owners[sli]] for group in (*alone, *together)]

    async def _read_group(
        self,
        source: str,
        states: dict[Slo, LedgerState],
        reads: Sequence[Read],
        now: datetime,
        collected: OnCollected,
    ) -> None:
        total, done = sum(read.points for read in reads), 0
        slos = tuple(states)
        left = list(slos)
        try:
            for read in reads:
                answers = await self._ask_all(source, left, read, now)
                failed = {slo: error for slo, error in answers.items() if isinstance(error, SourceError)}
                await self._note_failures(failed, now)
                told = [(slo, told) for slo, told in answers.items() if not isinstance(told, SourceError)]
                states |= await self._ledger.write(told, read.span, read.width, now)
                left = [slo for slo in left if slo not in failed]
                done += read.points
                self._tell(left, ReadProgress(done, total), len(reads))
        finally:
            for slo in slos:
                self.progress.pop(slo.key, None)
        await self._refine_edges(source, {slo: states[slo] for slo in left}, now)
        collected(slos)

    async def _note_failures(self, failed: Mapping[Slo, SourceError], now: datetime) -> None:
        alike: dict[tuple[ReadFault, str], list[Slo]] = defaultdict(list)
        for slo, error in failed.items():
            alike[_fault(error), str(error)].append(slo)
        for (fault, problem), slos in alike.items():
            log.warning(
                "ledger.read_failed", slo=slos[0].key, slos=len(slos), fault=fault.value, problem=problem
            )
            await self._ledger.record_failure(slos, fault, problem, now)

    async def _refine_edges(self, source: str, states: Mapping[Slo, LedgerState], now: datetime) -> None:
        """Read the hours in which the windows begin minute by minute."""
        edges = _edges(states, now)
        for edge, slos in edges.items():
            wanted = [slo for slo in slos if self._forgotten.get(slo.key) != edge]
            read = Read(edge, timedelta(seconds=MINUTE))
            for group in self._grouped(source, wanted, read.points, now):
                answers = await self._ask_all(source, group, read, now)
                told = {slo: told for slo, told in answers.items() if not isinstance(told, SourceError)}
                if len(told) < len(group):
                    # The hour stays as it is counted, and its share is good enough until the next attempt.
                    log.info("ledger.edge_not_refined", slos=len(group) - len(told))
                taken = await self._ledger.refine(list(told.items()), edge)
                for slo in told:
                    self._forgotten.pop(slo.key, None)
                    if slo not in taken:
                        self._forgotten[slo.key] = edge

    def _tell(self, slos: Sequence[Slo], progress: ReadProgress, questions: int) -> None:
        if questions > 1 and slos:
            self.progress.update({slo.key: progress for slo in slos})
            log.info(
                "ledger.filling", slo=slos[0].key, slos=len(slos), done=progress.done, total=progress.total
            )

    async def _ask_all(
        self, source: str, slos: Sequence[Slo], read: Read, now: datetime
    ) -> dict[Slo, Answer]:
        """Return for each SLO the buckets, or why there are none."""
        door = self.sources.get(source)
        if door is None:
            return dict.fromkeys(slos, SourceRefusedError(f"there is no source named {source}"))
        slis = list(dict.fromkeys(slo.sli for slo in slos))
        answers = await self._answers(source, door, slis, read, now) if slis else {}
        return {slo: answers[slo.sli] for slo in slos}

    async def _answers(
        self, source: str, door: Source, slis: Sequence[Sli], read: Read, now: datetime
    ) -> Mapping[Sli, Answer]:
        """Ask for all at once; if that fails, but not for each alone, ask for the halves."""
        try:
            answers = await self._ask(source, door, slis, read)
        except SourceError as error:
            if len(slis) == 1 or await self._fails_for_all(source, door, slis, read, error):
                return dict.fromkeys(slis, error)
            half = len(slis) // 2
            found = {
                **await self._answers(source, door, slis[:half], read, now),
                **await self._answers(source, door, slis[half:], read, now),
            }
            self._learn(source, found, half, now)
            return found
        found = dict(zip(slis, answers, strict=True))
        self._alone -= {sli for sli in slis if not isinstance(found[sli], SourceError)}
        return found

    async def _fails_for_all(
        self, source: str, door: Source, slis: Sequence[Sli], read: Read, error: SourceError
    ) -> bool:
        """Return whether the fault is the source's, not the question's: it answers neither end of it."""
        if isinstance(error, InvalidAnswerError):
            return False
        for sli in (slis[0], slis[-1]):
            try:
                async with self._open[source]:
                    await door.read_together([sli], read.span, read.width)
            except SourceError:
                continue
            return False
        return True

    def _learn(self, source: str, found: Mapping[Sli, Answer], half: int, now: datetime) -> None:
        """Remember for the next time why a question had to be divided."""
        faulty = {sli for sli, answer in found.items() if isinstance(answer, SourceError)}
        self._alone |= faulty
        if not faulty:
            known = self._limits.get(source)
            size = half if known is None or known.until <= now else min(half, known.size)
            self._limits[source] = _BatchLimit(size, now + _SMALLER_FOR)
            log.warning("ledger.asks_for_fewer", source=source, slos=size)

    async def _ask(self, source: str, door: Source, slis: Sequence[Sli], read: Read) -> list[Answer]:
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=self._retry_wait.total_seconds()),
            retry=tenacity.retry_if_exception_type(SourceUnavailableError),
            reraise=True,
        ):
            with attempt:
                async with self._open[source]:
                    answers = await door.read_together(slis, read.span, read.width)
                return [_plausible(answer, read) for answer in answers]
        raise AssertionError("tenacity answers or raises")


def _plans(
    states: Mapping[Slo, LedgerState], now: datetime, base: int
) -> dict[tuple[str, tuple[Read, ...]], list[Slo]]:
    """Sort SLOs by their source and what is to be read."""
    planned: dict[tuple[LedgerState, Window], tuple[Read, ...]] = {}
    plans: dict[tuple[str, tuple[Read, ...]], list[Slo]] = defaultdict(list)
    for slo, state in states.items():
        if not isinstance(slo.sli, CounterSli | LatencySli):
            continue
        key = state, slo.window
        if key not in planned:
            planned[key] = tuple(plan_reads(state, slo.window, now, base))
        plans[slo.sli.source, planned[key]].append(slo)
    return plans


def _edges(states: Mapping[Slo, LedgerState], now: datetime) -> dict[Span, list[Slo]]:
    known: dict[tuple[LedgerState, Window], Span | None] = {}
    edges: dict[Span, list[Slo]] = defaultdict(list)
    for slo, state in states.items():
        key = state, slo.window
        if key not in known:
            known[key] = edge_to_refine(state, slo.window, now)
        edge = known[key]
        if edge is not None:
            edges[edge].append(slo)
    return edges


def _most_points(reads: Collection[Read]) -> int:
    return max((read.points for read in reads), default=1)


def _fault(error: SourceError) -> ReadFault:
    match error:
        case InvalidAnswerError():
            return ReadFault.INVALID
        case SourceRefusedError():
            return ReadFault.REFUSED
        case _:
            return ReadFault.NO_DATA


def _plausible(answer: Answer, read: Read) -> Answer:
    """Return the buckets if they can be written, `InvalidAnswerError` if they cannot be true."""
    if isinstance(answer, SourceError):
        return answer
    for bucket in answer:
        if not (math.isfinite(bucket.bad) and math.isfinite(bucket.total)):
            return InvalidAnswerError(f"the source answered no number for {bucket.start.isoformat()}")
    return [bucket for bucket in answer if read.span.start <= bucket.start < read.span.end]
