"""The incident workflow between a real database and the strict stand-in for Slack."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import select

from bot.app.incidents import Incidents
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import Budget
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import RollingWindow
from bot.freezes.hold_registry import HoldRegistry
from bot.http.auth import EnvironmentToken
from bot.http.problems import problems
from bot.http.request_body import MOST_BYTES
from bot.http.tokens import KnownTokens
from bot.incidents.cost import Downtime
from bot.incidents.holds import ended_causes
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import NewIncident
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.runner import RunnerTiming
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.incidents.messages import CARD, NOTICE
from bot.slack.manifest import manifest
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.outbox import read_backlog
from bot.store.tables.incidents import incident_steps
from bot.tasks.runner import TaskRunner
from tests.support.clock import DAY, MINUTE, ForwardableClock
from tests.support.stores import create_tables
from tests.support.values import catalog, service, slo

TOKEN = "tok-for-incidents"
SPEED = 20.0
"""How much faster than Slack these channels take messages."""
TIMING = DeliveryTiming(
    interval_s=1 / SPEED,
    settle_s=0.02,
    backoff_s=0.01,
    backoff_limit_s=0.1,
    not_permitted_s=0.1,
    poll_s=0.1,
    minute_s=62 / SPEED,
)
PATIENCE = RunnerTiming(poll_s=0.1, backoff_s=0.02, backoff_limit_s=0.2, not_allowed_s=0.1, refresh_s=0.3)
UPTIME = slo("uptime", window=RollingWindow(7 * DAY), sli=DowntimeSli())
"""99.9% a week: 10.08 minutes."""


def shop() -> Catalog:
    """Return two services; checkout counts orders and downtime."""
    checkout = service(slos=(slo("orders", window=RollingWindow(7 * DAY)), UPTIME))
    return catalog(checkout, service("search"))


@dataclass
class IncidentsSetup:
    """The parts of a running incident workflow, and shortcuts to them."""

    database: Database
    slack: FakeSlackServer
    incidents: Incidents
    hold_registry: HoldRegistry
    ledger: Ledger
    clock: ForwardableClock
    policies: Catalog
    started: datetime
    client: AsyncWebClient
    current: CurrentCatalog
    url: str = ""
    http: aiohttp.ClientSession = field(init=False)

    def opening(self, key: str = "k", **fields: object) -> NewIncident:
        """Describe a sev2 incident of checkout that Dana opens."""
        base = NewIncident(key, "Checkout 500s", Severity.SEV2, ("checkout",), "U0DANA", is_person=True)
        return replace(base, **fields)  # type: ignore[arg-type]

    async def opened(self, key: str = "k", **fields: object) -> IncidentSnapshot:
        """Open an incident and wait until nothing is left to be done for it."""
        opened = await self.incidents.lifecycle.open(self.opening(key, **fields), self.clock.now())
        return await self.complete(opened.incident.id)

    async def complete(self, id_: int, within_s: float = 60.0) -> IncidentSnapshot:
        """Wait until no step is pending and every message is sent."""
        async with asyncio.timeout(within_s):
            while await self.pending() or await self._unsent():  # noqa: ASYNC110 - another task works
                await asyncio.sleep(0.05)
        return await self.incidents.snapshots.of(id_)

    async def do_due_tasks(self) -> None:
        """Do what is due now."""
        runner = TaskRunner(self.database, self.clock)
        runner.register(self.incidents.task_handlers)
        await runner.tick()

    async def pending(self) -> list[str]:
        """Return the names of the pending steps."""
        return [name for name, state, _ in await self.steps() if state == "pending"]

    async def steps(self, id_: int | None = None) -> list[tuple[str, str, str | None]]:
        """Return every step with its state and error, in order: of one incident or of all."""
        query = select(incident_steps).order_by(incident_steps.c.id)
        if id_ is not None:
            query = query.where(incident_steps.c.incident_id == id_)
        async with self.database.reading() as connection:
            rows = await connection.execute(query)
            return [(f"{row.name} {row.subject}".strip(), row.state, row.error) for row in rows]

    async def _unsent(self) -> bool:
        async with self.database.reading() as connection:
            return bool((await read_backlog(connection)).channels)

    def channels(self, prefix: str = "inc-") -> list[str]:
        """Return the ids of the channels of incidents."""
        found = self.slack.workspace.channels.values()
        return [channel.id for channel in found if channel.name.startswith(prefix)]

    def messages(self, channel: str, kind: str) -> list[Message]:
        """Return the messages of one kind in a channel."""
        return [
            message
            for message in self.slack.messages(channel)
            if (message.metadata or {}).get("event_type") == kind
        ]

    def assert_one_complete_incident(self, *, people: set[str]) -> str:
        """Assert one channel with `people`, one pinned card and one notice; return the channel's id."""
        (channel_id,) = self.channels()
        channel = self.slack.workspace.channels[channel_id]
        assert people <= set(channel.members)
        (card,) = self.messages(channel_id, CARD)
        assert [ts for ts, _ in channel.pins] == [card.ts]
        assert len(self.messages("#incidents", NOTICE)) == 1
        assert channel.topic
        assert channel.purpose.startswith("Incident ")
        return channel_id

    async def budgets(self) -> dict[str, Budget]:
        """Return checkout's budgets by the SLO's key."""
        questions = [AssessmentRequest(each) for each in self.policies.services["checkout"].slos]
        found = await assess_all(self.ledger, questions, self.clock.now(), MINUTE)
        return {budget.slo.key: budget for budget in found}

    async def api(self, method: str, path: str, **options: object) -> tuple[int, dict[str, object]]:
        """Call the HTTP API with the token."""
        async with self.http.request(method, f"{self.url}{path}", **options) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.json(content_type=None)


