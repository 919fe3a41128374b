"""The evaluation loop: at each interval read what is new, assess each service's budgets, pass them on.

The services of a tick are read together, and assessed together as soon as they are read: one that
backfills for minutes or whose source hangs delays no other, and is not started a second time while it
runs. Each of several replicas evaluates its share.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import MappingProxyType

import structlog

from bot.budgets import downtime
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import (
    HOUR,
    NO_EVENTS,
    SHOWN_BURN_WINDOWS,
    Budget,
    EventCounts,
    MeasuredBudgets,
    recovers_at,
)
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.rolling import NO_HISTORY, RollingHistory, past_moments, past_step, rolling_history
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.clock import Clock
from bot.store.health.errors import is_away
from bot.store.leases import Leases
from bot.tracing.spans import span

log = structlog.get_logger(__name__)

Assessed = Sequence[tuple[Service, Sequence[Budget]]]
"""Services with their budgets."""

OnAssessed = Callable[[Assessed, datetime], Awaitable[None]]

Observe = Callable[[float], None]
"""Takes the seconds that one evaluation took."""

_FORECAST_POINTS = 180
_SLOS_AT_ONCE = 200
"""About how many SLOs are assessed at a time: more would block the event loop for long."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Evaluator:
    """Evaluates every service of the catalog that falls to this replica: all of them without `leases`.

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
        observe: Observe = lambda _seconds: None,
    ) -> None:
        self._observe = observe
        self._collector = collector
        self._ledger = ledger
        self._current = current
        self._clock = clock
        self._on_assessed = on_assessed
        self._leases = leases
        self._owned: frozenset[str] = frozenset()
        self._owned_since: dict[str, datetime] = {}
        self._running: set[str] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self._last_tick: datetime | None = None
        self._latest: dict[str, Sequence[Budget]] = {}
        self._measured: dict[str, MeasuredBudgets] = {}

    @property
    def last_tick(self) -> datetime | None:
        """When the loop last started an evaluation; None before the first."""
        return self._last_tick

    @property
    def latest(self) -> Mapping[str, Sequence[Budget]]:
        """The budgets of this replica's services as of their last evaluation: a live, read-only view."""
        return MappingProxyType(self._latest)

    def newest(self, service: str) -> MeasuredBudgets | None:
        """Return the budgets of a service's last evaluation and its time; None for another replica's."""
        return self._measured.get(service)

    def behind(self, now: datetime) -> timedelta:
        """Return by how much evaluations are late: how much older than an interval the oldest one is.

        Zero where each service of this replica was evaluated within an interval.
        """
        every = self._current.catalog.workspace.evaluate_every
        last = [
            self._measured[name].at if name in self._measured else self._owned_since.get(name, now)
            for name in self._owned
        ]
        return max(timedelta(), now - min(last, default=now) - every)

    async def run(self) -> None:
        """Evaluate now and then at every multiple of the interval, until cancelled."""
        try:
            while True:
                self._last_tick = self._clock.now()
                await self._refresh_share()
                self._start(self._owned)
                await self._clock.sleep(self._until_next())
        finally:
            await self._stop_all()

    async def take_over(self) -> None:
        """Evaluate at once the services that this replica took over from another one since the last tick."""
        if self._last_tick is not None:
            before = self._owned
            await self._refresh_share()
            self._start(self._owned - before)

    async def evaluate(self, services: Sequence[Service]) -> None:
        """Read what is new for these services, assess their budgets, and pass them to `on_assessed`.

        Each service is assessed as soon as what is new of it is read, together with others that are ready by
        then, and again where history was read. A fault in assessing one is logged and fails no other.
        """
        every, now = self._current.catalog.workspace.evaluate_every, self._clock.now()
        unread = {service.name: {slo.key for slo in service.slos} for service in services}
        by_name = {service.name: service for service in services}
        ready: asyncio.Queue[Service | None] = asyncio.Queue()

        def collected(slos: Sequence[Slo]) -> None:
            for slo in slos:
                unread[slo.service].discard(slo.key)
            for name in dict.fromkeys(slo.service for slo in slos):
                if not unread[name]:
                    ready.put_nowait(by_name[name])

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
            while batch := await _next_batch(ready):
                await self._assess_safely(batch)
                for service in batch:
                    self._running.discard(service.name)

    async def _assess_safely(self, services: Sequence[Service]) -> None:
        """Assess services together and pass their budgets on; one by one where that fails."""
        try:
            now = self._clock.now()
            assessed = list(zip(services, await self.assess(services, now), strict=True))
            # Services that went to another replica while this one was halted or cut off: that one decides.
            owned = set(await self._share([service.name for service in services]))
            assessed = [(service, budgets) for service, budgets in assessed if service.name in owned]
            self._latest.update({service.name: budgets for service, budgets in assessed})
            for service, budgets in assessed:
                self._measured[service.name] = MeasuredBudgets(budgets, now)
            await self._on_assessed(assessed, now)
        except Exception as error:
            # A loop's tick is a boundary: one service's fault must not end the evaluation of the others.
            if len(services) == 1 or is_away(error):
                log.exception("evaluation_failed", service=services[0].name, services=len(services))
            else:
                for service in services:
                    await self._assess_safely([service])

    async def assess(self, services: Sequence[Service], now: datetime) -> list[Sequence[Budget]]:
        """Return the budgets of each service from the ledger, without reading from any source."""
        every = self._current.catalog.workspace.evaluate_every
        found: list[Sequence[Budget]] = []
        for some in _in_parts(services):
            requests = [_request(service, slo) for service in some for slo in service.slos]
            budgets = iter(await assess_all(self._ledger, requests, now, every))
            found += [list(itertools.islice(budgets, len(service.slos))) for service in some]
        return found

    async def rolling(self, budget: Budget, now: datetime, most: int) -> RollingHistory:
        """Return what was left of the budget at past moments, at most `most` besides the present one.

        The windows of all moments are summed by one statement, from the ledger or the recorded downtime.
        """
        if budget.as_of is None or budget.events is None:
            return NO_HISTORY
        slo, window = budget.slo, budget.slo.window
        moments = past_moments(window, budget.as_of, most)[:-1]
        spans = [window.span(at) for at in moments]
        counted_from = None
        if isinstance(slo.sli, DowntimeSli):
            counted = await downtime.full_windows(self._ledger.downtime_counts, slo, moments)
        else:
            counted = await self._ledger.counts(slo, spans, now)
            earliest = min((span.start for span in spans), default=budget.as_of)
            counted_from = await self._ledger.counted_from(slo, Span(earliest, budget.as_of))
        return rolling_history(
            budget,
            list(zip(moments, counted, strict=True)),
            step=past_step(window, budget.as_of, most),
            counted_from=counted_from,
        )

    async def recovers_at(self, slo: Slo, target: Decimal, now: datetime) -> datetime | None:
        """Return when the fraction `target` will be left, if the burn rate stays that of the last hour."""
        hourly = await self._events(slo, Span(now - HOUR, now), now)
        aging = await self._parts(slo, slo.window.span(now), _FORECAST_POINTS, now)
        return recovers_at(slo, aging, hourly=hourly, target=target, now=now)

    async def _parts(
        self, slo: Slo, span: Span, points: int, now: datetime
    ) -> list[tuple[datetime, EventCounts]]:
        """Return the events of a span in about `points` parts, each with its end, oldest first.

        The ledger's first bucket may begin before the span: the events before are subtracted.
        """
        if isinstance(slo.sli, DowntimeSli):
            return await downtime.equal_parts(self._ledger.downtime_counts, slo, span, points)
        (total,) = await self._ledger.counts(slo, [span], now)
        history = await self._ledger.history(slo, span, points, now)
        parts = [
            (min(now, bucket.start + bucket.width), EventCounts(bucket.bad, bucket.total))
            for bucket in history
        ]
        if parts:
            later = sum((counted for _, counted in parts[1:]), NO_EVENTS)
            first = EventCounts(max(0.0, total.bad - later.bad), max(0.0, total.total - later.total))
            parts[0] = (parts[0][0], first)
        return parts

    async def _events(self, slo: Slo, span: Span, now: datetime) -> EventCounts:
        if isinstance(slo.sli, DowntimeSli):
            return await downtime.recent_events(self._ledger.downtime_counts, slo, span)
        (events,) = await self._ledger.counts(slo, [span], now)
        return events

    async def _share(self, services: Sequence[str]) -> Sequence[str]:
        """Return those of the services that this replica evaluates now."""
        if self._leases is None:
            return services
        shared = await self._leases.share([_lease(service) for service in services])
        return [service for service in services if _lease(service) in shared]

    async def _refresh_share(self) -> None:
        """Ask which services are this replica's, and drop the budgets of others."""
        owned = frozenset(await self._share(list(self._current.catalog.services)))
        if owned == self._owned:
            return
        now = self._clock.now()
        self._owned_since = {name: self._owned_since.get(name, now) for name in owned}
        self._owned = owned
        for name in set(self._latest) - self._owned:
            del self._latest[name]
            self._measured.pop(name, None)

    def _start(self, names: Collection[str]) -> None:
        services = [
            service
            for name, service in self._current.catalog.services.items()
            if name in names and name not in self._running
        ]
        if services:
            started = frozenset(service.name for service in services)
            self._running |= started
            task = asyncio.create_task(self._evaluate_safely(services), name="evaluate")
            self._rounds.add(task)
            task.add_done_callback(partial(self._ended, started))

    def _ended(self, names: Collection[str], task: asyncio.Task[None]) -> None:
        self._running.difference_update(names)
        self._rounds.discard(task)

    async def _evaluate_safely(self, services: Sequence[Service]) -> None:
        started_s = time.perf_counter()
        try:
            with span("evaluation") as recorded:
                recorded.note("governor.services", len(services))
                await self.evaluate(services)
        except Exception:
            # A loop's tick is a boundary: the next one tries again.
            log.exception("evaluation_failed", services=len(services))
        self._observe(time.perf_counter() - started_s)

    def _until_next(self) -> float:
        every = self._current.catalog.workspace.evaluate_every
        elapsed = (self._clock.now() - _EPOCH) % every
        return (every - elapsed).total_seconds()

    async def _stop_all(self) -> None:
        rounds = list(self._rounds)
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)


