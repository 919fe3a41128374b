"""The life of a running bot: settings and policies in, everything opened, run, and drained at the end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
import structlog
from aiohttp import web

from bot.app.http import AddRoutes, build_routes, serving
from bot.app.installations import open_installations
from bot.app.parts import Parts
from bot.app.readiness import ReadinessChecks
from bot.app.resources import Resources
from bot.catalog.catalog import Catalog
from bot.clock import Clock, SharedClock, SystemClock
from bot.freezes.calendar.retention import delete_past_windows
from bot.http.server.connections import ConnectionLimit
from bot.logs import hide
from bot.metrics import Metrics
from bot.policy.faults import PolicyFault
from bot.policy.secrets import secrets_of
from bot.policy.watcher import PolicyWatcher
from bot.settings import Settings
from bot.slack.delivery.context import DeliveryTiming
from bot.store import write_probe
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.leases import Leases
from bot.store.migrate import migrate
from bot.store.retention.deletion import delete_expired
from bot.store.retention.departed_services import note_departed
from bot.store.startup import check_before_use

log = structlog.get_logger(__name__)

_DRAIN_S = 3.0
# A command that was acknowledged is carried out, also where Slack is slow to say who may: a process
# manager waits 30 s before it kills.
_DRAIN_TASKS_S = 20.0
_TICK_S = 1.0
_MEASURE_EVERY_S = 15.0
_RETENTION_EVERY_S = 3600.0
_HOME_EVERY_S = 5.0
_FORECAST_EVERY_S = 30.0
_VELOCITY_EVERY_S = 60.0
_SCHEDULED_EVERY_S = 5.0
_RENEW_EVERY_S = 60.0


class Governor:
    """A running bot: everything is open within `async with`; `run` works until `stop` is called.

    `routes` add what else the same HTTP server serves; `timing` is the dispatcher's.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        routes: Sequence[AddRoutes] = (),
        timing: DeliveryTiming | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.watcher = PolicyWatcher(settings.policies_dir)
        self.database = Database(settings.database_url)
        self.database.count_turn = self.metrics.count_turn
        shared = None if self.database.is_sqlite else SharedClock()
        self.leases = Leases(self.database, clock=shared)
        self.clock = clock or shared or SystemClock()
        # A simulated clock never bends Slack's rules; the replicas' common one is truer than each one's own.
        self._real_clock = shared or SystemClock()
        self.metrics.policy_faults.set_function(self._count_faults)
        self._routes = tuple(routes)
        self._timing = timing
        self._stopping = asyncio.Event()
        self._open = AsyncExitStack()
        self._failures = ItemFailures("task_failed")
        self._retention = self.leases.lease("compaction")

    async def __aenter__(self) -> "Governor":
        async with AsyncExitStack() as stack:
            stack.push_async_exit(self.database)
            # The figures are read in a thread, which has no loop of its own.
            self.metrics.tasks.set_function(partial(_count_tasks, asyncio.get_running_loop()))
            # SQLite checks its file on another core while the policies are read.
            check = asyncio.create_task(check_before_use(self.database))
            try:
                await self.watcher.start()
                self._wal_damage = await check
            finally:
                check.cancel()
                await asyncio.gather(check, return_exceptions=True)
            await migrate(self.database)
            installations = open_installations(self.settings, self.database, self.clock)
            if installations is not None:
                await installations.reencrypt_all()
            await self.leases.join()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            self.parts = Parts(self._resources(session), self.watcher, installations, self._timing)
            await self.parts.discovery.restore()
            await self._apply_catalog(self.watcher.current.catalog)
            limit = ConnectionLimit(
                self.settings.http_connections, per_peer=self.settings.http_connections_per_peer
            )
            server = serving(self._application(), self.settings.host, self.settings.port, limit)
            self.server = await stack.enter_async_context(server)
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def url(self) -> str:
        """Where HTTP listens."""
        return f"http://{self.settings.host}:{self.server.port}"

    def stop(self) -> None:
        """Ask `run` to finish what is under way and return; asking twice changes nothing."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped, then drain: no new requests, commands and posts under way finished."""
        async with asyncio.TaskGroup() as tasks:
            beats = tasks.create_task(self.leases.run(), name="leases")
            delivery = tasks.create_task(self.parts.slack.dispatcher.run(), name="dispatcher")
            loops = [tasks.create_task(loop, name=name) for name, loop in self._loops().items()]
            await self._stopping.wait()
            log.info("stopping")
            for loop in loops:
                loop.cancel()
            await self.server.close()
            await self.parts.slack.app.drain(_DRAIN_TASKS_S)
            await self.parts.slack.dispatcher.drain(_DRAIN_S)
            delivery.cancel()
            beats.cancel()
        log.info("stopped")

    def _loops(self) -> dict[str, Coroutine[None, None, None]]:
        """Return everything that goes on until the bot is stopped, by name."""
        parts = self.parts
        loops: dict[str, Coroutine[None, None, None]] = {
            "slack": parts.slack.connect(),
            "signals": self.database.signals.listen(),
            "evaluator": parts.budgets.evaluator.run(),
            "holds": parts.budgets.follow_holds(),
            "policies": self.watcher.run(self._policies_changed, self._policies_broken),
            "discovery": parts.discovery.run(),
            "tick": self._every(_TICK_S, self._tick),
            "event loop": parts.self_measurement.watch_event_loop(),
            "measurement": self._every(_MEASURE_EVERY_S, parts.self_measurement.measure),
            "writing": self._every(write_probe.EVERY_S, parts.write_probe.attempt),
            "flags": parts.flags.run(),
            "gates": parts.gates.run(),
            "retention": self._every(_RETENTION_EVERY_S, self._drop_old_rows),
            "forecasts": self._every(_FORECAST_EVERY_S, parts.budgets.forecast),
            "velocity": self._every(_VELOCITY_EVERY_S, parts.velocity.measure),
            "home": self._every(_HOME_EVERY_S, parts.slack.app.workspaces.refresh_homes),
            "incidents": parts.incidents.step_runner.run(),
            "tasks": parts.tasks.run(),
            "webhooks": self._every(_TICK_S, parts.webhooks.plan_deliveries),
            "scheduled": self._every(_SCHEDULED_EVERY_S, parts.incidents.run_scheduled),
        }
        if parts.slack.oauth is not None:
            loops["tokens"] = self._every(_RENEW_EVERY_S, parts.slack.oauth.renew)
        return loops

    def _resources(self, session: aiohttp.ClientSession) -> Resources:
        return Resources(
            settings=self.settings,
            metrics=self.metrics,
            database=self.database,
            session=session,
            current=self.watcher.current,
            clock=self.clock,
            leases=self.leases,
        )

    def _application(self) -> web.Application:
        readiness = ReadinessChecks(self.parts, self._wal_damage)
        app = build_routes(self.parts, readiness, real_clock=self._real_clock)
        for add_routes in self._routes:
            add_routes(app)
        return app

    async def _apply_catalog(self, catalog: Catalog) -> None:
        hide(secrets_of(catalog))
        await self.parts.follow(catalog)

    async def _policies_changed(self, catalog: Catalog) -> None:
        await self._apply_catalog(catalog)
        self.metrics.policies_loaded.labels("changed").inc()
        log.info("policies_changed", services=len(catalog.services), digest=catalog.digest[:12])

    async def _policies_broken(self, faults: tuple[PolicyFault, ...]) -> None:
        self.metrics.policies_loaded.labels("broken").inc()
        log.warning("policies_broken", faults=[str(fault) for fault in faults])
        await self.parts.policy_faults.announce_faults(faults)

    def _count_faults(self) -> int:
        return len(self.watcher.faults) + len(self.watcher.refused_values)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        # From 0 on: of a series that begins later Prometheus cannot see the first failure.
        failures = self.metrics.loop_failures.labels(_loop(work))
        while True:
            try:
                await work()
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("tick_failed", work=work.__name__)
                failures.inc()
            await asyncio.sleep(seconds)

    async def _each(self, work: Callable[[], Awaitable[None]], *tasks: Callable[[], Awaitable[None]]) -> None:
        """Run the tasks of a loop's `work`; one that fails keeps none of the others from running."""
        failed = [await self._failures.attempt(task.__name__, task) for task in tasks]
        if any(failed):
            self.metrics.loop_failures.labels(_loop(work)).inc()

    async def _tick(self) -> None:
        await self._each(
            self._tick,
            self.parts.budgets.evaluator.take_over,
            self.parts.budgets.drop_lost_gauges,
            self._announce_policy_repair,
        )

    async def _announce_policy_repair(self) -> None:
        if not self.watcher.faults:
            await self.parts.policy_faults.announce_repair()

    async def _drop_old_rows(self) -> None:
        if await self._retention.acquire():
            await self._each(
                self._drop_old_rows,
                self.parts.budgets.drop_old_events,
                self._drop_past_windows,
                self._drop_expired_rows,
            )

    async def _drop_past_windows(self) -> None:
        await delete_past_windows(self.database, self.watcher.current.catalog, self.clock.now())

    async def _drop_expired_rows(self) -> None:
        await note_departed(self.database, self.watcher.current.catalog.services.keys(), self.clock.now())
        await delete_expired(self.database, self.clock.now())


def _loop(work: Callable[[], Awaitable[None]]) -> str:
    """Return the name of a loop in the metrics."""
    return work.__name__.strip("_")


def _count_tasks(loop: asyncio.AbstractEventLoop) -> int:
    return len(asyncio.all_tasks(loop))
