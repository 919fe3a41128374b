"""Socket Mode: Slack's requests over WebSockets that the bot opens, so that it needs no public address.

Several connections are held, and each is replaced before it goes: when Slack announces its end, the next is
open first, and the old one is read until it closes. https://docs.slack.dev/apis/events-api/using-socket-mode
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
"""As many as one process holds; Slack allows ten an app."""

_HEARTBEAT_S = 10.0
_TIMEOUT_S = 10.0
_LINGER_S = 60.0
"""How long a connection that was told to go is read at most."""
_LONGEST_PAUSE_S = 30.0
_REMEMBERED = 10_000
_CROWDED = "too_many_websockets"

Message = dict[str, Any]
Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Connection:
    """One connection. Slack greets on it when it is ready, and says on it that it will close it."""

    greeted: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)


class SocketMode:
    """Keeps `connections` open while `run` runs, each at a new address whenever it ends.

    `client` asks for the addresses; `pause` waits some seconds before the next attempt.
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
        """Serve until cancelled; raises `SlackError` where the first connection cannot be had.

        Later only `NotPermittedError` ends it: the app token was revoked.
        """
        address = await self._address()
        async with aiohttp.ClientSession() as session:
            keeping = [
                self._begin(self._keep(session, address if number == 0 else None))
                for number in range(self._connections)
            ]
            try:
                await asyncio.gather(*keeping)
            finally:
                left = set(self._tasks)
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    async def _keep(self, session: aiohttp.ClientSession, address: str | None) -> None:
        """Hold one connection after the other."""
        failures = 0
        while True:
            line = _Connection()
            reading = self._begin(self._read(session, address, line))
            address = None
            told = asyncio.create_task(line.ending.wait())
            try:
                await asyncio.wait({reading, told}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                told.cancel()
            failures = 0 if line.greeted else failures + 1
            if reading.done():
                await self._pause(await _pause_after(reading, failures))

    async def _address(self) -> str:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            answer = await self._client.apps_connections_open(app_token=self._app_token)
        return str(answer["url"])

    async def _read(self, session: aiohttp.ClientSession, address: str | None, line: _Connection) -> None:
        """Read one connection until it closes."""
        # An address opens one connection: whatever went wrong, the next attempt asks for another.
        where = address or await self._address()
        async with translate_slack_errors():
            async with asyncio.timeout(_TIMEOUT_S):
                socket = await session.ws_connect(
                    where, heartbeat=_HEARTBEAT_S, proxy=self._client.proxy, ssl=self._client.ssl or True
                )
            self._open.add(socket)
            try:
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._take(_read_message(message.data), socket, line)
            finally:
                self._open.discard(socket)
                await socket.close()

    def _take(self, message: Message, socket: aiohttp.ClientWebSocketResponse, line: _Connection) -> None:
        match message.get("type"):
            case "hello":
                line.greeted = True
                log.info("socket_mode_connected", connections=message.get("num_connections"))
            case "disconnect":
                reason = message.get("reason")
                log.info("socket_mode_ending", reason=reason)
                if reason == _CROWDED:
                    raise RateLimitedError(_CROWDED, _LONGEST_PAUSE_S)
                self._open.discard(socket)
                if not line.ending.is_set():
                    line.ending.set()
                    self._begin(_close_later(socket))
            case _ if request := SocketModeRequest.from_dict(message):
                self._begin(self._answer(request, socket))

    async def _answer(self, request: SocketModeRequest, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Hand a request to Bolt and acknowledge it; one that came before is only acknowledged."""
        id_ = request.envelope_id
        answer = BoltResponse(status=200)
        if id_ not in self._seen:
            self._remember(id_)
            answer = await self._dispatch(request)
        if answer.status != 200:
            self._seen.pop(id_, None)
            log.warning("envelope_not_taken", kind=request.type, status=answer.status)
            return
        told: Message = {"envelope_id": id_}
        if answer.body:
            told["payload"] = json.loads(answer.body)
        await self._acknowledge(told, socket)

    async def _dispatch(self, request: SocketModeRequest) -> BoltResponse:
        try:
            answer: BoltResponse = await run_async_bolt_app(self._bolt, request)
        except Exception:  # a boundary: what one envelope does to Bolt must not end the connection
            log.exception("envelope_failed", kind=request.type)
            return BoltResponse(status=500)
        return answer

    async def _acknowledge(self, told: Message, socket: aiohttp.ClientWebSocketResponse) -> None:
        for way in (socket, *self._open):
            try:
                await way.send_json(told)
            except (aiohttp.ClientError, ConnectionError):
                continue
            return
        # Slack sends it again, and then it is only acknowledged.
        log.info("envelope_not_acknowledged", envelope=told["envelope_id"])

    def _remember(self, id_: str) -> None:
        self._seen[id_] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.pop(next(iter(self._seen)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # `_keep` looks at it as well, unless it has opened the next connection already.
            task.exception()


async def _pause_after(reading: asyncio.Task[None], failures: int) -> float:
    """Return how long to wait after a connection has ended, in seconds; raises `NotPermittedError`."""
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
    await asyncio.sleep(_LINGER_S)
    await socket.close()


def _read_message(text: str) -> Message:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
