"""Rate limits of posts to Slack, by channel and by workspace, and the metrics of the delivery."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter


class DeliveryMetrics:
    """Counters of sent and failed messages and of retries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "governor_outbox_messages",
            "Messages that left the outbox: sent, found (cut off, yet there) or failed.",
            ["outcome"],
            registry=registry,
        )
        self.retries = Counter(
            "governor_outbox_retries",
            "Attempts that must be repeated, by reason.",
            ["reason"],
            registry=registry,
        )


class ChannelRateLimit:
    """Limits the posts to each channel to one an interval, in the event loop's time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._free_at: dict[str, float] = {}

    def wait_s(self, channel_id: str) -> float:
        """Return how many seconds are left until the channel may be posted to."""
        return max(0.0, self._free_at.get(channel_id, 0.0) - asyncio.get_running_loop().time())

    def record_attempt(self, channel_id: str) -> None:
        """Begin a new interval: an attempt has just ended, and Slack has counted it by now."""
        self._free_at[channel_id] = asyncio.get_running_loop().time() + self._interval_s


class WorkspaceRateLimit:
    """Limits the posts to all channels of a Slack workspace in a minute.

    Slack says "several hundred messages per minute" (https://docs.slack.dev/apis/web-api/rate-limits). Bulk
    messages leave an eighth of that to others, so that a single message never waits behind hundreds.
    `replicas` returns how many replicas share the limit; `minute_s` is how long a minute lasts.
    """

    _RESERVED_SHARE = 0.12

    def __init__(self, per_minute: int, minute_s: float, replicas: Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._minute_s = minute_s
        self._replicas = replicas
        self._calls: deque[float] = deque()
        self._bulk_calls: deque[float] = deque()

    def acquire(self, *, is_bulk: bool) -> float:
        """Take one call from the limit and return 0, or return after how many seconds to try again."""
        now = asyncio.get_running_loop().time()
        wait_s = self._wait_s(self._calls, 1.0, now)
        if is_bulk:
            wait_s = max(wait_s, self._wait_s(self._bulk_calls, 1 - self._RESERVED_SHARE, now))
        if wait_s > 0:
            return wait_s
        self._calls.append(now)
        if is_bulk:
            self._bulk_calls.append(now)
        return 0.0

    async def wait(self, sleep: Callable[[float], Awaitable[None]], *, is_bulk: bool) -> None:
        """Wait with `sleep` until the limit allows a call, which must then follow at once."""
        while (wait_s := self.acquire(is_bulk=is_bulk)) > 0:
            await sleep(wait_s)

    def _wait_s(self, calls: deque[float], share: float, now: float) -> float:
        while calls and calls[0] <= now - self._minute_s:
            calls.popleft()
        most = max(1, int(share * self._per_minute / self._replicas()))
        return 0.0 if len(calls) < most else calls[-most] + self._minute_s - now
