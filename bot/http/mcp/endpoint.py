"""`POST /mcp`: the Model Context Protocol over streamable HTTP, behind the API's tokens and their rates.

The SDK is an optional dependency, and takes over a second to import: that waits for the first request.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Sequence
from importlib.util import find_spec
from typing import Protocol

from aiohttp import web

from bot.http.auth import TokenVerifier, require_any_token
from bot.http.mcp.api import GovernorApi
from bot.http.mcp.inner_requests import InnerApi
from bot.http.operations import Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import read_bytes

PATH = "/mcp"
_SETTING = "add it to MCP_HOSTS"


class Bridge(Protocol):
    """What hands requests over to the SDK."""

    async def start(self) -> None:
        """Be ready for requests."""
        ...

    async def stop(self) -> None:
        """End what still runs."""
        ...

    async def answer(self, request: web.Request, body: bytes, api: GovernorApi) -> web.Response:
        """Return the SDK's answer."""
        ...


class McpEndpoint:
    """The endpoint. `hosts` are the names under which it answers: another may be one that was rebound."""

    def __init__(self, hosts: Sequence[str], tokens: TokenVerifier) -> None:
        self._hosts = tuple(hosts)
        self._answer = require_any_token(tokens, self._serve)
        self._bridge: Bridge | None = None
        self._starting = asyncio.Lock()

    def add_routes(self, app: web.Application) -> None:
        """Add the route, and end what it started when the application ends."""
        add_operations(app, self)
        app.cleanup_ctx.append(self._stop_at_end)

    @Operation(
        "POST",
        PATH,
        tag="agents",
        summary="The Model Context Protocol (streamable HTTP without sessions): tools for agents",
        body={"type": "object"},
        answers={200: "A response of JSON-RPC.", 202: "A notification was taken."},
        refusals={
            400: "It is not a message of JSON-RPC.",
            401: "There is no valid token in the request.",
            403: "The page that sends it is not this server's.",
            404: "The protocol is not installed, or there is no such method.",
            406: "The answer is JSON, which the client does not accept.",
            413: "The body is too large.",
            415: "The body has a Content-Encoding that is not supported.",
            421: "It does not answer under this host name.",
            429: "The token was used too often; `Retry-After` says when to come back.",
        },
        # A problem document, or an error of JSON-RPC.
        refusal_type="application/json",
    )
    async def _post(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request)

    async def _serve(self, request: web.Request) -> web.Response:
        bridge = await self._started()
        answer = await bridge.answer(request, await read_bytes(request), InnerApi(request))
        if answer.status == 421:
            raise ProblemError(421, f"{PATH} does not answer under this host name: {_SETTING}")
        if answer.status >= 400 and answer.content_type != "application/json":
            raise ProblemError(answer.status, (answer.text or "").strip() or "refused")
        return answer

    async def _started(self) -> Bridge:
        """Return the bridge, started at the first request; raises `ProblemError` 404 without the SDK."""
        async with self._starting:
            if self._bridge is None:
                if find_spec("mcp") is None:
                    raise ProblemError(
                        404, "MCP is not installed: install Governor's extra `mcp` where the bot runs"
                    )
                module = await asyncio.to_thread(importlib.import_module, "bot.http.mcp.bridge")
                bridge: Bridge = module.McpBridge(self._hosts)
                await bridge.start()
                self._bridge = bridge
        return self._bridge

    async def _stop_at_end(self, _: web.Application) -> AsyncIterator[None]:
        yield
        if self._bridge is not None:
            await self._bridge.stop()
