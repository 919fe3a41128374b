"""The wiring: settings and policies in, a running bot out. The only file that knows every room."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial

import aiohttp
import structlog
from aiohttp import web
from slack_sdk.errors import SlackApiError

from bot.app.flags import Flags
from bot.app.incidents import Incidents
from bot.app.installations import SlackInstallations, open_installations
from bot.app.readiness import ReadinessChecks
from bot.budgets.collector import Collector
from bot.budgets.evaluator import Assessed, Evaluator
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent, PushResult
from bot.budgets.sources.registry import SourceRegistry
from bot.catalog.catalog import Catalog
from bot.clock import Clock, SharedClock, SystemClock
from bot.deployments.recorder import DeploymentRecorder
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.gauges import BudgetGauges
from bot.http.api import Api
from bot.http.auth import EnvironmentToken
from bot.http.deployments import DeploymentsEndpoint
from bot.http.events import EventsEndpoint
from bot.http.github import GitHubWebhook
from bot.http.health import HealthEndpoint
from bot.http.openapi import OpenApi
from bot.http.problems import problems
from bot.http.request_body import MOST_BYTES
from bot.http.tokens import KnownTokens
from bot.incidents.cost import Costs, Downtime
from bot.incidents.records.actions import unmet_requirements
from bot.incidents.report_reader import ReportReader
from bot.logs import hide
from bot.metrics import Metrics
from bot.policy.discovery import Discovery
from bot.policy.faults import PolicyFault
from bot.policy.secrets import secrets_of
from bot.policy.watcher import PolicyWatcher
from bot.settings import Settings
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.announcements.policy_faults import PolicyFaultAnnouncer
from bot.slack.app import SlackApp
from bot.slack.command_prefix import CommandPrefix
from bot.slack.delivery.channel_queue import DeliveryTiming
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.events_endpoint import SlackEndpoint, verify_by
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.socket_mode import SocketMode
from bot.slack.uninstall import UninstallHandler
from bot.slack.webapi.clients import Clients
from bot.slack.webapi.errors import SlackError, fault_of
from bot.store import idempotency as requests
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.migrate import migrate
from bot.store.outbox import OutboxMessage

log = structlog.get_logger(__name__)

AddRoutes = Callable[[web.Application], None]

_DRAIN_S = 3.0
# A command that was acknowledged is carried out, also where Slack is slow to say who may: a process
# manager waits 30 s before it kills.
_DRAIN_JOBS_S = 20.0
_TICK_S = 1.0
_COMPACT_EVERY_S = 3600.0
_HOME_EVERY_S = 5.0
_WATCH_EVERY_S = 5.0
_RENEW_EVERY_S = 60.0
_RETRY_SLACK_S = 30.0
_SHORTEST_HISTORY = timedelta(days=1)


_BAD_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "not_allowed_token_type"}
)


class BadTokenError(Exception):
    """Slack does not accept the bot's token."""


