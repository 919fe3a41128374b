"""A bot as a process: started, made to change holds, killed and started again by the crash story.

What the story needs of any such program: it serves `GET /readyz`, and what it decides goes through the
same store, `HoldRegistry` and `OutboxDispatcher`. This one also serves `POST /changes?count=…`, which makes
it place and lift holds as fast as it can. Run as `python -m tests.stories.child DATABASE_URL API_URL
TOKEN PORT`.
"""

import asyncio
import sys
import uuid
from collections.abc import Sequence

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import HoldLifted, HoldPlaced
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.outbox import OutboxMessage
from tests.support.values import service

ANNOUNCEMENTS = "#releases"
SERVICES = ("checkout", "search", "payments")
SPEED = 20.0
"""How much faster than Slack this story's channels take messages."""
TIMING = DeliveryTiming(
    interval_s=1 / SPEED, settle_s=0.05, backoff_s=0.02, backoff_limit_s=0.2, poll_s=0.5, minute_s=60 / SPEED
)


def announce(context: TransitionContext) -> Sequence[OutboxMessage]:
    """Announce a transition in the service's channel and in the announcements channel."""
    match context.transition:
        case HoldPlaced(hold):
            text = f"hold {hold.id} placed"
        case HoldLifted(hold):
            text = f"hold {hold.id} lifted"
        case other:
            raise TypeError(f"{other} does not happen here")
    own = OutboxMessage(context.service.channel, "freeze_told", text)
    return [own, OutboxMessage(ANNOUNCEMENTS, "freeze_told", text, brief=text)]


class Child:
    """The process's parts."""

    def __init__(self, database: Database) -> None:
        self._hold_registry = HoldRegistry(database, announce)
        self._work: set[asyncio.Task[None]] = set()

    async def ready(self, _request: web.Request) -> web.Response:
        """Return that the process runs."""
        return web.Response(text="ready")

    async def start_changes(self, request: web.Request) -> web.Response:
        """Begin `count` transitions and return at once."""
        task = asyncio.create_task(self._change(int(request.query["count"])))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return web.Response(status=202)

    async def _change(self, count: int) -> None:
        clock = SystemClock()
        for number in range(count):
            shop = service(SERVICES[number % len(SERVICES)])
            if await self._hold_registry.holds(clock.now(), shop.name):
                await self._hold_registry.lift(shop, by="U0SAM", reason="over", now=clock.now())
            else:
                request = str(uuid.uuid4())
                await self._hold_registry.place(
                    shop, by="U0SAM", reason="why", until=None, request=request, now=clock.now()
                )


async def main(database_url: str, api_url: str, token: str, port: str) -> None:
    """Run until killed."""
    async with Database(database_url) as database, aiohttp.ClientSession() as session:
        await migrate(database)
        client = AsyncWebClient(token=token, base_url=api_url, session=session)
        dispatcher = OutboxDispatcher(
            database, client, SystemClock(), registry=CollectorRegistry(), timing=TIMING
        )
        child = Child(database)
        app = web.Application()
        app.add_routes([web.get("/readyz", child.ready), web.post("/changes", child.start_changes)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
        await dispatcher.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
