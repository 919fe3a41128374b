"""A running Slack app: the real Bolt app behind its route, a real database, and the stand-in for Slack."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.app.flags import Flags
from bot.app.freezes.freezes import Freezes
from bot.app.incidents import Incidents
from bot.app.notices.personal import WaitingRequests, personal_notices
from bot.app.reviews import Reviews
from bot.app.rotations import Rotations
from bot.backtests.runner import BacktestRunner
from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.budget import Budget, EventCounts
from bot.budgets.change_counts import ChangeCounts
from bot.budgets.downtime import none_recorded
from bot.budgets.forecaster import Forecaster
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.rolling import RollingHistory
from bot.budgets.variant_counts import NoVariantsError, VariantCounts
from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import Slo
from bot.catalog.variants import Variants
from bot.clock import SystemClock
from bot.flags.changes.recorder import OnLowered
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.gate.state import ReadUnready
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader, all_ready
from bot.freezes.tasks.hold_expiry import HoldExpiry
from bot.incidents.cost import Downtime
from bot.incidents.records.actions import unmet_requirements
from bot.incidents.snapshot import IncidentSnapshot
from bot.sandbox.fake_slack.model import Json, Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.app import SlackApp
from bot.slack.capabilities import (
    AdjustmentCapabilities,
    Capabilities,
    IncidentCapabilities,
    VelocityCapabilities,
)
from bot.slack.command_prefix import CommandPrefix
from bot.slack.digests.messages import digest_messages
from bot.slack.events_endpoint import SlackEndpoint
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.manifest import manifest
from bot.slack.personal.notices import PersonalNotices
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.slack.typed.link_addresses import LinkAddresses
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.clients import Clients
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.spending.event_reader import ServiceEventReader
from bot.spending.reader import SpendingReader
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.signals import Topic
from bot.tasks.runner import TaskRunner
from bot.teams.digests.reader import DigestReader
from bot.teams.digests.sending import DigestSending
from bot.teams.readiness.launches import Launches
from bot.teams.rotations.control import RotationControl
from bot.velocity.cost_reader import CostReader
from bot.velocity.goals.reader import GoalReader
from bot.velocity.reader import VelocityReader
from tests.support.clock import StoppedClock
from tests.support.examples import WORKSPACE, shop_service, shrinking
from tests.support.stores import create_tables
from tests.support.values import budget_of_events, catalog, slo

PUBLIC_URL = "https://governor.example"
"""The bot's address in Slack; links below it have previews."""


def counted_at(burn: float, total: float = 10_000, before: float = 0.5) -> ChangeCounts:
    """Return counts of a 99.9% SLO that burns at that rate since a change, and `before` it."""
    since = EventCounts(burn * 0.001 * total, total)
    return ChangeCounts(EventCounts(before * 0.001 * 10_000, 10_000), since, since)


@dataclass
class Shop:
    """The services with their budgets, as values that a test may change."""

    current: CurrentCatalog
    budgets: dict[str, list[Budget]]
    clock: StoppedClock = field(default_factory=StoppedClock)
    counts: ChangeCounts = field(default_factory=lambda: counted_at(0.5))
    """What each SLO has counted around a change of a flag."""
    variant_counts: VariantCounts | NoVariantsError = field(
        default_factory=lambda: NoVariantsError("no series with the label `variant` counted anything")
    )
    """What each SLO has counted since a change with the flag on and off."""
    forecaster: Forecaster | None = None

    @property
    def catalog(self) -> Catalog:
        """The policies in force."""
        return self.current.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self.current.set(catalog)

    async def assess(self, services: Sequence[Service], now: datetime) -> Sequence[Sequence[Budget]]:
        del now
        return [self.budgets.get(service.name, []) for service in services]

    async def count_change(
        self, slo: Slo, changed_at: datetime, recent: timedelta, until: datetime | None
    ) -> ChangeCounts:
        del slo, changed_at, recent, until
        return self.counts

    async def count_by_variant(
        self, slo: Slo, variants: Variants, changed_at: datetime, recent: timedelta, until: datetime | None
    ) -> VariantCounts:
        del slo, variants, changed_at, recent, until
        if isinstance(self.variant_counts, NoVariantsError):
            raise self.variant_counts
        return self.variant_counts

    async def rolling(self, budget: Budget, now: datetime, most: int) -> RollingHistory:
        del budget, now
        return shrinking(1.0, 0.2, most + 1)

    async def recovers_at(self, slo: Slo, target: Decimal, now: datetime) -> datetime | None:
        del slo, target
        return now + timedelta(days=2)

    def status_reader(
        self, hold_registry: HoldRegistry, read_unready: ReadUnready = all_ready
    ) -> StatusReader:
        return StatusReader(
            self.current, self, hold_registry, self.clock, self.forecaster, read_unready=read_unready
        )


