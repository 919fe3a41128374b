"""Slack's side of Socket Mode, as published: addresses, hello, envelopes, acks, disconnect, redelivery.

https://docs.slack.dev/apis/events-api/using-socket-mode. An address opens one WebSocket. What a connection
has not acknowledged when it goes is sent again on another. Every other method is asked of the stand-in.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

APP_TOKEN = "xapp-1"
# Only what never comes takes as long.
_WITHIN_S = 300


@dataclass(eq=False)
class Connection:
    """One WebSocket; `pending` is what was sent on it and not acknowledged."""

    socket: web.WebSocketResponse
    request: web.Request
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def says_goodbye(self, reason: str) -> None:
        await self.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    def drop(self) -> None:
        """Cut the connection without a close frame."""
        assert self.request.transport is not None
        self.request.transport.abort()


class Gateway:
    """Remembers what was acknowledged."""

    def __init__(self, behind: str = "") -> None:
        self.url = ""
        self.token = APP_TOKEN
        self.connections: list[Connection] = []
        self.ever: list[Connection] = []
        self.acked: list[str] = []
        self.refused_links = 0
        self.bad_addresses = 0
        self.losing_acks = False
        self.lost_acks = 0
        self._behind = behind
        self._tickets: set[str] = set()
        self._numbers = itertools.count()
        self._turn = itertools.count()
        self._stirred = asyncio.Event()

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    async def answer(self, request: web.Request) -> web.Response:
        if request.match_info["method"] != "apps.connections.open":
            return await self._forward(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        ticket = str(next(self._numbers))
        if self.bad_addresses:
            self.bad_addresses -= 1
        else:
            self._tickets.add(ticket)
        return web.json_response(
            {"ok": True, "url": f"{self.url.replace('http', 'ws')}/link?ticket={ticket}"}
        )

    async def _forward(self, request: web.Request) -> web.Response:
        kept = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type")
            if name in request.headers
        }
        url = f"{self._behind}{request.match_info['method']}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, url, params=request.query, data=await request.read(), headers=kept
            ) as answer,
        ):
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    async def link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query["ticket"]
        if ticket not in self._tickets:
            self.refused_links += 1
            return web.Response(status=404)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        here = Connection(socket, request)
        self.connections.append(here)
        self.ever.append(here)
        await socket.send_json({"type": "hello", "num_connections": len(self.connections)})
        self._stir()
        async for message in socket:
            if message.type == WSMsgType.TEXT and self.losing_acks:
                self.lost_acks += 1
                self._stir()
            elif message.type == WSMsgType.TEXT:
                self._acknowledged(here, json.loads(message.data)["envelope_id"])
        self.connections.remove(here)
        self._stir()
        for envelope in list(here.pending.values()):
            await self._again(envelope)
        return socket

    def _acknowledged(self, here: Connection, id_: str) -> None:
        for connection in (here, *self.ever):
            connection.pending.pop(id_, None)
        if id_ not in self.acked:
            self.acked.append(id_)
        self._stir()

    async def send(self, payload: dict[str, Any], kind: str = "slash_commands") -> str:
        """Send an envelope on the connections in turn; return its id."""
        id_ = f"e{next(self._numbers)}"
        await self._deliver({"type": kind, "envelope_id": id_, "payload": payload})
        return id_

    async def again(self, envelope_id: str, payload: dict[str, Any], attempt: int = 1) -> None:
        """Send an envelope a second time, as Slack does where no ack came."""
        envelope = {"type": "slash_commands", "envelope_id": envelope_id, "payload": payload}
        await self._again(envelope, attempt)

    async def _again(self, envelope: dict[str, Any], attempt: int = 1) -> None:
        await self._deliver(envelope | {"retry_attempt": attempt, "retry_reason": "timeout"})

    async def _deliver(self, envelope: dict[str, Any]) -> None:
        await self.until_connected(1)
        here = self.connections[next(self._turn) % len(self.connections)]
        here.pending[envelope["envelope_id"]] = envelope
        # What could not be written stays pending, and is sent again once this connection is gone.
        with suppress(ConnectionError):
            await here.socket.send_json(envelope | {"accepts_response_payload": True})

    async def until_acked(self, count: int) -> None:
        await self._until(lambda: len(self.acked) >= count)

    async def until_lost(self, count: int) -> None:
        """Wait until so many acks were lost."""
        await self._until(lambda: self.lost_acks >= count)

    async def until_connected(self, count: int) -> None:
        await self._until(lambda: len(self.connections) >= count)

    async def until_ever(self, count: int) -> None:
        """Wait until so many connections were opened in all."""
        await self._until(lambda: len(self.ever) >= count)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WITHIN_S):
            while not holds():
                self._stirred.clear()
                await self._stirred.wait()

    def _stir(self) -> None:
        self._stirred.set()


@asynccontextmanager
async def open_gateway(behind: str = "") -> AsyncIterator[Gateway]:
    """Serve a gateway; `behind` is the base URL of the Web API."""
    gateway = Gateway(behind)
    app = web.Application()
    app.router.add_route("*", "/api/{method}", gateway.answer)
    app.router.add_get("/link", gateway.link)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield gateway
    finally:
        await runner.cleanup()
