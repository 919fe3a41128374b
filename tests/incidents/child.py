"""The incident room as a process of its own, to be killed and started again by the crash story.

It serves the HTTP API and carries out what is written down, through the same store and dispatcher.
Run as `python -m tests.incidents.child DATABASE_URL API_URL TOKEN PORT`.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from slack_sdk.web.async_client import AsyncWebClient

from bot.app.incidents import Incidents
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.current import CurrentCatalog
from bot.clock import SystemClock
from bot.freezes.hold_registry import HoldRegistry
from bot.http.auth import EnvironmentToken
from bot.http.problems import problems
from bot.incidents.cost import Downtime
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.migrate import migrate
from tests.support.incidents import PATIENCE, TIMING, TOKEN, shop


async def ready(_request: web.Request) -> web.Response:
    """Say that the process runs."""
    return web.Response(text="ready")


async def main(database_url: str, api_url: str, token: str, port: str) -> None:
    """Run until killed."""
    policies, clock = shop(), SystemClock()
    async with Database(database_url) as database, aiohttp.ClientSession() as session:
        await migrate(database)
        client = AsyncWebClient(token=token, base_url=api_url, session=session)
        dispatcher = OutboxDispatcher(database, client, clock, registry=CollectorRegistry(), timing=TIMING)
        response = Incidents(
            database=database,
            ledger=Ledger(database, Downtime(database).bad_seconds),
            hold_registry=HoldRegistry(database, FreezeAnnouncer(CurrentCatalog(policies))),
            client_of=lambda _team: client,
            edit_limits=EditRateLimits(TIMING.minute_s),
            current=CurrentCatalog(policies),
            clock=clock,
            lease=Lease("incidents"),
            timing=PATIENCE,
        )
        app = web.Application(middlewares=[problems])
        app.router.add_get("/readyz", ready)
        response.add_routes(app, EnvironmentToken(TOKEN))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(dispatcher.run())
            tasks.create_task(response.step_runner.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