def shop(*services: Service) -> Shop:
    """Return three services: checkout has spent most of its budget, search some, payments has no data."""
    checkout = shop_service("checkout", slo(), slo("latency", objective=0.99))
    offered = services or (checkout, shop_service("search"), shop_service("payments"))
    stands: dict[str, list[Budget]] = {
        each.name: [budget_of_events(promised, 100) for promised in each.slos] for each in offered
    }
    if not services:
        stands["checkout"] = [
            budget_of_events(checkout.slos[0], 800, burst=3),
            budget_of_events(checkout.slos[1], 100),
        ]
        stands["payments"] = [
            Budget(offered[2].slos[0], state="no_data", problem="prometheus did not answer")  # type: ignore[arg-type]
        ]
    return Shop(CurrentCatalog(catalog(*offered, workspace=WORKSPACE)), stands)


@asynccontextmanager
async def new_database(path: Path) -> AsyncIterator[Database]:
    """Open a new database with all tables."""
    async with Database(f"sqlite+aiosqlite:///{path / 'governor.db'}") as database:
        await create_tables(database)
        yield database


def build_incidents(
    of: Shop, hold_registry: HoldRegistry, database: Database, client: AsyncWebClient
) -> Incidents:
    """Return the incident workflow of a shop; its loops are not started."""
    return Incidents(
        database=database,
        ledger=Ledger(database, Downtime(database).bad_seconds),
        hold_registry=hold_registry,
        client_of=lambda _team: client,
        edit_limits=EditRateLimits(minute_s=3.0),
        current=of.current,
        clock=of.clock,
        lease=Lease("incidents"),
    )


def build_digests(
    of: Shop, status_reader: StatusReader, database: Database, rotations: RotationControl
) -> DigestSending:
    """Return digests of what is in the database."""
    reader = DigestReader(
        database,
        status_reader,
        VelocityReader(database),
        build_velocity(of, database).goals,
        spending=build_spending(of, database),
        rotations=rotations,
        costs=build_velocity(of, database).costs,
    )
    return DigestSending(database, reader, digest_messages, of.clock)


def build_spending(of: Shop, database: Database) -> SpendingReader:
    """Return what says where budgets went, over a ledger of its own."""
    ledger = Ledger(database, Downtime(database).bad_seconds)
    return SpendingReader(ledger, ServiceEventReader(database, of.current), of.clock)


def build_velocity(of: Shop, database: Database) -> VelocityCapabilities:
    """Return what says how fast services ship, over a ledger of its own."""
    ledger = Ledger(database, Downtime(database).bad_seconds)
    reader = VelocityReader(database)
    events = ServiceEventReader(database, of.current)
    costs = CostReader(reader, events, database, ledger, of.clock)
    return VelocityCapabilities(reader, costs, GoalReader(ledger, reader))


def immediate_incident_capabilities(incidents: Incidents) -> IncidentCapabilities:
    """Return capabilities that complete an incident's channel before they return it."""

    async def channel_of(id_: int, within_s: float) -> IncidentSnapshot:
        del within_s
        for _ in range(3):
            await incidents.step_runner.tick()
        return await incidents.snapshots.of(id_)

    return replace(incidents.capabilities, channel_of=channel_of)


@dataclass
class RunningSlackApp:
    """The Slack app with all that it depends on."""

    slack: FakeSlackServer
    app: SlackApp
    hold_registry: HoldRegistry
    database: Database
    shop: Shop
    url: str
    flags: Flags
    incidents: Incidents
    client: SlackClient
    launches: Launches
    reviews: Reviews
    status_reader: StatusReader
    freezes: Freezes

    async def tick(self) -> None:
        """Let the flags' loop run once, and do what is due now."""
        await self.flags.tick()
        await self.do_due_tasks()

    async def do_due_tasks(self) -> None:
        """Do what is due now."""
        runner = TaskRunner(self.database, self.shop.clock)
        expiry = HoldExpiry(self.hold_registry, self.shop.current.catalog.service_or_stand_in)
        runner.register(
            [expiry, self.freezes.windows, *self.flags.task_handlers, *self.incidents.task_handlers]
        )
        runner.register([self.personal_notices])
        await runner.tick()

    @property
    def personal_notices(self) -> PersonalNotices:
        """What tells people in direct messages what they asked for."""
        current = self.shop.current
        waiting = WaitingRequests(
            ExemptionRequests(self.database, FreezeAnnouncer(current)),
            AdjustmentRegistry(self.database, AdjustmentAnnouncer(current)),
            self.flags,
            self.shop.clock,
        )
        return personal_notices(self.database, current, lambda _team: self.client, waiting)

    async def types(self, who: str, text: str, channel: str = "#general") -> Message:
        """Let a person type a command; return what they see next in that channel."""
        before = len(self.slack.seen_by(who, channel))
        await self.slack.person(who).says(text, channel)
        await self.app.drain(10)
        seen = self.slack.seen_by(who, channel)
        assert len(seen) > before, "nobody answered"
        return seen[-1]

    async def submits(self, who: str, **values: Json) -> dict[str, str]:
        """Fill in the form on top, each input by its name, and submit it; return what is wrong."""
        filled = {name: {name: entry} for name, entry in values.items()}
        faults = await self.slack.person(who).submits(filled)
        await self.app.drain(10)
        return faults

    async def presses(self, who: str, message: Message, action: str, channel: str = "#general") -> None:
        await self.slack.person(who).acts(message, channel, action)
        await self.app.drain(10)


