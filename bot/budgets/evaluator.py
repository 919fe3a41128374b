"""The loop: at each interval read what is new, count, and hand each service's budgets to whoever decides.

The services of a tick are read together, and judged together as far as they are read: one that back-fills
for minutes or whose source hangs holds nobody else up, and is not started a second time while it runs. Of
several replicas each evaluates its share.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from bot.budgets import downtime
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import (
    HOUR,
    NO_EVENTS,
    SHOWN_BURN_WINDOWS,
    Budget,
    EventCounts,
    burn_down,
    recovers_at,
)
from bot.budgets.collector import Collector
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.clock import Clock
from bot.store.database import is_away
from bot.store.leases import Leases

log = structlog.get_logger(__name__)

Assessed = Sequence[tuple[Service, Sequence[Budget]]]
"""Services with their budgets."""

OnAssessed = Callable[[Assessed, datetime], Awaitable[None]]

_FORECAST_POINTS = 180
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Evaluator:
    """Evaluates every service of the catalog that falls to this replica; all without `leases`.

    `current` holds the policies in force.
    """

    def __init__(
        self,
        collector: Collector,
        ledger: Ledger,
        current: CurrentCatalog,
        clock: Clock,
        on_assessed: OnAssessed,
        *,
        leases: Leases | None = None,
    ) -> None:
        self._collector = collector
        self._ledger = ledger
        self._current = current
        self._clock = clock
        self._on_assessed = on_assessed
        self._leases = leases
        self._mine: frozenset[str] = frozenset()
        self._running: set[str] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self.last_tick: datetime | None = None
        self.lag_s: dict[str, float] = {}
        self.latest: dict[str, Sequence[Budget]] = {}

    async def run(self) -> None:
        """Evaluate now and then at every multiple of the interval, until cancelled."""
        try:
            while True:
                self.last_tick = self._clock.now()
                await self._look_around()
                self._start(self._mine)
                await self._clock.sleep(self._until_next())
        finally:
            await self._stop_all()

    async def take_over(self) -> None:
        """Evaluate at once what has become this replica's since the last look: another one is gone."""
        if self.last_tick is not None:
            before = self._mine
            await self._look_around()
            self._start(self._mine - before)

    async def evaluate(self, services: Sequence[Service]) -> None:
        """Read what is new for these services, count it, and let it be decided upon.

        Each is decided upon as soon as it is read, with all that are ready by then. A fault in deciding
        upon one is logged and fails no other.
        """
        every, now = self._current.catalog.workspace.evaluate_every, self._clock.now()
        unread = {service.name: len(service.slos) for service in services}
        by_name = {service.name: service for service in services}
        ready: asyncio.Queue[Service | None] = asyncio.Queue()

        def collected(slos: Sequence[Slo]) -> None:
            for slo in slos:
                unread[slo.service] -= 1
                if not unread[slo.service]:
                    ready.put_nowait(by_name[slo.service])

        async def collect() -> None:
            try:
                slos = [slo for service in services for slo in service.slos]
                await self._collector.collect(slos, now, every, collected)
            finally:
                ready.put_nowait(None)

        for service in services:
            if not service.slos:
                ready.put_nowait(service)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(collect())
            while batch := await _all_waiting(ready):
                await self._judge(batch)
                for service in batch:
                    self._running.discard(service.name)

    async def _judge(self, services: Sequence[Service]) -> None:
        """Count services together and hand them on; one by one where that fails."""
        try:
            now = self._clock.now()
            assessed = list(zip(services, await self.assess(services, now), strict=True))
            for _, budgets in assessed:
                self._note_lag(budgets, now)
            # What became another replica's while this one was halted or cut off: that one decides.
            mine = set(await self._share([service.name for service in services]))
            assessed = [(service, budgets) for service, budgets in assessed if service.name in mine]
            self.latest.update({service.name: budgets for service, budgets in assessed})
            await self._on_assessed(assessed, now)
        except Exception as error:
            # A loop's tick is a boundary: one service's fault must not end the evaluation of the others.
            if len(services) == 1 or is_away(error):
                log.exception("evaluation_failed", service=services[0].name, services=len(services))
            else:
                for service in services:
                    await self._judge([service])

    async def assess(self, services: Sequence[Service], now: datetime) -> list[Sequence[Budget]]:
        """Return the budgets of each service from what is counted already, without asking any source."""
        every = self._current.catalog.workspace.evaluate_every
        questions = [
            AssessmentRequest(slo, burn_windows(service, slo.name))
            for service in services
            for slo in service.slos
        ]
        budgets = iter(await assess_all(self._ledger, questions, now, every))
        return [list(itertools.islice(budgets, len(service.slos))) for service in services]

    async def burn_down(self, slo: Slo, now: datetime, points: int) -> Sequence[tuple[datetime, float]]:
        """Return what was left of the budget at `points` moments of its window, oldest first."""
        span = slo.window.span(now)
        stretches = await self._stretches(slo, span, max(1, points - 1), now)
        events = sum((counted for _, counted in stretches), NO_EVENTS)
        left = burn_down((counted.bad for _, counted in stretches), events, slo.objective)
        moments = [span.start, *(ended for ended, _ in stretches)]
        return list(zip(moments, left, strict=False))[-points:]

    async def recovers_at(self, slo: Slo, target: float, now: datetime) -> datetime | None:
        """Return when the fraction `target` will be left, if it burns on as in the last hour."""
        hourly = await self._events(slo, Span(now - HOUR, now), now)
        aging = await self._stretches(slo, slo.window.span(now), _FORECAST_POINTS, now)
        return recovers_at(slo, aging, hourly=hourly, target=target, now=now)

    async def _stretches(
        self, slo: Slo, span: Span, points: int, now: datetime
    ) -> list[tuple[datetime, EventCounts]]:
        """Return the events of a span in about `points` stretches, each with its end, oldest first.

        The ledger's first bucket may begin before the span: what is too much is taken off it.
        """
        if isinstance(slo.sli, DowntimeSli):
            return await downtime.stretches(self._ledger.downtime, slo, span, points)
        (whole,) = await self._ledger.counts(slo, [span], now)
        history = await self._ledger.history(slo, span, points, now)
        stretches = [
            (min(now, bucket.start + bucket.width), EventCounts(bucket.bad, bucket.total))
            for bucket in history
        ]
        if stretches:
            later = sum((counted for _, counted in stretches[1:]), NO_EVENTS)
            first = EventCounts(max(0.0, whole.bad - later.bad), max(0.0, whole.total - later.total))
            stretches[0] = (stretches[0][0], first)
        return stretches

    async def _events(self, slo: Slo, span: Span, now: datetime) -> EventCounts:
        if isinstance(slo.sli, DowntimeSli):
            return await downtime.recent_events(self._ledger.downtime, slo, span)
        (events,) = await self._ledger.counts(slo, [span], now)
        return events

    async def _share(self, services: Sequence[str]) -> Sequence[str]:
        """Return which of the services are this replica's to evaluate now."""
        if self._leases is None:
            return services
        shared = await self._leases.share([_lease(service) for service in services])
        return [service for service in services if _lease(service) in shared]

    async def _look_around(self) -> None:
        """Learn which services are this replica's, and forget what it knew of others."""
        mine = frozenset(await self._share(list(self._current.catalog.services)))
        if mine == self._mine:
            return
        self._mine = mine
        for name in set(self.latest) - self._mine:
            del self.latest[name]
        self.lag_s = {key: lag for key, lag in self.lag_s.items() if key.split("/")[0] in self._mine}

    def _start(self, names: Collection[str]) -> None:
        services = [
            service
            for name, service in self._current.catalog.services.items()
            if name in names and name not in self._running
        ]
        if services:
            begun = frozenset(service.name for service in services)
            self._running |= begun
            task = asyncio.create_task(self._evaluate_safely(services), name="evaluate")
            self._rounds.add(task)
            task.add_done_callback(partial(self._ended, begun))

    def _ended(self, names: Collection[str], task: asyncio.Task[None]) -> None:
        self._running.difference_update(names)
        self._rounds.discard(task)

    async def _evaluate_safely(self, services: Sequence[Service]) -> None:
        try:
            await self.evaluate(services)
        except Exception:
            # A loop's tick is a boundary: the next one tries again.
            log.exception("evaluation_failed", services=len(services))

    def _until_next(self) -> float:
        every = self._current.catalog.workspace.evaluate_every
        past = (self._clock.now() - _EPOCH) % every
        return (every - past).total_seconds()

    def _note_lag(self, budgets: Sequence[Budget], now: datetime) -> None:
        for budget in budgets:
            if budget.as_of is not None:
                self.lag_s[budget.slo.key] = max(0.0, (now - budget.as_of).total_seconds())

    async def _stop_all(self) -> None:
        rounds = list(self._rounds)
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)


def _lease(service: str) -> str:
    return f"evaluate {service}"


async def _all_waiting(ready: "asyncio.Queue[Service | None]") -> list[Service]:
    """Return what is ready, all of it, after waiting for the first; nothing at the end (`None`)."""
    first = await ready.get()
    found = [] if first is None else [first]
    while found and not ready.empty():
        following = ready.get_nowait()
        if following is None:
            ready.put_nowait(None)
            break
        found.append(following)
    return found


def burn_windows(service: Service, slo_name: str) -> tuple[timedelta, ...]:
    """Return the windows in which an SLO's burn rate is needed: those shown, its alerts', its guard's."""
    policy = service.policies.get(slo_name, service.error_budget_policy)
    asked = {length for alert in policy.burn_alerts for length in (alert.long, alert.short)}
    return tuple(sorted(asked | {policy.guard.over} | set(SHOWN_BURN_WINDOWS)))