class Governor:
    """A running bot: everything is open within `async with`; `run` works until `stop` is called.

    `routes` add what else the same HTTP server shall serve; `timing` is the courier's.
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
        shared = None if self.database.is_sqlite else SharedClock()
        self.leases = Leases(self.database, clock=shared)
        self.clock = clock or shared or SystemClock()
        # A simulated clock never bends Slack's rules; the replicas' common one is truer than each one's own.
        self._real_clock = shared or SystemClock()
        self.metrics.policy_faults.set_function(self._count_faults)
        self._gauges = BudgetGauges(self.metrics)
        self._routes = tuple(routes)
        self._timing = timing
        self._stopping = asyncio.Event()
        self._doors = AsyncExitStack()
        self._slack_problem: str | None = "not asked yet"

    async def __aenter__(self) -> "Governor":
        async with AsyncExitStack() as doors:
            doors.push_async_exit(self.database)
            # The figures are read in a thread, which has no loop of its own.
            self.metrics.tasks.set_function(partial(_tasks, asyncio.get_running_loop()))
            await self.watcher.start()
            await migrate(self.database)
            self.installations = open_installations(self.settings, self.database, self.clock)
            if self.installations is not None:
                await self.installations.seal_anew()
            await self.leases.join()
            self._assemble(await doors.enter_async_context(aiohttp.ClientSession()))
            await self.discovery.recall()
            await self._follow(self.watcher.current)
            self.runner = await self._open_http(doors)
            self._doors = doors.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._doors.aclose()

    @property
    def url(self) -> str:
        """Where HTTP listens."""
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def stop(self) -> None:
        """Ask `run` to finish what is under way and return; asking twice changes nothing."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped, then drain: no new requests, commands and posts under way finished."""
        async with asyncio.TaskGroup() as tasks:
            living = tasks.create_task(self.leases.run(), name="leases")
            delivery = tasks.create_task(self.courier.run(), name="courier")
            loops = [
                tasks.create_task(self._greet_slack(), name="greet slack"),
                tasks.create_task(self.evaluator.run(), name="evaluator"),
                tasks.create_task(self.watcher.run(self._policies_changed, self._policies_broken)),
                tasks.create_task(self.discovery.run(), name="discovery"),
                tasks.create_task(self._every(_TICK_S, self._tick), name="tick"),
                tasks.create_task(self.switchboard.run(), name="flags"),
                tasks.create_task(self._every(_COMPACT_EVERY_S, self._compact), name="compaction"),
                tasks.create_task(self._every(_HOME_EVERY_S, self.face.branches.refresh_homes), name="home"),
                tasks.create_task(self.response.conductor.run(), name="incidents"),
                tasks.create_task(self._every(_WATCH_EVERY_S, self.response.look_after), name="watch"),
            ]
            if self.installing is not None:
                renewing = self._every(_RENEW_EVERY_S, self.installing.renew)
                loops.append(tasks.create_task(renewing, name="tokens"))
            await self._stopping.wait()
            log.info("stopping")
            for loop in loops:
                loop.cancel()
            await self.runner.cleanup()
            await self.face.drain(_DRAIN_JOBS_S)
            await self.courier.drain(_DRAIN_S)
            delivery.cancel()
            living.cancel()
        log.info("stopped")

    def _assemble(self, session: aiohttp.ClientSession) -> None:
        settings = self.settings
        token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
        secret = settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else ""
        naming = CommandPrefix(settings.slack_command_prefix)
        self.clients = Clients(
            settings.slack_api_url,
            session,
            single_token=token or None,
            installations=self.installations,
            workspace=lambda: self.watcher.current.workspace,
            naming=naming,
        )
        client = self.clients.of(None)
        self.installing: SlackInstallations | None = None
        if self.installations is not None:
            self.installing = SlackInstallations(
                settings,
                installations=self.installations,
                clients=self.clients,
                clock=self.clock,
                is_mine=lambda: self.leases.may("tokens"),
            )
        self.ledger = Ledger(self.database, Downtime(self.database).bad_seconds)
        self._sources = SourceRegistry(session)
        self.collector = Collector(self.ledger, self._sources)
        self._announcer = FreezeAnnouncer(lambda: self.watcher.current.workspace)
        self.courier = OutboxDispatcher(
            self.database,
            client,
            self.clock,
            notice=self._delivery_notice,
            registry=self.metrics.registry,
            timing=self._timing,
            leases=self.leases,
            client_of=self.clients.of,
        )
        self._policy_news = PolicyFaultAnnouncer(self.database, self._announcer, self.clock)
        learning = ReportReader(self.database, Costs(lambda: self.watcher.current, self.ledger.counts))
        self.freezer = HoldRegistry(
            self.database, self._announcer, self._changed, unmet_requirements, learning.where_it_went
        )
        self.discovery = Discovery(
            database=self.database,
            sources=self._sources,
            watcher=self.watcher,
            clock=self.clock,
            is_mine=lambda: self.leases.may("discovery"),
            tell=self._values_refused,
        )
        self.evaluator = Evaluator(
            self.collector,
            self.ledger,
            lambda: self.watcher.current,
            self.clock,
            self._assessed,
            share=self._share_of,
        )
        self.overview = StatusReader(lambda: self.watcher.current, self.evaluator, self.freezer, self.clock)
        self.response = Incidents(
            database=self.database,
            ledger=self.ledger,
            freezer=self.freezer,
            client=client,
            client_of=self.clients.of,
            catalog=lambda: self.watcher.current,
            clock=self.clock,
            on_told=self._changed,
            is_mine=lambda: self.leases.may("incidents"),
        )
        self.switchboard = Flags(
            overview=self.overview,
            freezer=self.freezer,
            database=self.database,
            session=session,
            clock=self.clock,
            latest=self.evaluator.latest.get,
            announce=FlagAnnouncer(lambda: self.watcher.current.workspace),
            on_told=self._flags_changed,
            is_mine=lambda: self.leases.may("flags"),
        )
        self.face = SlackApp(
            overview=self.overview,
            freezer=self.freezer,
            toggles=self.switchboard.toggles,
            ramps=self.switchboard.ramps,
            incidents=self.response.offered,
            database=self.database,
            client=client,
            clock=self.clock,
            signing_secret=secret,
            bot_token=token,
            clients=self.clients,
            departures=UninstallHandler(self.installations, self.clients) if self.installations else None,
            naming=naming,
        )

    async def _open_http(self, doors: AsyncExitStack) -> web.AppRunner:
        app = web.Application(middlewares=[problems], client_max_size=MOST_BYTES)
        api_token = self.settings.governor_api_token
        environment = EnvironmentToken(api_token.get_secret_value() if api_token else None)
        tokens = KnownTokens(environment, self.database, self.clock)
        if self.settings.slack_signing_secret:
            verify_by(self.face.app, self._real_clock)
        SlackEndpoint(self.face.app, self._observe_ack).add_routes(app)
        if self.installing is not None:
            self.installing.add_routes(app)
        self.switchboard.add_routes(app)
        self.response.add_routes(app, tokens)
        telling = DeploymentAnnouncer(lambda: self.watcher.current.workspace)
        recorder = DeploymentRecorder(
            self.database, lambda: self.watcher.current, telling, self.response.changed
        )
        GitHubWebhook(self.settings.github_secrets, recorder, self.clock, tokens).add_routes(app)
        DeploymentsEndpoint(recorder, lambda: self.watcher.current, self.clock, tokens).add_routes(app)
        OpenApi().add_routes(app)
        Api(
            overview=self.overview,
            events=EventsEndpoint(lambda: self.watcher.current, self._push, self.clock),
            database=self.database,
            tokens=tokens,
        ).add_routes(app)
        probes = ReadinessChecks(
            database=self.database,
            watcher=self.watcher,
            evaluator=self.evaluator,
            collector=self.collector,
            courier=self.courier,
            discovery=self.discovery,
            clock=self.clock,
            slack=self._slack_detail,
        )
        asked = [probes.database, probes.evaluation, probes.policies, probes.sources]
        HealthEndpoint([*asked, probes.delivery, probes.slack], self.metrics.registry).add_routes(app)
        for add_routes in self._routes:
            add_routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_S)
        await runner.setup()
        doors.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self.settings.host, self.settings.port).start()
        log.info("listening", url=f"http://{self.settings.host}:{runner.addresses[0][1]}")
        return runner

    def _flags_changed(self) -> None:
        self._changed()
        # Cards of incidents show flags.
        self.response.conductor.wake()

    async def _slack_detail(self) -> Mapping[str, object]:
        return {"problem": self._slack_problem, "installed": await self.clients.teams()}

    def _changed(self) -> None:
        self.overview.forget()
        self.courier.wake()
        self.face.branches.stir_homes()

    async def _push(self, events: Sequence[PushedEvent], now: datetime) -> PushResult:
        pushed = await self.ledger.push(events, now)
        self.overview.forget()
        return pushed

    def _observe_ack(self, seconds: float, status: int) -> None:
        self.metrics.ack_seconds.observe(seconds)
        self.metrics.requests.labels(str(status)).inc()

    async def _share_of(self, services: Collection[str]) -> Collection[str]:
        mine = await self.leases.share([f"evaluate {service}" for service in services])
        return [service for service in services if f"evaluate {service}" in mine]

    async def _assessed(self, assessed: Assessed, now: datetime) -> None:
        await self.freezer.judge_all(assessed, now)
        self.switchboard.evaluated([service.name for service, _ in assessed])
        frozen = {hold.service for hold in await self.freezer.holds(now)}
        for service, budgets in assessed:
            self._gauges.show(service, budgets, frozen=service.name in frozen, now=now)

    async def _follow(self, catalog: Catalog) -> None:
        hide(secrets_of(catalog.workspace))
        self._sources.follow(catalog.workspace)
        await self.ledger.enrol(catalog.slos)
        self._gauges.follow(catalog)
        self.overview.forget()

    async def _policies_changed(self, catalog: Catalog) -> None:
        await self._follow(catalog)
        self.metrics.policies_loaded.labels("changed").inc()
        log.info("policies_changed", services=len(catalog.services), digest=catalog.digest[:12])

    async def _policies_broken(self, faults: tuple[PolicyFault, ...]) -> None:
        self.metrics.policies_loaded.labels("broken").inc()
        log.warning("policies_broken", faults=[str(fault) for fault in faults])
        if await self._policy_news.broken(faults):
            self.courier.wake()

    async def _values_refused(self, faults: Sequence[PolicyFault]) -> None:
        if await self._policy_news.refused(faults):
            self.courier.wake()

    def _count_faults(self) -> int:
        return len(self.watcher.faults) + len(self.watcher.refused_values)

    def _delivery_notice(self, message: OutboxMessage, error: str) -> Sequence[OutboxMessage]:
        if message.channel == self.watcher.current.workspace.announcements:
            return ()
        return [self._announcer.delivery_failed(message.channel, error)]

    async def _greet_slack(self) -> None:
        """Learn who the bot is, then open the socket if there is an app token."""
        await self._insist(self.face.start, "SLACK_BOT_TOKEN")
        if self.settings.slack_app_token is not None:
            token = self.settings.slack_app_token.get_secret_value()
            await self._insist(SocketMode(self.face.app, token, self.clients.bare()).run, "SLACK_APP_TOKEN")

    async def _insist(self, ask: Callable[[], Awaitable[object]], variable: str) -> None:
        """Ask Slack until it answers; one that is away is asked again, a wrong token stops the bot."""
        while True:
            self._slack_problem = None
            try:
                await ask()
            except (SlackError, SlackApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._slack_problem = fault_of(error).error
                if self._slack_problem in _BAD_TOKEN:
                    raise BadTokenError(f"Slack does not accept {variable}: {self._slack_problem}") from None
            else:
                return
            log.warning("slack_unreachable", problem=self._slack_problem)
            await asyncio.sleep(_RETRY_SLACK_S)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("tick_failed", work=work.__name__)
            await asyncio.sleep(seconds)

    async def _tick(self) -> None:
        await self.evaluator.take_over()
        async with self.leases.held("expiry") as mine:
            if mine:
                await self.freezer.expire(list(self.watcher.current.services.values()), self.clock.now())
        if not self.watcher.faults and await self._policy_news.whole():
            self.courier.wake()

    async def _compact(self) -> None:
        if not await self.leases.may("compaction"):
            return
        now = self.clock.now()
        await requests.forget_old(self.database, now)
        lengths = [slo.window.full_length(now) for slo in self.watcher.current.slos]
        await self.ledger.compact(now, max(lengths, default=_SHORTEST_HISTORY))


def _tasks(loop: asyncio.AbstractEventLoop) -> int:
    return len(asyncio.all_tasks(loop))