def _lease(service: str) -> str:
    return f"evaluate {service}"


async def _next_batch(ready: "asyncio.Queue[Service | None]") -> list[Service]:
    """Wait for the first service that is ready; return those that are. Empty at the end (`None`)."""
    first = await ready.get()
    batch = {} if first is None else {first.name: first}
    slos = 0 if first is None else len(first.slos)
    while batch and slos < _SLOS_AT_ONCE and not ready.empty():
        following = ready.get_nowait()
        if following is None:
            ready.put_nowait(None)
            break
        slos += len(following.slos)
        batch[following.name] = following
    return list(batch.values())


def _in_parts(services: Sequence[Service]) -> Iterator[Sequence[Service]]:
    """Divide services into parts whose SLOs are assessed at a time."""
    part: list[Service] = []
    slos = 0
    for service in services:
        if part and slos + len(service.slos) > _SLOS_AT_ONCE:
            yield part
            part, slos = [], 0
        part.append(service)
        slos += len(service.slos)
    if part:
        yield part


def _request(service: Service, slo: Slo) -> AssessmentRequest:
    policy = service.policy_for(slo)
    return AssessmentRequest(slo, burn_windows(service, slo.name), policy.burn_alerts, policy)


def burn_windows(service: Service, slo_name: str) -> tuple[timedelta, ...]:
    """Return the windows whose burn rate an SLO needs: those shown, its alerts', its guard's."""
    policy = service.policies.get(slo_name, service.error_budget_policy)
    lengths = {length for alert in policy.burn_alerts for length in (alert.long, alert.short)}
    return tuple(sorted(lengths | {policy.guard.over} | set(SHOWN_BURN_WINDOWS)))
