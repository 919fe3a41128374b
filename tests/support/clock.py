"""The time in tests: one moment, a clock that stands still at it, one that runs and can be set forward."""

from datetime import UTC, datetime, timedelta

from bot.clock import SystemClock

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, on a full hour, in winter time everywhere north of the equator."""
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class StoppedClock:
    """A clock that stands still until a test sets its time; whoever sleeps by it fails the test."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing sleeps by a stopped clock, but somebody did for {seconds} s")


class ForwardableClock(SystemClock):
    """The machine's clock, which a test may set forward by `ahead`."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead
