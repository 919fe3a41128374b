"""Finds out for which services the documents with `forEach` stand, and tells the policies.

One replica asks the sources, once in each evaluation interval, and writes down what it learned; all of them
read it. A source that is away or answers nonsense changes nothing, also across a restart.
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
Tell = Callable[[Sequence[PolicyFault]], Awaitable[None]]


async def ask(
    wanted: Collection[DiscoveryRequest], sources: Mapping[str, Source], now: datetime
) -> dict[LabelKey, Answer]:
    """Ask each source for the values that a document wants; return them, or why there is no answer."""
    asked = list(wanted)
    answers = await asyncio.gather(*(_ask_one(one, sources, now) for one in asked))
    return {one.asked: answer for one, answer in zip(asked, answers, strict=True)}


async def _ask_one(wanted: DiscoveryRequest, sources: Mapping[str, Source], now: datetime) -> Answer:
    source = sources.get(wanted.source)
    if source is None:
        # The policies changed a moment ago: it is opened before the next look.
        return SourceUnavailableError(f"{wanted.source} is not open yet")
    try:
        return await source.label_values(wanted.asked.label, wanted.match, wanted.span(now))
    except SourceError as error:
        return error


async def stand_for(
    policies: PolicySet, sources: Mapping[str, Source], now: datetime, *, within: timedelta
) -> tuple[ExpandedCatalog, Mapping[str, str]]:
    """Return what the policies make of the values that are there now, remembering nothing.

    Also answers, by the documents' titles, why values could not be found; those documents then stand for
    no service.
    """
    wanted = {one.asked: one for one in policies.wanted}
    try:
        async with asyncio.timeout(within.total_seconds()):
            answers = await ask(wanted.values(), sources, now)
    except TimeoutError:
        late = SourceUnavailableError(f"no answer within {within.total_seconds():g} s")
        answers = dict.fromkeys(wanted, late)
    known = {
        asked: [one.value for one in learn((), answer, wanted[asked], now)]
        for asked, answer in answers.items()
        if not isinstance(answer, SourceError)
    }
    return policies.expanded(known), _problems(answers)


def _problems(answers: Mapping[LabelKey, Answer]) -> dict[str, str]:
    return {asked.title: str(answer) for asked, answer in answers.items() if isinstance(answer, SourceError)}


class Discovery:
    """Asks for what the policies in force want. The replica that has the `lease` asks.

    `tell` gets the faults of single values after each look of the replica that asks. `problems` holds the
    last failure of each document's question, as long as it lasts.
    """

    def __init__(
        self,
        *,
        database: Database,
        sources: Mapping[str, Source],
        watcher: PolicyWatcher,
        clock: Clock,
        lease: Lease,
        tell: Tell,
    ) -> None:
        self._database = database
        self._sources = sources
        self._watcher = watcher
        self._clock = clock
        self._lease = lease
        self._tell = tell
        self.problems: dict[str, str] = {}

    async def run(self) -> None:
        """Look now and then at every interval, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("discovery_failed")
            await self._clock.sleep(self._watcher.current.workspace.evaluate_every.total_seconds())

    async def look(self) -> None:
        """Ask, if that is this replica's part, and make services of what is known then."""
        mine = await self._lease.acquire()
        known = await self._read()
        if mine:
            known = await self._learn(known)
        await self._use(known)
        if mine:
            await self._tell(self._watcher.refused_values)

    async def recall(self) -> None:
        """Make services of what was known when the bot last ran, without asking anybody."""
        await self._use(await self._read())

    async def _learn(self, known: Known) -> Known:
        now = self._clock.now()
        wanted = {one.asked: one for one in self._watcher.wanted}
        answers = await ask(wanted.values(), self._sources, now)
        self._note(answers)
        after: dict[LabelKey, Sequence[KnownValue]] = {}
        for asked in {*known, *wanted}:
            before, answer = known.get(asked, ()), answers.get(asked)
            if asked not in wanted:
                after[asked] = orphaned(before, now)
            elif answer is None or isinstance(answer, SourceError):
                after[asked] = before
            else:
                after[asked] = learn(before, answer, wanted[asked], now)
            await self._write(asked, before, after[asked])
        return after

    def _note(self, answers: Mapping[LabelKey, Answer]) -> None:
        failed = _problems(answers)
        for title, problem in failed.items():
            if self.problems.get(title) != problem:
                log.warning("values_not_found", document=title, problem=problem)
        self.problems = failed

    async def _use(self, known: Known) -> None:
        await self._watcher.know({asked: [one.value for one in values] for asked, values in known.items()})

    async def _read(self) -> Known:
        known: dict[LabelKey, list[KnownValue]] = {}
        for row in await store.read(self._database):
            value = KnownValue(row.value, row.question, row.since, row.gone_at)
            known.setdefault(LabelKey(row.document, row.label), []).append(value)
        return known

    async def _write(
        self, asked: LabelKey, before: Sequence[KnownValue], after: Sequence[KnownValue]
    ) -> None:
        changed, forgotten = differences(before, after)
        if not changed and not forgotten:
            return
        rows = [
            store.LabelValueRow(asked.document, asked.label, one.value, one.question, one.since, one.gone_at)
            for one in changed
        ]
        await store.write(self._database, asked.document, asked.label, rows, forgotten)
        log.info("values_changed", document=asked.title, written=len(rows), forgotten=len(forgotten))