def build_flags(
    of: Shop,
    status_reader: StatusReader,
    hold_registry: HoldRegistry,
    database: Database,
    session: aiohttp.ClientSession,
    *,
    on_lowered: OnLowered | None = None,
) -> Flags:
    """Return the flags of a shop, kept in the bot's own database."""
    return Flags(
        status_reader=status_reader,
        hold_registry=hold_registry,
        database=database,
        session=session,
        clock=of.clock,
        latest=of.budgets.get,
        count_change=of.count_change,
        count_by_variant=of.count_by_variant,
        announce=FlagAnnouncer(of.current),
        lease=Lease("flags"),
        on_lowered=on_lowered,
    )


@asynccontextmanager
async def run_slack_app(path: Path, of: Shop, prefix: str = "") -> AsyncIterator[RunningSlackApp]:
    """Start everything on free ports; at the end Slack must not have refused anything."""
    async with (
        FakeSlackServer(manifest=manifest(PUBLIC_URL, prefix=prefix)) as slack,
        aiohttp.ClientSession() as session,
        new_database(path) as database,
    ):
        command_prefix = CommandPrefix(prefix)
        reviews = Reviews(database, of.current)
        clients = Clients(slack.api_url, session, single_token=slack.bot_token, prefix=command_prefix)
        client = clients.for_team(None)
        freezes = Freezes(
            database,
            of.current,
            FreezeAnnouncer(of.current),
            read_unmet=unmet_requirements,
            follow=reviews.planner.follow,
        )
        hold_registry = freezes.registry
        launches = Launches(database, appeared_messages, changed_messages)
        status_reader = of.status_reader(hold_registry, launches.unready)
        incidents = build_incidents(of, hold_registry, database, client)
        flags = build_flags(
            of, status_reader, hold_registry, database, session, on_lowered=incidents.link_lowered_flag
        )
        rotations = Rotations(
            database=database, client_of=clients.for_team, current=of.current, clock=of.clock
        ).control
        capabilities = Capabilities(
            status_reader=status_reader,
            explanations=ExplanationReader(Ledger(database), {}, of.clock),
            spending=build_spending(of, database),
            backtests=BacktestRunner(database, none_recorded),
            hold_registry=hold_registry,
            bulk_holds=freezes.bulk,
            freeze_schedules=freezes.schedules,
            exemption_requests=ExemptionRequests(database, FreezeAnnouncer(of.current)),
            adjustments=AdjustmentCapabilities(
                AdjustmentRegistry(database, AdjustmentAnnouncer(of.current)),
                AdjustmentPreview(Ledger(database), of.current),
            ),
            flag_changes=flags.changes,
            ramps=flags.ramps,
            incidents=immediate_incident_capabilities(incidents),
            launches=launches,
            velocity=build_velocity(of, database),
            rotations=rotations,
            reviews=reviews.agreements,
            digests=build_digests(of, status_reader, database, rotations),
            database=database,
            clock=of.clock,
            prefix=command_prefix,
            addresses=LinkAddresses(PUBLIC_URL),
        )
        database.signals.subscribe(list(Topic), status_reader.invalidate)
        face = SlackApp(capabilities, clients, signing_secret=slack.signing_secret, bot_token=slack.bot_token)
        app = web.Application()
        SlackEndpoint(face.app, slack.signing_secret, SystemClock()).add_routes(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        slack.bot_url = f"http://{host}:{port}"
        try:
            await face.start()
            yield RunningSlackApp(
                slack,
                face,
                hold_registry,
                database,
                of,
                f"http://{host}:{port}",
                flags,
                incidents,
                client,
                launches,
                reviews,
                status_reader,
                freezes,
            )
            await face.drain(10)
        finally:
            await runner.cleanup()
