"""How fast the courier sends, and what became of the messages."""

import asyncio

from prometheus_client import CollectorRegistry, Counter


class Tally:
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


class Pace:
    """Keeps the interval between two posts to a channel, in the event loop's time."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._free_at: dict[str, float] = {}

    def wait_s(self, channel_id: str) -> float:
        """Answer how many seconds are left until the channel may be posted to."""
        return max(0.0, self._free_at.get(channel_id, 0.0) - asyncio.get_running_loop().time())

    def count(self, channel_id: str) -> None:
        """Begin a new interval: an attempt has just ended, and Slack counted it at the latest now."""
        self._free_at[channel_id] = asyncio.get_running_loop().time() + self._interval_s
