"""Socket Mode: Slack's requests over WebSockets that the bot opens, so that it needs no public URL.

Several connections are kept open, and each is replaced before it ends: when Slack announces that it will
close one, the next is opened first, and the old one is read until it closes. https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import NotPermittedError, RateLimitedError, SlackError, translate_slack_errors

log = structlog.get_logger(__name__)

CONNECTIONS = 2
"""How many connections one process keeps open; Slack allows ten for each app."""

_HEARTBEAT_S = 10.0
_TIMEOUT_S = 10.0
_CLOSE_AFTER_S = 60.0
"""How long a connection is read at most after Slack announced its end."""
_LONGEST_PAUSE_S = 30.0
_MOST_SEEN_IDS = 10_000
_TOO_MANY = "too_many_websockets"

Message = dict[str, Any]
Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Connection:
    """The state of one connection: Slack has said hello, Slack has announced that it will close it."""

    is_ready: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)


class SocketMode:
    """Keeps `connections` open while `run` runs, and replaces each that ends.

    `client` requests the WebSocket URLs; `pause` waits some seconds before the next attempt.
    """

    def __init__(
        self,
        bolt: AsyncApp,
        app_token: str,
        client: AsyncWebClient,
        *,
        connections: int = CONNECTIONS,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._bolt = bolt
        self._app_token = app_token
        self._client = client
        self._connections = connections
        self._pause = pause
        self._open: set[aiohttp.ClientWebSocketResponse] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: dict[str, None] = {}

    async def run(self) -> None:
        """Serve until cancelled; raises `SlackError` if the first connection fails.

        Later only `NotPermittedError` is raised: the app token was revoked.
        """
        url = await self._request_url()
        async with aiohttp.ClientSession() as session:
            connections = [
                self._start(self._keep_connected(session, url if number == 0 else None))
                for number in range(self._connections)
            ]
            try:
                await asyncio.gather(*connections)
            finally:
                unfinished = set(self._tasks)
                for task in unfinished:
                    task.cancel()
                await asyncio.gather(*unfinished, return_exceptions=True)

    async def _keep_connected(self, session: aiohttp.ClientSession, url: str | None) -> None:
        """Open one connection after the other."""
        failures = 0
        while True:
            connection = _Connection()
            reading = self._start(self._read(session, url, connection))
            url = None
            ending = asyncio.create_task(connection.ending.wait())
            try:
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ending.cancel()
            failures = 0 if connection.is_ready else failures + 1
            if reading.done():
                await self._pause(await _pause_after(reading, failures))

    async def _request_url(self) -> str:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            response = await self._client.apps_connections_open(app_token=self._app_token)
        return str(response["url"])

    async def _read(self, session: aiohttp.ClientSession, url: str | None, connection: _Connection) -> None:
        """Read one connection until it closes."""
        # A URL opens one connection: every attempt requests another.
        url = url or await self._request_url()
        async with translate_slack_errors():
            async with asyncio.timeout(_TIMEOUT_S):
                socket = await session.ws_connect(
                    url, heartbeat=_HEARTBEAT_S, proxy=self._client.proxy, ssl=self._client.ssl or True
                )
            self._open.add(socket)
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._receive(_parse_message(message.data), socket, connection)
            finally:
                self._open.discard(socket)
                await socket.close()

    def _receive(
        self, message: Message, socket: aiohttp.ClientWebSocketResponse, connection: _Connection
    ) -> None:
        match message.get("type"):
            case "hello":
                connection.is_ready = True
                log.info("socket_mode_connected", connections=message.get("num_connections"))
            case "disconnect":
                reason = message.get("reason")
                log.info("socket_mode_disconnect_announced", reason=reason)
                if reason == _TOO_MANY:
                    raise RateLimitedError(_TOO_MANY, _LONGEST_PAUSE_S)
                self._open.discard(socket)
                if not connection.ending.is_set():
                    connection.ending.set()
                    self._start(_close_later(socket))
            case _ if request := SocketModeRequest.from_dict(message):
                self._start(self._respond(request, socket))

    async def _respond(self, request: SocketModeRequest, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Pass a request to Bolt and acknowledge it; one that was received before is only acknowledged."""
        id_ = request.envelope_id
        response = BoltResponse(status=200)
        if id_ not in self._seen:
            self._remember(id_)
            response = await self._dispatch(request)
        if response.status != 200:
            self._seen.pop(id_, None)
            log.warning("envelope_not_taken", kind=request.type, status=response.status)
            return
        acknowledgement: Message = {"envelope_id": id_}
        if response.body:
            acknowledgement["payload"] = json.loads(response.body)
        await self._acknowledge(acknowledgement, socket)

    async def _dispatch(self, request: SocketModeRequest) -> BoltResponse:
        try:
            response: BoltResponse = await run_async_bolt_app(self._bolt, request)
        except Exception:  # a boundary: an error of one envelope must not end the connection
            log.exception("envelope_failed", kind=request.type)
            return BoltResponse(status=500)
        return response

    async def _acknowledge(self, acknowledgement: Message, socket: aiohttp.ClientWebSocketResponse) -> None:
        for connection in (socket, *self._open):
            try:
                await connection.send_json(acknowledgement)
            except (aiohttp.ClientError, ConnectionError):
                continue
            return
        # Slack sends the request again, and then it is only acknowledged.
        log.info("envelope_not_acknowledged", envelope=acknowledgement["envelope_id"])

    def _remember(self, id_: str) -> None:
        self._seen[id_] = None
        while len(self._seen) > _MOST_SEEN_IDS:
            self._seen.pop(next(iter(self._seen)))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._discard)
        return task

    def _discard(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Marks the error as seen; `_keep_connected` may have moved on to the next connection.
            task.exception()


async def _pause_after(reading: asyncio.Task[None], failures: int) -> float:
    """Return how many seconds to wait after a connection ended; raises `NotPermittedError`."""
    try:
        await reading
    except NotPermittedError:
        raise
    except RateLimitedError as fault:
        log.warning("socket_mode_throttled", error=fault.error)
        return fault.retry_after_s
    except SlackError as fault:
        log.warning("socket_mode_lost", error=fault.error)
    return min(_LONGEST_PAUSE_S, 2.0**failures - 1)


async def _close_later(socket: aiohttp.ClientWebSocketResponse) -> None:
    await asyncio.sleep(_CLOSE_AFTER_S)
    await socket.close()


def _parse_message(text: str) -> Message:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
