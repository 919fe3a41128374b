"""The dispatcher on a Slack that this project did not write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.store.database import Database
from tests.support.delivery import rows_of, until_done, working, write
from tests.support.slack_emulator import running_emulator
from tests.support.stores import create_tables

KEPT_HEADERS = ("Authorization", "Content-Type")


@dataclass
class Wire:
    """A proxy between the bot and Slack. `cuts` posts are carried out without a response, then `fails`."""

    origin: str
    session: aiohttp.ClientSession
    cuts: int = 0
    fails: int = 0
    posts: int = 0

    async def forward(self, request: web.Request) -> web.Response:
        """Pass a call on, unless a post is to go wrong."""
        method = request.match_info["method"]
        is_post = method == "chat.postMessage"
        self.posts += is_post
        if is_post and self.fails and not self.cuts:
            self.fails -= 1
            return web.Response(status=500)
        async with self.session.request(
            request.method,
            f"{self.origin}{method}",
            params=request.query,
            data=await request.read(),
            headers={name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
        ) as answer:
            body = await answer.read()
        if is_post and self.cuts and request.transport is not None:
            self.cuts -= 1
            request.transport.abort()
        return web.Response(body=body, status=answer.status, content_type="application/json")


@asynccontextmanager
async def wire_to(origin: str, session: aiohttp.ClientSession) -> AsyncIterator[tuple[Wire, str]]:
    """Start a proxy to an API; return it and its base URL."""
    wire = Wire(origin, session)
    app = web.Application()
    app.router.add_route("*", "/{method}", wire.forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield wire, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def history(client: AsyncWebClient, name: str) -> list[dict[str, Any]]:
    """Return the messages of a channel, oldest first."""
    listed = await client.conversations_list(limit=100)
    [channel_id] = [channel["id"] for channel in listed["channels"] if channel["name"] == name]
    messages: list[dict[str, Any]] = (await client.conversations_history(channel=channel_id))["messages"]
    return messages[::-1]


@pytest.mark.timeout(240)
async def test_each_message_arrives_once_and_in_order_though_posts_are_cut_off(tmp_path: Path) -> None:
    async with (
        Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database,
        running_emulator() as emulator,
        aiohttp.ClientSession() as session,
        wire_to(emulator.api_url, session) as (wire, near_end),
    ):
        await create_tables(database)
        client = AsyncWebClient(token=emulator.token, base_url=near_end, session=session)
        texts = [f"message {number}" for number in range(8)]
        wire.cuts, wire.fails = 2, 2
        await write(database, "#checkout", *texts)
        await write(database, "#nowhere", "lost")
        async with working(database, client):
            await until_done(database)
        messages = [message for message in await history(client, "checkout") if message["text"] in texts]
        assert [message["text"] for message in messages] == texts
        assert wire.posts == len(texts) + 2
        rows = await rows_of(database)
    assert [row.ts for row in rows[:-1]] == [message["ts"] for message in messages]
    assert rows[-1].error == "channel_not_found"
