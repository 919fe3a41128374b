"""Requests to the bot as Slack sends them: signed, with Slack's formats and time-outs.

Signatures carry real time, whatever the simulated clock shows. A response that takes
more than three seconds is a time-out. Events are retried three times, with the reason
in the headers.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp
import structlog

from bot.sandbox.fake_slack.model import Json

log = structlog.get_logger(__name__)

ACK_S: Final = 3.0
RETRY_DELAYS_S: Final = (0.0, 60.0, 300.0)
_FORM: Final = "application/x-www-form-urlencoded"
_AGENT: Final = "Slackbot 1.0 (+https://api.slack.com/robots)"


@dataclass(frozen=True, slots=True)
class Ack:
    """The bot's response: `error` is None, or Slack's code for the failure."""

    status: int
    body: str
    error: str | None = None

    def as_json(self) -> Json:
        """Return the body as an object; an empty one if it is none."""
        try:
            parsed = json.loads(self.body) if self.body.strip() else {}
        except json.JSONDecodeError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


def signature(secret: str, timestamp: str, body: str) -> str:
    """Return Slack's signature of a body (v0: HMAC-SHA256 over version, time and body)."""
    text = f"v0:{timestamp}:{body}".encode()
    return "v0=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class RequestSender:
    """Posts to the bot's URL. `session` is opened and closed by the owner."""

    def __init__(
        self,
        *,
        secret: str,
        wall: Callable[[], float] = time.time,
        ack_s: float = ACK_S,
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    ) -> None:
        self.url: str | None = None
        self.session: aiohttp.ClientSession | None = None
        self._secret = secret
        self._wall = wall
        self._ack_s = ack_s
        self._retry_delays_s = retry_delays_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def send_form(self, fields: Mapping[str, str]) -> Ack:
        """Send a form: a slash command's fields, or a payload."""
        return await self._post(urlencode(fields), _FORM, {})

    async def send_payload(self, payload: Json) -> Ack:
        """Send an interaction payload."""
        return await self.send_form({"payload": json.dumps(payload)})

    async def send_once(self, body: Json) -> Ack:
        """Send an event and return the response, without a retry."""
        return await self._post(json.dumps(body), "application/json", {})

    def send_event(self, envelope: Json) -> None:
        """Send an event in the background, with retries."""
        if self.session is None or self.url is None:
            return
        task = asyncio.get_running_loop().create_task(self._deliver(envelope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_until_delivered(self) -> None:
        """Wait until every pending event is delivered or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel pending events."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, envelope: Json) -> None:
        body = json.dumps(envelope)
        ack = await self._post(body, "application/json", {})
        for number, delay_s in enumerate(self._retry_delays_s, start=1):
            if ack.error is None:
                return
            await asyncio.sleep(delay_s)
            headers = {
                "X-Slack-Retry-Num": str(number),
                "X-Slack-Retry-Reason": _retry_reason(ack),
            }
            ack = await self._post(body, "application/json", headers)
        if ack.error is not None:
            log.warning("event_given_up", type=envelope.get("type"), error=ack.error)

    async def _post(self, body: str, content_type: str, headers: Mapping[str, str]) -> Ack:
        if self.session is None or self.url is None:
            return Ack(0, "", "dispatch_failed")
        timestamp = str(int(self._wall()))
        signed = {
            "Content-Type": content_type,
            "User-Agent": _AGENT,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._secret, timestamp, body),
            **headers,
        }
        timeout = aiohttp.ClientTimeout(total=self._ack_s)
        try:
            async with self.session.post(
                self.url, data=body.encode(), headers=signed, timeout=timeout
            ) as response:
                text = await response.text()
                error = None if 200 <= response.status < 300 else "dispatch_failed"
                return Ack(response.status, text, error)
        except TimeoutError:
            return Ack(0, "", "operation_timeout")
        except aiohttp.ClientError as error:
            log.info("bot_unreachable", error=str(error))
            return Ack(0, "", "dispatch_failed")


def _retry_reason(ack: Ack) -> str:
    if ack.error == "operation_timeout":
        return "http_timeout"
    return "http_error" if ack.status else "connection_failed"
