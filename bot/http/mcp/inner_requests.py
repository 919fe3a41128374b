"""Calls of the API within the process: the same rights, checks and answers as over the network."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bot.http.auth import AUTHENTICATED
from bot.http.mcp.api import ApiRefusedError, refusal_text
from bot.http.problems import problems
from bot.http.request_text import refuse_control_characters

_READ_AT_ONCE = 2**16


class InnerApi:
    """The API of the application that a request is made to, as its caller."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._app = request.app

    async def get(self, path: str, **params: str | None) -> dict[str, Any]:
        """Return the JSON object at `/api/v1/{path}`; raises `ApiRefusedError`."""
        query = {name: value for name, value in params.items() if value is not None}
        return await self._ask("GET", URL(f"/api/v1/{path}").with_query(query))

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object to `/api/v1/{path}` and return the answer; raises `ApiRefusedError`."""
        return await self._ask("POST", URL(f"/api/v1/{path}"), json.dumps(body).encode())

    async def _ask(self, method: str, url: URL, body: bytes = b"") -> dict[str, Any]:
        response = await self._answer(self._inner(method, url, body))
        answer = json.loads(response.body) if isinstance(response.body, bytes) else {}
        if response.status >= 400:
            detail = str(answer.get("detail") or response.reason)
            raise ApiRefusedError(response.status, refusal_text(detail, answer))
        return dict(answer)

    async def _answer(self, inner: web.Request) -> web.Response:
        match = await self._app.router.resolve(inner)
        # aiohttp sets this where it routes a request, and has no public way to do so.
        inner._match_info = match  # noqa: SLF001

        async def checked(request: web.Request) -> web.StreamResponse:
            return await refuse_control_characters(request, match.handler)

        response = await problems(inner, checked)
        if not isinstance(response, web.Response):
            raise TypeError(f"{inner.path} streams its answer")
        return response

    def _inner(self, method: str, url: URL, body: bytes) -> web.Request:
        outer, loop = self._request, asyncio.get_running_loop()
        headers = CIMultiDict({"Content-Type": "application/json", "Content-Length": str(len(body))})
        message = RawRequestMessage(
            method=method,
            path=str(url),
            version=outer.version,
            headers=CIMultiDictProxy(headers),
            raw_headers=(),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=url,
        )
        payload = StreamReader(outer.protocol, _READ_AT_ONCE, loop=loop)
        payload.feed_data(body)
        payload.feed_eof()
        return web.Request(
            message,
            payload,
            outer.protocol,
            outer.writer,
            outer.task,
            loop,
            client_max_size=len(body) + 1,
            state={AUTHENTICATED: outer[AUTHENTICATED]},
        )
