"""Clocks: the machine's, the one that replicas share, and a simulated one.

Deciding code takes `now` as an argument; loops take a `Clock`. Transport concerns (rate limits,
signatures, time-outs) use the machine's own clock, so a simulated clock never changes Slack's rules.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


async def wait_until_set(event: asyncio.Event, at_most_s: float) -> None:
    """Wait in real time until an event is set, at most so long."""
    try:
        async with asyncio.timeout(at_most_s):
            await event.wait()
    except TimeoutError:
        return


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
    """The time of the database that replicas share, so that all of them agree.

    Between two readings of the database it advances by the monotonic clock: setting a replica's clock
    changes nothing. Before the first reading it is the machine's clock.
    """

    # Reading the database takes time; smaller differences are ignored.
    _SMALLEST_CORRECTION = timedelta(seconds=0.25)

    def __init__(self) -> None:
        self._reading: datetime | None = None
        self._read_at_s = 0.0

    def now(self) -> datetime:
        """Return the shared time in UTC."""
        if self._reading is None:
            return super().now()
        return self._reading + timedelta(seconds=time.monotonic() - self._read_at_s)

    def set(self, now: datetime, at_s: float) -> None:
        """Set the shared time to `now`, as read when the monotonic clock showed `at_s`."""
        expected = self.now() - timedelta(seconds=time.monotonic() - at_s)
        if self._reading is None or abs(expected - now) > self._SMALLEST_CORRECTION:
            self._reading, self._read_at_s = now, at_s


class SimulatedClock:
    """A clock that runs `speed` times as fast as the machine's; the speed may change at any time."""

    # Sleeping tasks wake at least this often (real seconds), to notice a change of speed.
    _LONGEST_SLEEP_S = 0.25

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self._origin = start or datetime.now(UTC)
        self._origin_s = time.monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Simulated seconds a real second; at least 1."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value < 1:
            raise ValueError("a simulated clock runs at least as fast as the machine's")
        self._origin, self._origin_s = self.now(), time.monotonic()
        self._speed = value

    def now(self) -> datetime:
        """Return the simulated time in UTC."""
        return self._origin + timedelta(seconds=(time.monotonic() - self._origin_s) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Wait for that many simulated seconds."""
        wake_at = self.now() + timedelta(seconds=seconds)
        while (remaining_s := (wake_at - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - waits for time
            await asyncio.sleep(min(remaining_s / self._speed, self._LONGEST_SLEEP_S))
        await asyncio.sleep(0)
