"""The collector: reads from the sources what the ledger does not hold yet, and writes it to the ledger.

SLOs that need the same reads from one source are read in batches (`batch_reader.py`) and written together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog

from bot.budgets.batch_reader import BatchReader
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import MINUTE, base_width
from bot.budgets.ledger.state import LedgerState, ReadFault
from bot.budgets.read_plan import Read, earlier_read, edge_to_refine, is_ahead, is_hourly_read_due, plan_reads
from bot.budgets.source import (
    InvalidAnswerError,
    LateReading,
    Source,
    SourceError,
    SourceRefusedError,
    buckets_of,
)
from bot.catalog.slo import CounterSli, LatencySli, Slo
from bot.catalog.window import Span, Window

log = structlog.get_logger()

OnCollected = Callable[[Sequence[Slo]], None]


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How much of an SLO's reads is done, in buckets."""

    done: int
    total: int


class Collector:
    """Brings the ledger up to date, for any number of SLOs at a time.

    `sources` are called by the names that SLIs give them; `at_once` bounds the open requests to one
    source, `retry_wait` is the pause before the second attempt (the third waits twice as long).
    """

    def __init__(
        self,
        ledger: Ledger,
        sources: Mapping[str, Source],
        *,
        at_once: int = 8,
        retry_wait: timedelta = timedelta(milliseconds=500),
    ) -> None:
        self._reader = BatchReader(sources, at_once, retry_wait)
        self._ledger = ledger
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
        """Read what is new, late or missing. A source's failure is stored in the ledger, not raised.

        What was read before a failure is kept; the next call continues from there. `collected` is called
        with SLOs as soon as nothing more is read for them, whether or not they failed. A fault of ours
        (the database is away) is logged, and `collected` is not called with those SLOs.
        """
        measured = [slo for slo in slos if isinstance(slo.sli, CounterSli | LatencySli)]
        if len(measured) < len(slos):
            collected([slo for slo in slos if not isinstance(slo.sli, CounterSli | LatencySli)])
        if not measured:
            return
        base = base_width(evaluate_every)
        states = await self._prepare(measured, now, base)
        plans = _plans(states, now, base)
        due = {slo for slo, state in states.items() if is_hourly_read_due(state, now, base, slo.key)}
        batches = [
            self._collect_batch(
                source_name, {slo: states[slo] for slo in batch}, reads, now, collected, due=due
            )
            for (source_name, reads), alike in plans.items()
            for batch in self._reader.batches(source_name, alike, _most_points(reads), now)
        ]
        for outcome in await asyncio.gather(*batches, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("collection_failed", exc_info=outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _prepare(self, slos: Sequence[Slo], now: datetime, base: int) -> dict[Slo, LedgerState]:
        """Return the ledgers' states, after mending those with times in the future or another resolution."""
        states = dict(zip(slos, await self._ledger.states(slos), strict=True))
        changed = []
        for slo, state in states.items():
            if is_ahead(state, now):
                log.warning("ledger_truncated", slo=slo.key, now=now.isoformat())
                await self._ledger.truncate(slo, now)
            if state.base != base:
                await self._ledger.change_resolution(slo, base, now)
            if is_ahead(state, now) or state.base != base:
                changed.append(slo)
        return states | dict(zip(changed, await self._ledger.states(changed), strict=True))

    async def _collect_batch(
        self,
        source_name: str,
        states: dict[Slo, LedgerState],
        reads: Sequence[Read],
        now: datetime,
        collected: OnCollected,
        *,
        due: Collection[Slo],
    ) -> None:
        total, done = sum(read.points for read in reads), 0
        slos = tuple(states)
        remaining = list(slos)
        try:
            for read in reads:
                answers = await self._reader.read(source_name, remaining, read, now)
                failed = {slo: error for slo, error in answers.items() if isinstance(error, SourceError)}
                await self._record_failures(failed, now)
                readings = [
                    (slo, buckets_of(answer))
                    for slo, answer in answers.items()
                    if not isinstance(answer, SourceError)
                ]
                newest = {
                    slo: answer.newest for slo, answer in answers.items() if isinstance(answer, LateReading)
                }
                states |= await self._ledger.write(readings, read.span, read.width, now, newest)
                remaining = [slo for slo in remaining if slo not in failed]
                done += read.points
                self._report(remaining, ReadProgress(done, total), len(reads))
        finally:
            for slo in slos:
                self._progress.pop(slo.key, None)
        await self._refine_edges(source_name, {slo: states[slo] for slo in remaining}, now)
        collected(slos)
        await self._read_earlier(source_name, {slo: states[slo] for slo in remaining if slo in due}, now)

    async def _record_failures(self, failed: Mapping[Slo, SourceError], now: datetime) -> None:
        alike: dict[tuple[ReadFault, str], list[Slo]] = defaultdict(list)
        for slo, error in failed.items():
            alike[_fault(error), str(error)].append(slo)
        for (fault, problem), slos in alike.items():
            log.warning("read_failed", slo=slos[0].key, slos=len(slos), fault=fault.value, problem=problem)
            await self._ledger.record_failure(slos, fault, problem, now)

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


def _plans(
    states: Mapping[Slo, LedgerState], now: datetime, base: int
) -> dict[tuple[str, tuple[Read, ...]], list[Slo]]:
    """Group SLOs by their source and the reads that they need."""
    reads_by_state: dict[tuple[LedgerState, Window, bool], tuple[Read, ...]] = {}
    plans: dict[tuple[str, tuple[Read, ...]], list[Slo]] = defaultdict(list)
    for slo, state in states.items():
        if not isinstance(slo.sli, CounterSli | LatencySli):
            continue
        all_minutes = is_hourly_read_due(state, now, base, slo.key)
        key = state, slo.window, all_minutes
        if key not in reads_by_state:
            reads_by_state[key] = tuple(plan_reads(state, slo.window, now, base, all_minutes=all_minutes))
        plans[slo.sli.source, reads_by_state[key]].append(slo)
    return plans


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


def _fault(error: SourceError) -> ReadFault:
    match error:
        case InvalidAnswerError():
            return ReadFault.INVALID
        case SourceRefusedError():
            return ReadFault.REFUSED
        case _:
            return ReadFault.NO_DATA
