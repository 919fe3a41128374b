"""The life of a running bot: settings and policies in, everything opened, run, and drained at the end."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial

import aiohttp
import structlog
from aiohttp import web

from bot.app.budgets import Budgets
from bot.app.deployments import Deployments
from bot.app.digests import Digests
from bot.app.flags import Flags
from bot.app.gates.gates import Gates
from bot.app.http import AddRoutes, build_routes, serving
from bot.app.incidents import Incidents
from bot.app.installations import open_installations
from bot.app.metrics.self_measurement import SelfMeasurement, show_live
from bot.app.notices.personal import WaitingRequests, personal_notices
from bot.app.notices.webhooks import Webhooks
from bot.app.paging import paging_handlers
from bot.app.readiness import ReadinessChecks
from bot.app.resources import Resources
from bot.app.reviews import Reviews
from bot.app.rotations import Rotations
from bot.app.slack import Slack
from bot.app.velocity import VelocityParts
from bot.budgets.change_counts import ChangeCounter
from bot.budgets.variant_counts import VariantCounter
from bot.canaries.control import CanaryControl
from bot.catalog.catalog import Catalog, Service
from bot.clock import Clock, SharedClock, SystemClock
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.calendar.retention import delete_past_windows
from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure
from bot.gates.kubernetes.canaries import ClusterCanaries
from bot.http.server.connections import ConnectionLimit
from bot.logs import hide
from bot.metrics import Metrics
from bot.policy.discovery import Discovery
from bot.policy.faults import PolicyFault
from bot.policy.secrets import secrets_of
from bot.policy.watcher import PolicyWatcher
from bot.settings import Settings
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.announcements.policy_faults import PolicyFaultAnnouncer
from bot.slack.canaries.messages import announce_canary
from bot.slack.capabilities import AdjustmentCapabilities, Capabilities
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.notices.welcome import Welcomes
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.store import write_probe
from bot.store.database import Database
from bot.store.installations import Installations
from bot.store.item_failures import ItemFailures
from bot.store.leases import Leases
from bot.store.migrate import migrate
from bot.store.retention.deletion import delete_expired
from bot.store.retention.departed_services import note_departed
from bot.store.signals import Topic
from bot.store.startup import check_before_use
from bot.store.write_probe import WriteProbe
from bot.tasks.runner import TaskRunner
from bot.teams.readiness.launches import Launches

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
            self._assemble(await stack.enter_async_context(aiohttp.ClientSession()), installations)
            await self.discovery.restore()
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
            delivery = tasks.create_task(self.slack.dispatcher.run(), name="dispatcher")
            loops = [tasks.create_task(loop, name=name) for name, loop in self._loops().items()]
            await self._stopping.wait()
            log.info("stopping")
            for loop in loops:
                loop.cancel()
            await self.server.close()
            await self.slack.app.drain(_DRAIN_TASKS_S)
            await self.slack.dispatcher.drain(_DRAIN_S)
            delivery.cancel()
            beats.cancel()
        log.info("stopped")

    def _loops(self) -> dict[str, Coroutine[None, None, None]]:
        """Return everything that goes on until the bot is stopped, by name."""
        loops: dict[str, Coroutine[None, None, None]] = {
            "slack": self.slack.connect(),
            "signals": self.database.signals.listen(),
            "evaluator": self.budgets.evaluator.run(),
            "holds": self.budgets.follow_holds(),
            "policies": self.watcher.run(self._policies_changed, self._policies_broken),
            "discovery": self.discovery.run(),
            "tick": self._every(_TICK_S, self._tick),
            "event loop": self._self_measurement.watch_event_loop(),
            "measurement": self._every(_MEASURE_EVERY_S, self._self_measurement.measure),
            "writing": self._every(write_probe.EVERY_S, self._write_probe.attempt),
            "flags": self.flags.run(),
            "gates": self.gates.run(),
            "retention": self._every(_RETENTION_EVERY_S, self._drop_old_rows),
            "forecasts": self._every(_FORECAST_EVERY_S, self.budgets.forecast),
            "velocity": self._every(_VELOCITY_EVERY_S, self.velocity.measure),
            "home": self._every(_HOME_EVERY_S, self.slack.app.workspaces.refresh_homes),
            "incidents": self.incidents.step_runner.run(),
            "tasks": self.tasks.run(),
            "webhooks": self._every(_TICK_S, self.webhooks.plan_deliveries),
            "scheduled": self._every(_SCHEDULED_EVERY_S, self.incidents.run_scheduled),
        }
        if self.slack.oauth is not None:
            loops["tokens"] = self._every(_RENEW_EVERY_S, self.slack.oauth.renew)
        return loops

    def _assemble(self, session: aiohttp.ClientSession, installations: Installations | None) -> None:
        """Build every part; what one part needs of another is handed to it here and nowhere else."""
        current = self.watcher.current
        resources = self._resources = Resources(
            settings=self.settings,
            metrics=self.metrics,
            database=self.database,
            session=session,
            current=current,
            clock=self.clock,
            leases=self.leases,
        )
        announcer = FreezeAnnouncer(current)
        self._policy_faults = PolicyFaultAnnouncer(self.database, announcer, self.clock)
        metrics = self.metrics
        self._write_probe = WriteProbe(self.database, observe=metrics.database_write_seconds.observe)
        self._retention = self.leases.lease("compaction")
        self.tasks = TaskRunner(
            self.database,
            self.clock,
            self.leases,
            count=lambda kind, outcome: metrics.task_attempts.labels(kind, outcome).inc(),
        )
        self._self_measurement = SelfMeasurement(metrics, self.database, self.tasks)
        self.slack = Slack(resources, announcer, installations, self._timing)
        self.webhooks = Webhooks(resources, self.tasks)
        self.tasks.register(paging_handlers(resources, self.slack.addresses))
        self.launches = Launches(self.database, appeared_messages, changed_messages)
        self.reviews = Reviews(self.database, current)
        self.budgets = Budgets(
            resources,
            announcer,
            self._look_after_flags,
            read_unready=self.launches.unready,
            follow=self.reviews.planner.follow,
            find_guard_failure=self._find_guard_failure,
        )
        self.tasks.register(self.reviews.handlers(self.budgets.status_reader, self.budgets.spending))
        self.tasks.register([self.budgets.maintenance])
        self.velocity = VelocityParts(resources, self.budgets)
        self.discovery = Discovery(
            database=self.database,
            sources=self.budgets.sources,
            watcher=self.watcher,
            clock=self.clock,
            lease=self.leases.lease("discovery"),
            report=self._values_refused,
        )
        self.rotations = Rotations(
            database=self.database, client_of=self.slack.clients.for_team, current=current, clock=self.clock
        )
        self.tasks.register(self.rotations.handlers)
        self.incidents = Incidents(
            database=self.database,
            ledger=self.budgets.ledger,
            hold_registry=self.budgets.hold_registry,
            client_of=self.slack.clients.for_team,
            edit_limits=self.slack.edit_limits,
            current=current,
            clock=self.clock,
            lease=self.leases.lease("incidents"),
            pair_of=self.rotations.pair_of,
        )
        self.deployments = Deployments(
            resources,
            UndoDetector(self.incidents.lifecycle.causes),
            read_unready=self.launches.unready_when_deployed,
            kind_proofs=self.budgets.kind_proofs,
        )
        self.tasks.register(self.deployments.handlers)
        self.flags = Flags(
            database=self.database,
            session=session,
            status_reader=self.budgets.status_reader,
            hold_registry=self.budgets.hold_registry,
            latest=self.budgets.evaluator.latest.get,
            count_change=ChangeCounter(self.budgets.ledger, current, self.clock).count,
            count_by_variant=VariantCounter(self.budgets.sources, current, self.clock).count,
            announce=FlagAnnouncer(current),
            clock=self.clock,
            lease=self.leases.lease("flags"),
            on_lowered=self.incidents.link_lowered_flag,
        )
        self.tasks.register(
            [*self.budgets.task_handlers, *self.flags.task_handlers, *self.incidents.task_handlers]
        )
        waiting = WaitingRequests(
            self.budgets.exemption_requests, self.budgets.adjustments, self.flags, self.clock
        )
        self.tasks.register([personal_notices(self.database, current, self.slack.clients.for_team, waiting)])
        self.gates = Gates(
            resources, self.budgets.status_reader, self.deployments.passages, self.budgets.exemption_requests
        )
        self.tasks.register(self.gates.task_handlers)
        self.digests = Digests(
            resources,
            self.budgets.status_reader,
            self.budgets.spending,
            self.velocity,
            self.rotations.control,
        )
        self.tasks.register([self.digests.handler])
        self.slack.build_app(
            Capabilities(
                status_reader=self.budgets.status_reader,
                explanations=self.budgets.explanations,
                spending=self.budgets.spending,
                backtests=self.budgets.backtests,
                hold_registry=self.budgets.hold_registry,
                bulk_holds=self.budgets.freezes.bulk,
                freeze_schedules=self.budgets.freezes.schedules,
                exemption_requests=self.budgets.exemption_requests,
                adjustments=AdjustmentCapabilities(self.budgets.adjustments, self.budgets.adjustment_preview),
                flag_changes=self.flags.changes,
                ramps=self.flags.ramps,
                incidents=self.incidents.capabilities,
                launches=self.launches,
                velocity=self.velocity.capabilities,
                rotations=self.rotations.control,
                reviews=self.reviews.agreements,
                digests=self.digests.sending,
                database=self.database,
                clock=self.clock,
                prefix=self.slack.prefix,
                addresses=self.slack.addresses,
                welcomes=Welcomes(self.database, current, self.clock),
                canaries=CanaryControl(
                    ClusterCanaries(self.gates.clusters),
                    self.budgets.status_reader,
                    self.database,
                    self.clock,
                    announce_canary,
                ),
            )
        )
        show_live(
            metrics,
            probe=self._write_probe,
            leases=self.leases,
            evaluator=self.budgets.evaluator,
            current=current,
            jobs=self.slack.app.tasks,
        )
        shown_at_home = [topic for topic in Topic if topic not in {Topic.TASKS, Topic.GATE_WAITS}]
        self.database.signals.subscribe(shown_at_home, self.slack.app.workspaces.request_home_refresh)

    def _application(self) -> web.Application:
        readiness = ReadinessChecks(
            database=self.database,
            write_probe=self._write_probe,
            wal_damage=self._wal_damage,
            watcher=self.watcher,
            discovery=self.discovery,
            budgets=self.budgets,
            slack=self.slack,
            tasks=self.tasks,
            imports=self.deployments.imports,
            webhooks=self.webhooks,
            clock=self.clock,
        )
        app = build_routes(
            self._resources,
            self.budgets,
            self.incidents,
            self.flags,
            self.slack,
            self.deployments,
            velocity=self.velocity,
            rotations=self.rotations,
            gates=self.gates,
            webhooks=self.webhooks,
            readiness=readiness,
            real_clock=self._real_clock,
        )
        for add_routes in self._routes:
            add_routes(app)
        return app

    async def _find_guard_failure(self, service: Service, begun: BegunChange) -> GuardFailure | None:
        return await self.flags.change_guard.find_failure(service, begun)

    def _look_after_flags(self, services: Collection[str]) -> None:
        self.flags.evaluated(services)

    async def _apply_catalog(self, catalog: Catalog) -> None:
        hide(secrets_of(catalog))
        await self.budgets.follow_policies(catalog)
        await self.launches.follow(catalog, self.clock.now())
        await self.rotations.follow_policies(catalog)
        await self.reviews.planner.reconcile(catalog, self.clock.now())
        await self.digests.follow(catalog)
        await self.deployments.imports.follow(catalog, self.clock.now())
        await self.deployments.issues.plan(self.clock.now())
        await self.gates.follow(catalog)
        await self.webhooks.follow(catalog)

    async def _policies_changed(self, catalog: Catalog) -> None:
        await self._apply_catalog(catalog)
        self.metrics.policies_loaded.labels("changed").inc()
        log.info("policies_changed", services=len(catalog.services), digest=catalog.digest[:12])

    async def _policies_broken(self, faults: tuple[PolicyFault, ...]) -> None:
        self.metrics.policies_loaded.labels("broken").inc()
        log.warning("policies_broken", faults=[str(fault) for fault in faults])
        await self._policy_faults.announce_faults(faults)

    async def _values_refused(self, faults: Sequence[PolicyFault]) -> None:
        await self._policy_faults.announce_refused_values(faults)

    def _count_faults(self) -> int:
        return len(self.watcher.faults) + len(self.watcher.refused_values)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("tick_failed", work=work.__name__)
                self.metrics.loop_failures.labels(work.__name__.strip("_")).inc()
            await asyncio.sleep(seconds)

    async def _each(self, *tasks: Callable[[], Awaitable[None]]) -> None:
        """Run tasks one after another; one that fails keeps none of the others from running."""
        for task in tasks:
            with self._failures.isolate(task.__name__) as is_due:
                if is_due:
                    await task()

    async def _tick(self) -> None:
        await self._each(
            self.budgets.evaluator.take_over, self.budgets.drop_lost_gauges, self._announce_policy_repair
        )

    async def _announce_policy_repair(self) -> None:
        if not self.watcher.faults:
            await self._policy_faults.announce_repair()

    async def _drop_old_rows(self) -> None:
        if await self._retention.acquire():
            await self._each(self.budgets.drop_old_events, self._drop_past_windows, self._drop_expired_rows)

    async def _drop_past_windows(self) -> None:
        await delete_past_windows(self.database, self.watcher.current.catalog, self.clock.now())

    async def _drop_expired_rows(self) -> None:
        await note_departed(self.database, self.watcher.current.catalog.services.keys(), self.clock.now())
        await delete_expired(self.database, self.clock.now())


def _count_tasks(loop: asyncio.AbstractEventLoop) -> int:
    return len(asyncio.all_tasks(loop))
