"""How fast the courier sends, and what became of the messages."""

import asyncio
from collections import deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter


class DeliveryMetrics:
    """What became of the messages, for the metrics."""

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
    """Keeps the interval between two posts to a channel, in the event loop's time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._free_at: dict[str, float] = {}

    def wait_s(self, channel_id: str) -> float:
        """Return how many seconds are left until the channel may be posted to."""
        return max(0.0, self._free_at.get(channel_id, 0.0) - asyncio.get_running_loop().time())

    def count(self, channel_id: str) -> None:
        """Begin a new interval: an attempt has just ended, and Slack counted it at the latest now."""
        self._free_at[channel_id] = asyncio.get_running_loop().time() + self._interval_s


class WorkspaceRateLimit:
    """Keeps the posts to all channels of a Slack workspace within what it takes in a minute.

    Slack says "several hundred messages per minute" (https://docs.slack.dev/apis/web-api/rate-limits). Bulk
    leaves an eighth of that to others, so that a message of which there is one never waits behind
    hundreds. `replicas` answers how many share the quota; `minute_s` is how long a minute lasts.
    """

    _LEFT_TO_OTHERS = 0.12

    def __init__(self, per_minute: int, minute_s: float, replicas: Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._minute_s = minute_s
        self._replicas = replicas
        self._all: deque[float] = deque()
        self._bulk: deque[float] = deque()

    def take(self, *, is_bulk: bool) -> float:
        """Take a post out of the quota and answer 0, or answer after how many seconds to ask again."""
        now = asyncio.get_running_loop().time()
        wait_s = self._wait_s(self._all, 1.0, now)
        if is_bulk:
            wait_s = max(wait_s, self._wait_s(self._bulk, 1 - self._LEFT_TO_OTHERS, now))
        if wait_s > 0:
            return wait_s
        self._all.append(now)
        if is_bulk:
            self._bulk.append(now)
        return 0.0

    def _wait_s(self, taken: deque[float], share: float, now: float) -> float:
        while taken and taken[0] <= now - self._minute_s:
            taken.popleft()
        most = max(1, int(share * self._per_minute / self._replicas()))
        return 0.0 if len(taken) < most else taken[-most] + self._minute_s - now
