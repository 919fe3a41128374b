"""Stands between the replicas and their Prometheus, and answers nonsense for a while when told to."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from aiohttp import web

from tests.stories.hostile_requests import gzip_bomb

_ENDLESS_BYTES = 500_000_000
"""Where an endless body ends all the same, should nobody close the connection."""
_BLOCK = b" " * 65_536

Change = Callable[[dict[str, Any]], dict[str, Any]]


def _set_values(value: str) -> Change:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for series in answer.get("data", {}).get("result", []):
            for sample in [series.get("value"), *series.get("values", [])]:
                if sample:
                    sample[1] = value
        return answer

    return change


def _set_times(at: float) -> Change:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for series in answer.get("data", {}).get("result", []):
            for sample in [series.get("value"), *series.get("values", [])]:
                if sample:
                    sample[0] = at
        return answer

    return change


def _partial(answer: dict[str, Any]) -> dict[str, Any]:
    """Drop every second series and warn of it, as Thanos does when a store is away."""
    data = answer.get("data", {})
    kept = data.get("result", [])[::2]
    return answer | {"data": data | {"result": kept}, "warnings": ["No StoreAPIs matched for this query"]}


_CHANGES: dict[str, Change] = {
    "negative counters": _set_values("-5000"),
    "enormous counters": _set_values("1e308"),
    "no numbers": _set_values("many"),
    "times far off": _set_times(1e18),
    "a part": _partial,
    "no result": lambda _: {"status": "success", "data": {"resultType": "matrix"}},
    "another type": lambda _: {"status": "success", "data": [1, 2, 3]},
    "no success": lambda _: {"status": "error", "errorType": "internal", "error": "expanding series"},
    "no object": lambda _: {},
}
_RAW = ("a gzip bomb", "an endless body", "a page", "a redirect")


class SourceProxy:
    """Hands queries to a Prometheus. `answer_nonsense` until `answer_truly`."""

    def __init__(self, upstream: str, chance: random.Random, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._chance = chance
        self._session = session
        self._nonsense: str | None = None
        self.url = ""

    def answer_nonsense(self) -> str:
        """Choose a kind of nonsense for the answers from now on, and return its name."""
        self._nonsense = self._chance.choice([*_CHANGES, *_RAW])
        return self._nonsense

    def answer_truly(self) -> None:
        """Hand on what Prometheus answers."""
        self._nonsense = None

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Return Prometheus's answer, or nonsense."""
        nonsense = self._nonsense
        if nonsense in _RAW:
            return await self._raw(request, nonsense)
        body = await request.read()
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        url = f"{self._upstream}{request.path_qs}"
        try:
            async with self._session.request(
                request.method, url, data=body or None, headers=headers
            ) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return web.Response(status=502)
        if nonsense is not None:
            answer = _CHANGES[nonsense](answer)
        return web.json_response(answer, status=status)

    async def _raw(self, request: web.Request, nonsense: str) -> web.StreamResponse:
        match nonsense:
            case "a gzip bomb":
                headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
                return web.Response(body=gzip_bomb(), headers=headers)
            case "a page":
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case "a redirect":
                # The port of nobody: whoever follows it to another host finds nothing there.
                raise web.HTTPFound("http://127.0.0.2:9/")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(_ENDLESS_BYTES // len(_BLOCK)):
                await response.write(_BLOCK)
        return response


@asynccontextmanager
async def proxying(upstream: str, chance: random.Random) -> AsyncIterator[SourceProxy]:
    """Serve a proxy on a free port for the time of the block."""
    await asyncio.to_thread(gzip_bomb)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        proxy = SourceProxy(upstream, chance, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()
