"""`POST /slack/events` on aiohttp: passes Slack's requests to Bolt and measures the response time."""

import time
from collections.abc import Callable

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.middleware.async_builtins import AsyncRequestVerification
from slack_sdk.signature import Clock as SignatureClock

from bot.clock import Clock

Observe = Callable[[float, int], None]
"""Takes the seconds that a response took, and its HTTP status."""


class _ClockSeconds(SignatureClock):
    """The time of one of our clocks in seconds since the epoch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._clock.now().timestamp()


def verify_signatures_by(bolt: AsyncApp, clock: Clock) -> None:
    """Check the age of signatures by this clock instead of the machine's."""
    for middleware in bolt._async_middleware_list:  # noqa: SLF001 - Bolt has no other way
        if isinstance(middleware, AsyncRequestVerification):
            middleware.verifier.clock = _ClockSeconds(clock)


class SlackEndpoint:
    """The one route for commands, interactions and events."""

    def __init__(self, bolt: AsyncApp, observe: Observe = lambda _seconds, _status: None) -> None:
        self._bolt = bolt
        self._observe = observe

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_post("/slack/events", self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        started_s = time.perf_counter()
        try:
            bolt_request = await to_bolt_request(request)
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            # Bolt parses the body before it checks the signature, and fails on what Slack would not send.
            self._observe(time.perf_counter() - started_s, 400)
            return web.Response(status=400, text="this is no request of Slack's")
        response = await to_aiohttp_response(await self._bolt.async_dispatch(bolt_request))
        self._observe(time.perf_counter() - started_s, response.status)
        return response
