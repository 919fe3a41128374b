"""A rotation: which services, from which two teams, and when each period begins."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.catalog.teams import Team

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Pairs one of `development` with one of `reliability` for a period of whole days.

    The first period begins on `starts_on` at the time of day `at` in the time zone, and so does each further
    one `every` so many days: at the same time of day, whatever the clocks do in between. Where the clocks
    skip that time, it begins as much later.
    """

    name: str
    services: tuple[str, ...]
    development: Team
    reliability: Team
    every: timedelta
    starts_on: date
    at: time = time(10)
    time_zone: str = "UTC"

    def begin_of(self, index: int) -> datetime:
        """Return when a period begins in UTC, the first for 0."""
        day = self.starts_on + index * self.every
        return datetime.combine(day, self.at, ZoneInfo(self.time_zone)).astimezone(UTC)

    def begun(self, now: datetime) -> datetime | None:
        """Return when the period of a moment began; None before the first one."""
        index = self._index(now)
        return self.begin_of(index) if index >= 0 else None

    def next_begin(self, now: datetime) -> datetime:
        """Return when the next period begins after a moment."""
        return self.begin_of(max(0, self._index(now) + 1))

    def begins_after(self, now: datetime, count: int) -> tuple[datetime, ...]:
        """Return when so many periods begin that come next."""
        first = max(0, self._index(now) + 1)
        return tuple(self.begin_of(index) for index in range(first, first + count))

    def _index(self, now: datetime) -> int:
        """Return the number of the period of a moment, counted from 0; negative before the first."""
        local = now.astimezone(ZoneInfo(self.time_zone))
        index = (local.date() - self.starts_on) // self.every
        while self.begin_of(index) > now:
            index -= 1
        while self.begin_of(index + 1) <= now:
            index += 1
        return index
