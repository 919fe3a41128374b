"""Hands requests of aiohttp over to the SDK's streamable HTTP, which is an ASGI application.

Each request is whole and so is its answer: JSON without sessions, so that any replica answers any request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from bot.http.mcp.api import GovernorApi
from bot.http.mcp.server import RequestContext, build_server
from bot.http.request_body import MOST_BYTES

_API = "governor.api"
"""Where the scope of a request has the API as its caller may use it."""

Message = dict[str, Any]


class McpBridge:
    """Serves requests while it runs. `hosts` are the names under which it answers, with or without a port."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._manager = StreamableHTTPSessionManager(
            build_server(_api_of),
            json_response=True,
            stateless=True,
            security_settings=TransportSecuritySettings(
                allowed_hosts=[form for host in hosts for form in (host, f"{host}:*")],
                allowed_origins=[
                    form
                    for host in hosts
                    for scheme in ("http", "https")
                    for form in (f"{scheme}://{host}", f"{scheme}://{host}:*")
                ],
            ),
            max_request_body_size=MOST_BYTES,
        )
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Be ready for requests; a task of its own runs the SDK's, which must end where they began."""
        started = asyncio.Event()
        self._running = asyncio.create_task(self._run(started), name="mcp")
        await started.wait()

    async def stop(self) -> None:
        """End what still runs."""
        self._stopping.set()
        if self._running is not None:
            await self._running

    async def _run(self, started: asyncio.Event) -> None:
        async with self._manager.run():
            started.set()
            await self._stopping.wait()

    async def answer(self, request: web.Request, body: bytes, api: GovernorApi) -> web.Response:
        """Return the SDK's answer."""
        answer = _Answer()
        await self._manager.handle_request(_scope(request, api), _whole(body), answer.send)
        return answer.response()


class _Answer:
    """What an ASGI application sends, put together."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    async def send(self, message: Any) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", ())
                if name.lower() != b"content-length"
            ]
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def response(self) -> web.Response:
        """Return the whole of it."""
        response = web.Response(status=self._status, body=bytes(self._body))
        for name, value in self._headers:
            response.headers[name] = value
        return response


def _scope(request: web.Request, api: GovernorApi) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.rel_url.raw_path.encode(),
        "root_path": "",
        "query_string": request.rel_url.raw_query_string.encode(),
        "headers": [
            (name.lower().encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in request.headers.items()
        ],
        "client": None,
        "server": None,
        _API: api,
    }


def _whole(body: bytes) -> Callable[[], Awaitable[Message]]:
    """Return what hands over the body at once, and then waits: nobody hangs up before the answer."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return receive


def _api_of(context: RequestContext) -> GovernorApi:
    request: Any = context.request
    api: GovernorApi = request.scope[_API]
    return api
