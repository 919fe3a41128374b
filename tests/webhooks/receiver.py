"""A receiver of signed events, which verifies them with Standard Webhooks' own library."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy1vZi1nb3Zlcm5vcg=="
OLDER = "whsec_YW4tb2xkZXItc2VjcmV0LW9mLXRoZS10ZXN0cy1vZi1nb3Y="


def verified(request: web.Request, body: str, secret: str = SECRET) -> Any:
    """Return the event; raises `WebhookVerificationError`."""
    return Webhook(secret).verify(body, dict(request.headers))


@dataclass
class Receiver:
    """What was taken, by the names of its headers, and answers that are to come first."""

    url: str = ""
    secret: str = SECRET
    taken: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    status: int = 204
    slow_s: float = 0.0

    @property
    def types(self) -> list[str]:
        return [event["type"] for _, event in self.taken]

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.asked.append(dict(request.headers))
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.answers:
            return self.answers.pop(0)
        try:
            event = verified(request, body, self.secret)
        except WebhookVerificationError as error:
            return web.Response(status=401, text=str(error))
        if self.status < 300:
            self.taken.append((request.headers["webhook-id"], event))
        return web.Response(status=self.status)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run the server."""
    found = Receiver()
    app = web.Application()
    app.router.add_post("/governor", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/governor?tenant=acme"
    try:
        yield found
    finally:
        await runner.cleanup()
