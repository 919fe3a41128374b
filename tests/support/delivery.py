"""Outbox dispatchers between a real database and the strict stand-in for Slack."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import select
from sqlalchemy.engine import Row

from bot.clock import Clock, SystemClock
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.delivery.context import DeliveryTiming, Notice
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.webapi.client import SlackClient
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.outbox import Block, OutboxMessage, enqueue
from bot.store.tables.core import outbox
from tests.support.stores import create_tables

SCOPES = (
    "channels:history",
    "channels:join",
    "channels:read",
    "chat:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:write",
    "usergroups:read",
)
SPEED = 20.0
"""The stand-in's wall clock runs that much faster, and the dispatcher's interval is that much shorter."""
BRISK = DeliveryTiming(
    interval_s=1 / SPEED,
    settle_s=0.02,
    backoff_s=0.01,
    backoff_limit_s=0.1,
    not_permitted_s=0.1,
    poll_s=0.1,
    minute_s=60 / SPEED,
)


def manifest(*without: str) -> dict[str, object]:
    """Return an app manifest with the dispatcher's scopes but these."""
    return {"oauth_config": {"scopes": {"bot": [scope for scope in SCOPES if scope not in without]}}}


async def write(database: Database, channel: str, *texts: str, blocks: Sequence[Block] = ()) -> None:
    """Put messages into the outbox."""
    messages = [OutboxMessage(channel, "told", text, blocks) for text in texts]
    async with database.transaction() as connection:
        await enqueue(connection, messages, SystemClock().now())


async def rows_of(database: Database) -> Sequence[Row[tuple[object, ...]]]:
    """Return the rows of the outbox."""
    async with database.reading() as connection:
        return (await connection.execute(select(outbox).order_by(outbox.c.id))).all()


async def until_done(database: Database, within_s: float = 60.0) -> None:
    """Wait until every message is sent or failed."""
    async with asyncio.timeout(within_s):
        while {row.state for row in await rows_of(database)} & {"waiting", "sending"}:  # noqa: ASYNC110 - polled
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(
    database: Database,
    client: AsyncWebClient,
    *,
    timing: DeliveryTiming = BRISK,
    notice: Notice = lambda _message, _error: (),
    registry: CollectorRegistry | None = None,
    clock: Clock | None = None,
    leases: Leases | None = None,
) -> AsyncIterator[OutboxDispatcher]:
    """Run a dispatcher during the block."""
    dispatcher = OutboxDispatcher(
        database,
        client,
        clock or SystemClock(),
        notice=notice,
        registry=registry or CollectorRegistry(),
        timing=timing,
        leases=leases,
    )
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        await dispatcher.drain(5)
        await running


@dataclass
class Delivery:
    """The database, the stand-in for Slack, and the client; each test runs its own dispatchers."""

    database: Database
    slack: FakeSlackServer
    client: AsyncWebClient
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    async def write(self, channel: str, *texts: str, blocks: Sequence[Block] = ()) -> None:
        """Put messages into the outbox."""
        await write(self.database, channel, *texts, blocks=blocks)

    async def rows(self) -> Sequence[Row[tuple[object, ...]]]:
        """Return the rows of the outbox."""
        return await rows_of(self.database)

    async def states(self) -> list[str]:
        """Return the states of all messages, oldest first."""
        return [str(row.state) for row in await self.rows()]

    def texts(self, channel: str) -> list[str]:
        """Return the texts in a channel, oldest first."""
        return [message.text for message in self.slack.messages(channel)]

    async def until(self, condition: Callable[[], bool], within_s: float = 60.0) -> None:
        """Wait for a change of the dispatcher's state that causes no call to Slack."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - the dispatcher announces no change of its health
                await asyncio.sleep(0.02)

    async def until_done(self) -> None:
        """Wait until every message is sent or failed."""
        await until_done(self.database)

    def dispatcher(
        self, *, timing: DeliveryTiming = BRISK, notice: Notice = lambda _message, _error: ()
    ) -> AbstractAsyncContextManager[OutboxDispatcher]:
        """Run a dispatcher during the block."""
        self.registry = CollectorRegistry()
        return working(self.database, self.client, timing=timing, notice=notice, registry=self.registry)


@asynccontextmanager
async def open_delivery(
    folder: Path, *, without_scopes: Sequence[str] = (), url: str | None = None
) -> AsyncIterator[Delivery]:
    """Open a database and a stand-in that takes one message a second and channel, at `SPEED`."""
    async with (
        Database(url or f"sqlite+aiosqlite:///{folder}/governor.db") as database,
        FakeSlackServer(manifest=manifest(*without_scopes), wall=lambda: time.time() * SPEED) as slack,
        aiohttp.ClientSession() as session,
    ):
        slack.rates.burst = 1
        await create_tables(database)
        client = SlackClient(token=slack.bot_token, base_url=slack.api_url, session=session)
        yield Delivery(database, slack, client)
