"""A Prometheus HTTP API that answers what a test wants it to, and a source that asks it."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from bot.budgets.sources.prometheus.source import PrometheusSource
from tests.support.servers import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def asking(
    handler: Handler, *, server_tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[PrometheusSource]:
    """Serve the API by `handler` alone, by TLS where its context is given; return a source that asks it."""
    app = web.Application()
    app.router.add_post("/prometheus/api/v1/{what}", handler)
    app.router.add_get("/prometheus/api/v1/{what}", handler)
    app.router.add_get("/prometheus/api/v1/label/{label}/values", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=server_tls).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield PrometheusSource(
                f"http{'s' if server_tls else ''}://127.0.0.1:{port}/prometheus/", session, **settings
            )
    finally:
        await runner.cleanup()


def answering(status: int, body: object) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


def error(message: str) -> dict[str, str]:
    return {"status": "error", "errorType": "bad_data", "error": message}


def matrix(*series: tuple[str, list[tuple[float, str]]]) -> dict[str, Any]:
    result = [{"metric": {"governor_part": part}, "values": values} for part, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}
