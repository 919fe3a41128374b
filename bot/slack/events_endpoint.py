"""`POST /slack/events` on aiohttp: hands Slack's requests to Bolt and times the answer."""

import time
from collections.abc import Callable

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.middleware.async_builtins import AsyncRequestVerification
from slack_sdk.signature import Clock as SignatureClock

from bot.clock import Clock

Observe = Callable[[float, int], None]
"""Takes the seconds that an answer took, and its HTTP status."""


class _ClockSeconds(SignatureClock):
    """Epoch seconds by one of our clocks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Return the time in seconds."""
        return self._clock.now().timestamp()


def verify_signatures_by(bolt: AsyncApp, clock: Clock) -> None:
    """Judge by this clock whether a request's signature is stale; Bolt takes the machine's."""
    for middleware in bolt._async_middleware_list:  # noqa: SLF001 - Bolt names no other way
        if isinstance(middleware, AsyncRequestVerification):
            middleware.verifier.clock = _ClockSeconds(clock)


class SlackEndpoint:
    """One route for commands, interactions and events alike."""

    def __init__(self, bolt: AsyncApp, observe: Observe = lambda _seconds, _status: None) -> None:
        self._bolt = bolt
        self._observe = observe

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_post("/slack/events", self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            bolt_request = await to_bolt_request(request)
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            # Bolt reads the body before it checks the signature, and expects Slack's shapes.
            self._observe(time.perf_counter() - began, 400)
            return web.Response(status=400, text="this is no request of Slack's")
        response = await to_aiohttp_response(await self._bolt.async_dispatch(bolt_request))
        self._observe(time.perf_counter() - began, response.status)
        return response
