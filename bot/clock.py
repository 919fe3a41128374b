"""Time as the rest of the bot sees it.

Deciding code takes `now` as an argument; loops take a `Clock`. Transport concerns (rate limits,
signatures, time-outs) stay on the machine's own clock, so a simulated clock never bends Slack's rules.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where loops get the time from."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of this clock's time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, seconds))


class SharedClock(SystemClock):
    """The time of the database that replicas share, so that all of them have the same.

    It runs on the monotonic clock from one look at the database to the next: setting a replica's clock
    changes nothing. Before the first look it is the machine's.
    """

    # The way to the database takes its time; smaller differences than that are no news.
    _NEWS = timedelta(seconds=0.25)

    def __init__(self) -> None:
        self._seen: datetime | None = None
        self._seen_at_s = 0.0

    def now(self) -> datetime:
        """Return the shared time in UTC."""
        if self._seen is None:
            return super().now()
        return self._seen + timedelta(seconds=time.monotonic() - self._seen_at_s)

    def set(self, now: datetime, at_s: float) -> None:
        """Take over what the shared time was when the monotonic clock showed `at_s`."""
        shown = self.now() - timedelta(seconds=time.monotonic() - at_s)
        if self._seen is None or abs(shown - now) > self._NEWS:
            self._seen, self._seen_at_s = now, at_s


class SimulatedClock:
    """A clock that runs `speed` times as fast as the machine's; the speed may change at any moment."""

    # Sleepers wake at least this often (real seconds), to notice a change of speed.
    _SLICE_S = 0.25

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._origin = start or datetime.now(UTC)
        self._since = time.monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Simulated seconds in a real second; at least 1."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value < 1:
            raise ValueError("a simulated clock runs at least as fast as the machine's")
        self._origin, self._since = self.now(), time.monotonic()
        self._speed = value

    def now(self) -> datetime:
        """Return the simulated time in UTC."""
        return self._origin + timedelta(seconds=(time.monotonic() - self._since) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Wait for that many simulated seconds."""
        until = self.now() + timedelta(seconds=seconds)
        while (left := (until - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - time itself is awaited
            await asyncio.sleep(min(left / self._speed, self._SLICE_S))
        await asyncio.sleep(0)
