"""The collector: reads from the sources what the ledger does not hold yet, and writes it to the ledger.

SLOs that need the same reads from one source are read in batches (`batch_reader.py`) and written together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import MINUTE, base_width, floor, instant, seconds
from bot.budgets.ledger.state import LedgerState
from bot.budgets.reading.batch_reader import BatchReader
from bot.budgets.reading.lags import Lags, known_of
from bot.budgets.reading.read_failures import FailureLog, by_failure
from bot.budgets.reading.read_plan import (
    Read,
    ReadPlan,
    earlier_read,
    edge_to_refine,
    is_ahead,
    is_delayed_by_hours,
    is_hourly_read_due,
    plan_reads,
    turns,
)
from bot.budgets.source import LateReading, Source, SourceError, buckets_of, delay_of
from bot.catalog.slo import Slo, SourceSli
from bot.catalog.window import Span, Window
from bot.pacing import Pacer

log = structlog.get_logger()

OnCollected = Callable[[Sequence[Slo]], None]

_GROUPED_AT_ONCE = 500
_HISTORY_AT_ONCE = 2
"""How many batches of one source are back-filled at a time: what is new goes beside them."""


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How much of an SLO's reads is done, in buckets."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """SLOs of one source that need the same reads."""

    source: str
    slos: Sequence[Slo]
    reads: tuple[Read, ...]


class _ReadingPart:
    """What is new or what is earlier: how many batches of a source are read at a time, and what failed."""

    def __init__(self, at_once: int) -> None:
        self.places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(at_once))
        self.failures = FailureLog()


class _Progress:
    """Counts the reads of SLOs that are read together."""

    def __init__(self, reads: Sequence[Read]) -> None:
        self._total = sum(read.points for read in reads)
        self._done = 0

    def add(self, read: Read) -> ReadProgress:
        self._done += read.points
        return ReadProgress(self._done, self._total)


class Collector:
    """Brings the ledger up to date, for any number of SLOs at a time.

    `sources` are called by the names that SLIs give them; `at_once` bounds how many batches of one source
    are read or written at a time, `retry_wait` is the pause before the second attempt (the third waits twice
    as long).
    """

    def __init__(
        self,
        ledger: Ledger,
        sources: Mapping[str, Source],
        *,
        at_once: int = 4,
        retry_wait: timedelta = timedelta(milliseconds=500),
    ) -> None:
        self._reader = BatchReader(sources, at_once, retry_wait)
        self._ledger = ledger
        # A batch keeps its place until it is written: answers that wait for the database are held in memory.
        self._new = _ReadingPart(at_once)
        self._older = _ReadingPart(_HISTORY_AT_ONCE)
        self._filling: set[str] = set()
        self._lags = Lags()
        self._progress: dict[str, ReadProgress] = {}
        # Hours of which the source no longer has all minutes, by SLO: not to be read again and again.
        self._unrefinable: dict[str, Span] = {}

    @property
    def progress(self) -> Mapping[str, ReadProgress]:
        """The reads under way that need more than one request, by the SLO's key: a live, read-only view."""
        return MappingProxyType(self._progress)

    async def collect(
        self,
        slos: Sequence[Slo],
        now: datetime,
        evaluate_every: timedelta,
        collected: OnCollected = lambda _: None,
    ) -> None:
        """Read what is new or late of all SLOs, and then what is missing of their history.

        A source's failure is stored in the ledger, not raised. What was read before a failure is kept; the
        next call continues from there. `collected` is called with SLOs as soon as what is new of them is
        read, whether or not they failed, and again once their history is read. That may take minutes: a call
        meanwhile reads what is new, and leaves history to the first. A fault of ours (the database is away)
        is logged, and `collected` is not called with those SLOs.
        """
        measured = [slo for slo in slos if isinstance(slo.sli, SourceSli)]
        if len(measured) < len(slos):
            collected([slo for slo in slos if not isinstance(slo.sli, SourceSli)])
        if not measured:
            return
        base = base_width(evaluate_every)
        states = await self._prepare(measured, now, base)
        by_source: dict[str, list[Slo]] = defaultdict(list)
        for slo in measured:
            by_source[_source_of(slo)].append(slo)
        await asyncio.gather(
            *(
                self._collect_from(source, {slo: states[slo] for slo in alike}, now, base, collected)
                for source, alike in by_source.items()
            )
        )

    async def _collect_from(
        self,
        source: str,
        states: dict[Slo, LedgerState],
        present: datetime,
        base: int,
        collected: OnCollected,
    ) -> None:
        """Read what is new or late of all SLOs of one source, and then what is missing of their history.

        All of it is read as of the present less the source's delay.
        """
        delay = delay_of(self._reader.source(source))
        await self._follow_delay(states, delay, present)
        now = present - delay
        if is_delayed_by_hours(delay):
            now = instant(floor(seconds(now), MINUTE))
        plans = await _plans(states, now, base)
        lacking: dict[Slo, tuple[Read, ...]] = {}

        async def read_new(batch: _Batch) -> None:
            remaining = await self._read_all(self._new, batch, states, now)
            whole = {slo: states[slo] for slo in remaining if not plans[slo].history}
            await self._refine_edges(source, whole, now)
            collected(batch.slos)
            lacking.update((slo, plans[slo].history) for slo in remaining if slo not in whole)
            await self._read_earlier(
                source, {slo: state for slo, state in whole.items() if plans[slo].all_minutes}, now
            )

        async def read_history(batch: _Batch) -> None:
            try:
                remaining = await self._read_all(self._older, batch, states, now)
                await self._refine_edges(source, {slo: states[slo] for slo in remaining}, now)
                collected(batch.slos)
            finally:
                self._filling.difference_update(slo.key for slo in batch.slos)

        await self._for_each_batch(source, {slo: plan.new for slo, plan in plans.items()}, now, read_new)
        begun = {slo: reads for slo, reads in lacking.items() if slo.key not in self._filling}
        self._filling.update(slo.key for slo in begun)
        try:
            await self._for_each_batch(source, begun, now, read_history)
        finally:
            self._filling.difference_update(slo.key for slo in begun)

    async def _for_each_batch(
        self,
        source: str,
        reads: Mapping[Slo, tuple[Read, ...]],
        now: datetime,
        work: Callable[[_Batch], Awaitable[None]],
    ) -> None:
        """Work at all batches of SLOs that need the same reads."""
        alike: dict[tuple[Read, ...], list[Slo]] = defaultdict(list)
        for slo, needed in reads.items():
            alike[needed].append(slo)
        batches = []
        for needed, slos in alike.items():
            for first in range(0, len(slos), _GROUPED_AT_ONCE):
                some, points = slos[first : first + _GROUPED_AT_ONCE], _most_points(needed)
                batches += [
                    _Batch(source, batch, needed) for batch in self._reader.batches(source, some, points, now)
                ]
                # Which SLOs go together takes a while to find out for thousands.
                await asyncio.sleep(0)
        for outcome in await asyncio.gather(*map(work, batches), return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("collection_failed", exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _prepare(self, slos: Sequence[Slo], now: datetime, base: int) -> dict[Slo, LedgerState]:
        """Return the ledgers' states, after mending those with times in the future or another resolution."""
        states = dict(zip(slos, await self._ledger.states(slos), strict=True))
        changed, resized, pace = [], [], Pacer()
        for slo, state in states.items():
            await pace()
            if is_ahead(state, now):
                log.warning("ledger_truncated", slo=slo.key, now=now.isoformat())
                await self._ledger.truncate(slo, now)
            if state.base != base:
                resized.append(slo)
            if is_ahead(state, now) or state.base != base:
                changed.append(slo)
        if resized:
            await self._ledger.change_resolution(resized, base, now)
        return states | dict(zip(changed, await self._ledger.states(changed), strict=True))

    async def _follow_delay(self, states: dict[Slo, LedgerState], delay: timedelta, now: datetime) -> None:
        """Make the ledgers follow a source's delay where it is not the one that they were read with."""
        changed = {slo: state for slo, state in states.items() if state.delay != delay}
        if changed:
            log.info("source_delay_changed", slos=len(changed), delay_s=delay.total_seconds())
            await self._ledger.change_delay(changed, delay, now)
            states |= dict(zip(changed, await self._ledger.states(list(changed)), strict=True))

    async def _read_all(
        self,
        part: _ReadingPart,
        batch: _Batch,
        states: dict[Slo, LedgerState],
        now: datetime,
    ) -> list[Slo]:
        """Read and write for one batch, one read after the other; return the SLOs for which none failed.

        `states` are brought up to date.
        """
        remaining, progress = list(batch.slos), _Progress(batch.reads)
        failed: dict[Slo, SourceError] = {}
        try:
            for read in batch.reads:
                async with part.places[batch.source]:
                    failed |= await self._read_and_write(batch.source, remaining, read, states, now)
                remaining = [slo for slo in remaining if slo not in failed]
                self._report(remaining, progress.add(read), len(batch.reads))
        finally:
            for slo in batch.slos:
                self._progress.pop(slo.key, None)
        part.failures.log(batch.slos, by_failure(failed))
        return remaining

    async def _read_and_write(
        self,
        source: str,
        batch: Sequence[Slo],
        read: Read,
        states: dict[Slo, LedgerState],
        now: datetime,
    ) -> Mapping[Slo, SourceError]:
        """Read for one batch and write what came; return how it failed, by SLO."""
        answers = await self._reader.read(source, batch, read, now)
        answers = {slo: self._lags.judged(slo, answer, read) for slo, answer in answers.items()}
        failed = {slo: error for slo, error in answers.items() if isinstance(error, SourceError)}
        readings = {slo: known for slo, answer in answers.items() if (known := known_of(answer)) is not None}
        newest = {slo: known.newest for slo, known in readings.items() if isinstance(known, LateReading)}
        written = [(slo, buckets_of(known)) for slo, known in readings.items()]
        read_at = now + delay_of(self._reader.source(source))
        states |= await self._ledger.write(written, read.span, read.width, read_at, newest)
        for failure, alike in by_failure(failed).items():
            unrecorded = [slo for slo in alike if (states[slo].fault, states[slo].problem) != failure]
            if unrecorded:
                await self._ledger.record_failure(unrecorded, *failure)
        return failed

    async def _refine_edges(self, source_name: str, states: Mapping[Slo, LedgerState], now: datetime) -> None:
        """Read minute by minute the hours in which the windows begin."""
        for edge, slos in _edges(states, now).items():
            refinable = [slo for slo in slos if self._unrefinable.get(slo.key) != edge]
            read = Read(edge, timedelta(seconds=MINUTE))
            for batch in self._reader.batches(source_name, refinable, read.points, now):
                answers = await self._reader.read(source_name, batch, read, now)
                readings = {
                    slo: buckets_of(answer)
                    for slo, answer in answers.items()
                    if not isinstance(answer, SourceError)
                }
                if len(readings) < len(batch):
                    # The hour stays as it is; its share is good enough until the next attempt.
                    log.info("edge_refinement_failed", slos=len(batch) - len(readings))
                accepted = await self._ledger.refine(list(readings.items()), edge)
                for slo in readings:
                    self._unrefinable.pop(slo.key, None)
                    if slo not in accepted:
                        self._unrefinable[slo.key] = edge

    async def _read_earlier(self, source_name: str, states: Mapping[Slo, LedgerState], now: datetime) -> None:
        """Read another part of the time before the windows, which only pictures of the past rest on.

        A source that no longer has it, or takes no such request, is asked again an hour later: it is no fault
        of the budget.
        """
        parts: dict[Read, list[Slo]] = defaultdict(list)
        for slo, state in states.items():
            read = earlier_read(state, slo.window)
            if read is not None:
                parts[read].append(slo)
        for read, slos in parts.items():
            for batch in self._reader.batches(source_name, slos, read.points, now):
                answers = await self._reader.read(source_name, batch, read, now)
                readings = [
                    (slo, buckets_of(answer))
                    for slo, answer in answers.items()
                    if not isinstance(answer, SourceError)
                ]
                if len(readings) < len(batch):
                    log.info("earlier_history_not_read", slos=len(batch) - len(readings))
                await self._ledger.write(readings, read.span, read.width, now)

    def _report(self, slos: Sequence[Slo], progress: ReadProgress, requests: int) -> None:
        if requests > 1 and slos:
            self._progress.update({slo.key: progress for slo in slos})
            log.info(
                "backfill_continued",
                slo=slos[0].key,
                slos=len(slos),
                done=progress.done,
                total=progress.total,
            )


async def _plans(states: Mapping[Slo, LedgerState], now: datetime, base: int) -> dict[Slo, ReadPlan]:
    """Return what to read for each SLO."""
    plan_by_state: dict[tuple[LedgerState, Window, bool], ReadPlan] = {}
    plans: dict[Slo, ReadPlan] = {}
    turn_of, pace = turns(states), Pacer()
    for slo, state in states.items():
        await pace()
        all_minutes = is_hourly_read_due(state, now, base, turn_of[slo])
        key = state, slo.window, all_minutes
        if key not in plan_by_state:
            plan_by_state[key] = plan_reads(state, slo.window, now, base, all_minutes=all_minutes)
        plans[slo] = plan_by_state[key]
    return plans


def _source_of(slo: Slo) -> str:
    if isinstance(slo.sli, SourceSli):
        return slo.sli.source
    raise TypeError(f"{slo.key} is not read from a source")


def _edges(states: Mapping[Slo, LedgerState], now: datetime) -> dict[Span, list[Slo]]:
    """Group SLOs by the hour that is to be refined; leave out those that need none."""
    edge_by_state: dict[tuple[LedgerState, Window], Span | None] = {}
    edges: dict[Span, list[Slo]] = defaultdict(list)
    for slo, state in states.items():
        key = state, slo.window
        if key not in edge_by_state:
            edge_by_state[key] = edge_to_refine(state, slo.window, now)
        edge = edge_by_state[key]
        if edge is not None:
            edges[edge].append(slo)
    return edges


def _most_points(reads: Collection[Read]) -> int:
    return max((read.points for read in reads), default=1)
