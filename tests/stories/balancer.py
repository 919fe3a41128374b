"""A load balancer before the replicas: when one does not answer, it tries the next.

So a request may reach several replicas, and one that was halted may act on it long after.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

_PATIENCE_S = 0.7
_GIVES_UP_S = 60.0


class Balancer:
    """Hands each request to a replica, and to another while none answers; it waits longer than Slack does.

    While every replica is down at once there is nobody to answer, which is not what is tested.
    """

    def __init__(
        self,
        urls: Sequence[str],
        chance: random.Random,
        session: aiohttp.ClientSession,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._urls = list(urls)
        self._chance = chance
        self._session = session
        self.url = ""

    async def forward(self, request: web.Request) -> web.Response:
        """Return what the first replica that answers says; 503 when none does."""
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in {"host", "content-length"}}
        loop = asyncio.get_running_loop()
        until = loop.time() + _GIVES_UP_S
        while loop.time() < until:
            url = self._chance.choice(self._urls)
            try:
                async with (
                    asyncio.timeout(self._patience_s),
                    self._session.request(
                        request.method, f"{url}{request.path_qs}", data=body, headers=headers
                    ) as answer,
                ):
                    return web.Response(
                        status=answer.status, body=await answer.read(), content_type=answer.content_type
                    )
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)
        return web.Response(status=503)


@asynccontextmanager
async def balancing(
    urls: Sequence[str], chance: random.Random, patience_s: float = _PATIENCE_S
) -> AsyncIterator[Balancer]:
    """Serve a balancer on a free port for the time of the block; a replica has `patience_s` to answer."""
    async with aiohttp.ClientSession() as session:
        balancer = Balancer(urls, chance, session, patience_s)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", balancer.forward)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            balancer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield balancer
        finally:
            await runner.cleanup()
