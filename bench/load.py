"""A steady stream of signed slash commands, and how long each answer took."""

import asyncio
import hashlib
import hmac
import statistics
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp


@dataclass(frozen=True, slots=True)
class Timing:
    """Return times in milliseconds, and how many requests failed."""

    p50_ms: float
    p99_ms: float
    errors: int
    per_second: float


class Commands:
    """Sends `/budget` as Slack does."""

    def __init__(self, url: str, secret: str, response_url: str) -> None:
        self._url = f"{url}/slack/events"
        self._secret = secret.encode()
        self._response_url = response_url
        self._count = 0

    async def send(self, session: aiohttp.ClientSession) -> float | None:
        """Send one command; return the seconds that its ack took, None for a failure."""
        body, headers = self._request()
        began = time.perf_counter()
        try:
            async with session.post(self._url, data=body, headers=headers) as answer:
                await answer.read()
                return time.perf_counter() - began if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    def _request(self) -> tuple[bytes, dict[str, str]]:
        self._count += 1
        form = {
            "command": "/budget",
            "text": "",
            "user_id": "U0DANA",
            "team_id": "T0ACME",
            "channel_id": "C0",
            "channel_name": "general",
            "trigger_id": f"bench.{self._count}",
            "response_url": self._response_url,
        }
        body, stamp = urlencode(form).encode(), str(int(time.time()))
        signed = hmac.new(self._secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signed}",
        }
        return body, headers


async def steady(commands: Commands, *, per_second: float, seconds: float) -> Timing:
    """Send at a steady rate, whether or not answers come back in time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, tasks = time.perf_counter(), []
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            tasks.append(asyncio.create_task(commands.send(session)))
        took = await asyncio.gather(*tasks)
        return timing_of(took, time.perf_counter() - began)


async def saturating(commands: Commands, *, at_once: int, seconds: float) -> Timing:
    """Send as fast as answers come back, with so many requests open at a time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, took = time.perf_counter(), list[float | None]()

        async def loop() -> None:
            while time.perf_counter() - began < seconds:
                took.append(await commands.send(session))

        await asyncio.gather(*(loop() for _ in range(at_once)))
        return timing_of(took, time.perf_counter() - began)


def timing_of(took: list[float | None], seconds: float) -> Timing:
    """Return the quantiles of what took so many seconds in all."""
    good = sorted(1_000 * each for each in took if each is not None)
    if len(good) < 2:
        return Timing(float("nan"), float("nan"), len(took) - len(good), 0.0)
    cuts = statistics.quantiles(good, n=100, method="inclusive")
    return Timing(cuts[49], cuts[98], len(took) - len(good), len(good) / seconds)
