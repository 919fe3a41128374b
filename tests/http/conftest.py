"""The API and the health endpoints on a real socket, with a real database."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import aiohttp
import pytest
from aiohttp import web

from bot.budgets.budget import Budget
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.rolling import RollingHistory, rolling_history
from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import Slo
from bot.freezes.exemptions.passages import Passages
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.freezes.exemptions.requests import ExemptionRequests
from bot.freezes.exemptions.uses import ExemptionUses
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.http.api import Api
from bot.http.auth import EnvironmentToken
from bot.http.events import EventsEndpoint
from bot.http.exemptions import ExemptionsEndpoint
from bot.http.health import HealthEndpoint, ReadinessCheck
from bot.http.problems import problems
from bot.http.request_body import MOST_BYTES
from bot.metrics import Metrics
from bot.slack.announcements.proven_kinds import proven_kind_messages
from bot.spending.event_reader import ServiceEventReader
from bot.spending.reader import SpendingReader
from bot.store.database import Database
from tests.support.clock import DAY, StoppedClock
from tests.support.stores import create_tables
from tests.support.values import budget, catalog, prometheus_sli, service, slo

TOKEN = "tok-for-tests"


@dataclass
class ApiServer:
    """A running HTTP server, and what it serves."""

    url: str
    database: Database
    hold_registry: HoldRegistry
    ledger: Ledger
    clock: StoppedClock
    catalog: Catalog
    session: aiohttp.ClientSession
    checks: list[ReadinessCheck]
    requests: ExemptionRequests

    async def get(self, path: str, **params: str) -> tuple[int, dict[str, object]]:
        async with self.session.get(f"{self.url}{path}", params=params) as response:
            return response.status, await response.json(content_type=None)


class FortyPercent:
    """Measures every SLO as having 40% of its budget left."""

    async def assess(self, services: Sequence[Service], now: datetime) -> Sequence[Sequence[Budget]]:
        return [[budget(0.4, of=slo, as_of=now) for slo in service.slos] for service in services]

    async def rolling(self, budget: Budget, now: datetime, most: int) -> RollingHistory:
        del now, most
        return rolling_history(budget, [], step=DAY, counted_from=None)

    async def recovers_at(self, slo: Slo, target: Decimal, now: datetime) -> datetime | None:
        del slo, target, now
        return None


@pytest.fixture
async def api_server(url: str) -> AsyncIterator[ApiServer]:
    checkout = service(slos=(slo(), slo("orders", sli=prometheus_sli())))
    policies = catalog(checkout, service("search"))
    clock = StoppedClock()
    async with Database(url) as database:
        await create_tables(database)
        ledger, hold_registry = Ledger(database), HoldRegistry(database, lambda _: ())
        status_reader = StatusReader(CurrentCatalog(policies), FortyPercent(), hold_registry, clock)
        app = web.Application(middlewares=[problems], client_max_size=MOST_BYTES)
        events = EventsEndpoint(CurrentCatalog(policies), ledger.push, clock)
        requests = ExemptionRequests(database, lambda _: ())
        tokens = EnvironmentToken(TOKEN)
        ExemptionsEndpoint(status_reader, requests, database, clock, tokens).add_routes(app)
        Api(
            status_reader=status_reader,
            explanations=ExplanationReader(ledger, {}, clock),
            spending=SpendingReader(ledger, ServiceEventReader(database, CurrentCatalog(policies)), clock),
            events=events,
            passages=Passages(ProvenKinds(database, proven_kind_messages), ExemptionUses(database)),
            database=database,
            tokens=EnvironmentToken(TOKEN),
        ).add_routes(app)
        checks: list[ReadinessCheck] = []

        async def probe() -> ReadinessCheck:
            return checks[0] if checks else ReadinessCheck("database", ok=True)

        HealthEndpoint([probe], Metrics().registry).add_routes(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
                yield ApiServer(
                    url, database, hold_registry, ledger, clock, policies, session, checks, requests
                )
        finally:
            await runner.cleanup()
