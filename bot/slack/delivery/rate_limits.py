"""Rate limits of posts to Slack, by channel and by workspace, and the metrics of the delivery."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass
class _Calls:
    """Calls that have not ended yet, and when the others of the last minute ended."""

    running: int = 0
    ended: deque[float] = field(default_factory=deque)


class WorkspaceRateLimit:
    """Limits the posts to all channels of a Slack workspace in any minute.

    Slack says "several hundred messages per minute" (https://docs.slack.dev/apis/web-api/rate-limits). Bulk
    messages leave an eighth of that to others, so that a single message never waits behind hundreds.
    A call counts until a minute after it ended: by then Slack has counted it, however long it took.
    `replicas` returns how many replicas share the limit; `minute_s` is how long a minute lasts.
    """

    _RESERVED_SHARE = 0.12

    def __init__(self, per_minute: int, minute_s: float, replicas: Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._minute_s = minute_s
        self._replicas = replicas
        self._calls = _Calls()
        self._bulk_calls = _Calls()

    def acquire(self, *, is_bulk: bool) -> float:
        """Take one call from the limit and return 0, or return after how many seconds to try again.

        The call must follow at once, and `record_end` once it has ended.
        """
        wait_s = self.wait_s(is_bulk=is_bulk)
        if wait_s == 0:
            for calls, _ in self._limits(is_bulk=is_bulk):
                calls.running += 1
        return wait_s

    def record_end(self, *, is_bulk: bool) -> None:
        """End a call that was acquired."""
        for calls, _ in self._limits(is_bulk=is_bulk):
            calls.running -= 1
            calls.ended.append(asyncio.get_running_loop().time())

    def wait_s(self, *, is_bulk: bool) -> float:
        """Return after how many seconds the limit may allow a call."""
        now = asyncio.get_running_loop().time()
        return max(self._wait_s(calls, most, now) for calls, most in self._limits(is_bulk=is_bulk))

    def room(self, *, is_bulk: bool, within_s: float = 0.0) -> int:
        """Return how many calls the limit allows within so many seconds."""
        since = asyncio.get_running_loop().time() + within_s - self._minute_s
        return min(
            most - calls.running - sum(ended > since for ended in calls.ended)
            for calls, most in self._limits(is_bulk=is_bulk)
        )

    def _limits(self, *, is_bulk: bool) -> list[tuple[_Calls, int]]:
        """Return the calls that count, and how many may be made in a minute."""
        limits = [(self._calls, 1.0), (self._bulk_calls, 1 - self._RESERVED_SHARE)]
        whole = self._per_minute / self._replicas()
        return [(calls, max(1, int(share * whole))) for calls, share in limits[: 1 + is_bulk]]

    def _wait_s(self, calls: _Calls, most: int, now: float) -> float:
        ended = calls.ended
        while ended and ended[0] <= now - self._minute_s:
            ended.popleft()
        surplus = calls.running + len(ended) - most
        if surplus < 0:
            return 0.0
        return ended[surplus] + self._minute_s - now if surplus < len(ended) else self._minute_s
