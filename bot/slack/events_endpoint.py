"""`POST /slack/events` on aiohttp: passes Slack's requests to Bolt and measures the response time."""

import time
from collections.abc import Callable

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.middleware.async_builtins import AsyncRequestVerification
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from bot.clock import Clock
from bot.tracing.spans import span

_MOST_BYTES = 1024 * 1024
"""More than Slack sends of any form of ours."""
_PARSED_UNSIGNED_BYTES = 4 * 1024
"""Bolt parses a body before it checks the signature: a larger one is checked here first."""

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
    """The one route for commands, interactions and events; without a signing secret it answers 404."""

    def __init__(
        self,
        bolt: AsyncApp,
        signing_secret: str,
        clock: Clock,
        observe: Observe = lambda _seconds, _status: None,
    ) -> None:
        self._bolt = bolt
        self._verifier = SignatureVerifier(signing_secret, _ClockSeconds(clock)) if signing_secret else None
        self._observe = observe

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        app.router.add_post("/slack/events", self._post)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        started_s = time.perf_counter()
        with span("slack request", "server") as recorded:
            response = await self._response(request.clone(client_max_size=_MOST_BYTES))
            recorded.note("http.response.status_code", response.status)
        self._observe(time.perf_counter() - started_s, response.status)
        return response

    async def _response(self, request: web.Request) -> web.StreamResponse:
        if self._verifier is None:
            return web.Response(status=404, text="this bot receives Slack's requests by Socket Mode")
        body = await request.read()
        if len(body) > _PARSED_UNSIGNED_BYTES and not _is_signed(self._verifier, body, request):
            return web.json_response({"error": "invalid request"}, status=401)
        try:
            bolt_request = await to_bolt_request(request)
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
            # Bolt parses the body before it checks the signature, and fails on what Slack would not send.
            return web.Response(status=400, text="this is not a request from Slack")
        return await to_aiohttp_response(await self._bolt.async_dispatch(bolt_request))


def _is_signed(verifier: SignatureVerifier, body: bytes, request: web.Request) -> bool:
    try:
        return verifier.is_valid_request(body, dict(request.headers))
    except (ValueError, TypeError):
        # A timestamp that is no number, a body or a signature in no encoding of Slack's.
        return False
