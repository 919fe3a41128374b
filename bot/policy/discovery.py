"""Discovers the label values of documents with `forEach`, so that the policies have their services.

One replica queries the sources, once in each evaluation interval, and stores the values; all replicas read
them. A source that is away or gives an invalid answer changes nothing, also across a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from bot.budgets.source import Source, SourceError, SourceUnavailableError
from bot.clock import Clock
from bot.policy.faults import PolicyFault
from bot.policy.policy_set import ExpandedCatalog, PolicySet
from bot.policy.templates.label_values import (
    DiscoveryRequest,
    KnownValue,
    LabelKey,
    differences,
    learn,
    orphaned,
)
from bot.policy.watcher import PolicyWatcher
from bot.store import label_values as store
from bot.store.database import Database
from bot.store.leases import Lease

log = structlog.get_logger(__name__)

Answer = Sequence[str] | SourceError
Known = Mapping[LabelKey, Sequence[KnownValue]]
Report = Callable[[Sequence[PolicyFault]], Awaitable[None]]


async def ask(
    requests: Collection[DiscoveryRequest], sources: Mapping[str, Source], now: datetime
) -> dict[LabelKey, Answer]:
    """Query the sources for the values of each request; return them, or the error."""
    ordered = list(requests)
    answers = await asyncio.gather(*(_ask_one(request, sources, now) for request in ordered))
    return {request.key: answer for request, answer in zip(ordered, answers, strict=True)}


async def _ask_one(request: DiscoveryRequest, sources: Mapping[str, Source], now: datetime) -> Answer:
    source = sources.get(request.source)
    if source is None:
        # The policies changed a moment ago: the source is opened before the next query.
        return SourceUnavailableError(f"{request.source} is not open yet")
    try:
        return await source.label_values(request.key.label, request.match, request.span(now))
    except SourceError as error:
        return error
    except Exception as error:
        # The boundary between sources: an unexpected error of one must not hide the others' values.
        log.exception("label_values_not_read", source=request.source, label=request.key.label)
        return SourceUnavailableError(f"{request.source}: {type(error).__name__}")


async def discover_and_expand(
    policies: PolicySet, sources: Mapping[str, Source], now: datetime, *, within: timedelta
) -> tuple[ExpandedCatalog, Mapping[str, str]]:
    """Return the policies expanded with the values that exist now, without storing anything.

    Also returns why values could not be found, by the documents' titles; those documents have no services.
    """
    requests = {request.key: request for request in policies.discovery_requests}
    try:
        async with asyncio.timeout(within.total_seconds()):
            answers = await ask(requests.values(), sources, now)
    except TimeoutError:
        late = SourceUnavailableError(f"no answer within {within.total_seconds():g} s")
        answers = dict.fromkeys(requests, late)
    known = {
        key: [value.value for value in learn((), answer, requests[key], now)]
        for key, answer in answers.items()
        if not isinstance(answer, SourceError)
    }
    return policies.expanded(known), _problems(answers)


def _problems(answers: Mapping[LabelKey, Answer]) -> dict[str, str]:
    return {key.title: str(answer) for key, answer in answers.items() if isinstance(answer, SourceError)}


class Discovery:
    """Discovers the values that the policies in force need. The replica that has the `lease` queries.

    It calls `report` with the faults of single values after each query.
    """

    def __init__(
        self,
        *,
        database: Database,
        sources: Mapping[str, Source],
        watcher: PolicyWatcher,
        clock: Clock,
        lease: Lease,
        report: Report,
    ) -> None:
        self._database = database
        self._sources = sources
        self._watcher = watcher
        self._clock = clock
        self._lease = lease
        self._report = report
        self._problems: Mapping[str, str] = {}

    @property
    def problems(self) -> Mapping[str, str]:
        """The last failure of each document's query, by its title, as long as it lasts."""
        return self._problems

    async def run(self) -> None:
        """Discover values now and then at every interval, until cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception:
                # A loop's tick is a boundary: the next one tries again.
                log.exception("discovery_failed")
            await self._clock.sleep(self._watcher.current.workspace.evaluate_every.total_seconds())

    async def refresh(self) -> None:
        """Query the sources if this replica has the lease; put the known values in force."""
        is_leader = await self._lease.acquire()
        known = await self._read()
        if is_leader:
            known = await self._update(known)
        await self._apply(known)
        if is_leader:
            await self._report(self._watcher.refused_values)

    async def restore(self) -> None:
        """Put the stored values in force, without querying a source."""
        await self._apply(await self._read())

    async def _update(self, known: Known) -> Known:
        now = self._clock.now()
        requests = {request.key: request for request in self._watcher.discovery_requests}
        answers = await ask(requests.values(), self._sources, now)
        self._log_failures(answers)
        after: dict[LabelKey, Sequence[KnownValue]] = {}
        for key in {*known, *requests}:
            before, answer = known.get(key, ()), answers.get(key)
            if key not in requests:
                after[key] = orphaned(before, now)
            elif answer is None or isinstance(answer, SourceError):
                after[key] = before
            else:
                after[key] = learn(before, answer, requests[key], now)
            await self._write(key, before, after[key])
        return after

    def _log_failures(self, answers: Mapping[LabelKey, Answer]) -> None:
        failed = _problems(answers)
        for title, problem in failed.items():
            if self._problems.get(title) != problem:
                log.warning("values_not_found", document=title, problem=problem)
        self._problems = failed

    async def _apply(self, known: Known) -> None:
        await self._watcher.set_known_values(
            {key: [value.value for value in values] for key, values in known.items()}
        )

    async def _read(self) -> Known:
        known: dict[LabelKey, list[KnownValue]] = {}
        for row in await store.read(self._database):
            value = KnownValue(row.value, row.question, row.since, row.gone_at)
            known.setdefault(LabelKey(row.document, row.label), []).append(value)
        return known

    async def _write(self, key: LabelKey, before: Sequence[KnownValue], after: Sequence[KnownValue]) -> None:
        changed, removed = differences(before, after)
        if not changed and not removed:
            return
        rows = [
            store.LabelValueRow(
                key.document, key.label, value.value, value.question, value.since, value.gone_at
            )
            for value in changed
        ]
        await store.write(self._database, key.document, key.label, rows, removed)
        log.info("values_changed", document=key.title, written=len(rows), forgotten=len(removed))
