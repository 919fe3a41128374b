"""Socket Mode against a server that speaks the published protocol: hello, envelopes, acks, disconnect."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.socket import SocketMode

APP_TOKEN = "xapp-1"


@dataclass
class Gateway:
    """Slack's side: opens sockets for the right token and remembers what was acknowledged."""

    url: str = ""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        return web.json_response({"ok": True, "url": self.url.replace("http", "ws") + "/link"})

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self.sockets.append(socket)
        self.stirred.set()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self.acked.append(json.loads(message.data)["envelope_id"])
                self.stirred.set()
        return socket

    async def send(self, number: int) -> None:
        payload = {"command": "/budget", "text": str(number), "team_id": "T1", "user_id": "U1"}
        await self.sockets[-1].send_json(
            {"type": "slash_commands", "envelope_id": f"e{number}", "payload": payload}
        )

    async def until_acked(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.acked) < count:
                self.stirred.clear()
                await self.stirred.wait()

    async def until_sockets(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.sockets) < count:
                self.stirred.clear()
                await self.stirred.wait()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_post("/api/apps.connections.open", gateway.open)
    app.router.add_get("/link", gateway.link)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()


def bolt(heard: list[str]) -> AsyncApp:
    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T1", bot_token="xoxb-1")

    app = AsyncApp(signing_secret="secret", authorize=authorize, process_before_response=True)

    @app.command("/budget")
    async def budget(ack: AsyncAck, body: dict[str, Any]) -> None:
        heard.append(body["text"])
        await ack()

    return app


async def test_envelopes_are_acknowledged_across_a_refreshed_connection(gateway: Gateway) -> None:
    heard: list[str] = []
    client = AsyncWebClient(token="xoxb-1", base_url=f"{gateway.url}/api/")
    serving = asyncio.create_task(SocketMode(bolt(heard), APP_TOKEN, client).run())
    try:
        await gateway.until_sockets(1)
        for number in range(50):
            await gateway.send(number)
        await gateway.until_acked(50)
        await gateway.sockets[-1].send_json({"type": "disconnect", "reason": "refresh_requested"})
        await gateway.until_sockets(2)
        for number in range(50, 100):
            await gateway.send(number)
        await gateway.until_acked(100)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert sorted(heard, key=int) == [str(number) for number in range(100)]
    assert len(set(gateway.acked)) == 100


async def test_a_wrong_app_token_is_an_error_of_slacks(gateway: Gateway) -> None:
    client = AsyncWebClient(token="xoxb-1", base_url=f"{gateway.url}/api/")
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await SocketMode(bolt([]), "xapp-wrong", client).run()