@asynccontextmanager
async def run_incidents(
    folder: Path, *, url: str | None = None, works: bool = True
) -> AsyncIterator[IncidentsSetup]:
    """Run the incident workflow; without `works` its steps are only recorded."""
    policies, clock = shop(), ForwardableClock()
    async with (
        Database(url or f"sqlite+aiosqlite:///{folder}/governor.db") as database,
        FakeSlackServer(
            manifest=manifest("https://governor.example"), wall=lambda: time.time() * SPEED
        ) as slack,
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):
        await create_tables(database)
        client = SlackClient(token=slack.bot_token, base_url=slack.api_url, session=session)
        edit_limits = EditRateLimits(TIMING.minute_s)
        dispatcher = OutboxDispatcher(
            database,
            client,
            clock,
            registry=CollectorRegistry(),
            timing=TIMING,
            edit_limits=edit_limits,
        )
        ledger = Ledger(database, Downtime(database).bad_seconds)
        current = CurrentCatalog(policies)
        hold_registry = HoldRegistry(database, FreezeAnnouncer(current), read_ended=ended_causes)
        response = Incidents(
            database=database,
            ledger=ledger,
            hold_registry=hold_registry,
            client_of=lambda _team: client,
            edit_limits=edit_limits,
            current=current,
            clock=clock,
            lease=Lease("incidents"),
            timing=PATIENCE,
        )
        incidents_setup = IncidentsSetup(
            database,
            slack,
            response,
            hold_registry,
            ledger,
            clock,
            policies,
            clock.now() - 10 * MINUTE,
            client,
            current,
        )
        incidents_setup.http = http
        app = web.Application(middlewares=[problems], client_max_size=MOST_BYTES)
        response.add_routes(app, KnownTokens(EnvironmentToken(TOKEN), database, clock))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        incidents_setup.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        tasks = [asyncio.create_task(response.step_runner.run())] if works else []
        delivery = asyncio.create_task(dispatcher.run())
        try:
            yield incidents_setup
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await dispatcher.drain(5)
            await delivery
            await runner.cleanup()


def channel_id_of(view: IncidentSnapshot, kind: ChannelKind = ChannelKind.INCIDENT) -> str:
    """Return the id of an incident's channel, which must be there."""
    channel_id = view.channel_id(kind)
    assert channel_id is not None
    return channel_id
