"""Windows over which an SLO is judged: rolling ones and calendar ones. Pure; no clock."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open time span [start, end), both aware and in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """The time between start and end; negative where the end lies before the start."""
        return self.end - self.start


class CalendarUnit(StrEnum):
    """The calendar periods that a window may follow."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """The last `length` up to now."""

    length: timedelta

    def span(self, now: datetime) -> Span:
        """Return the window that ends at `now`."""
        return Span(now - self.length, now)

    def full_length(self, now: datetime) -> timedelta:
        """Return the length of the window: the same at any time."""
        del now
        return self.length


_FIRST_MONDAY: Final = datetime(1970, 1, 5)  # noqa: DTZ001 - local time of the window's zone
_FIRST_OF_YEAR: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local time of the window's zone


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """The current week (from Monday), month, quarter or year in a time zone; it begins at local midnight.

    With `start`, a local time without a zone, periods begin so many units after it, or before it: months from
    the 15th at noon, years from October. A month that lacks the day has its last day instead.
    """

    unit: CalendarUnit
    time_zone: str = "UTC"
    start: datetime | None = None

    def span(self, now: datetime) -> Span:
        """Return the part of the current period that has passed: from its start to `now`."""
        return Span(self.period(now).start, now)

    def full_length(self, now: datetime) -> timedelta:
        """Return how long the current period is as a whole, daylight saving included."""
        return self.period(now).length

    def period(self, now: datetime) -> Span:
        """Return the full period that contains `now`."""
        zone = ZoneInfo(self.time_zone)
        index = self._periods_until(now.astimezone(zone).replace(tzinfo=None))
        # Clocks that were changed meanwhile may have moved the start past `now`, or the end before it.
        while self._start_of(index, zone) > now:
            index -= 1
        while self._start_of(index + 1, zone) <= now:
            index += 1
        return Span(self._start_of(index, zone), self._start_of(index + 1, zone))

    @property
    def _anchor(self) -> datetime:
        if self.start is not None:
            return self.start
        return _FIRST_MONDAY if self.unit is CalendarUnit.WEEK else _FIRST_OF_YEAR

    @property
    def _months(self) -> int:
        """The months of a period, 0 for weeks."""
        match self.unit:
            case CalendarUnit.WEEK:
                return 0
            case CalendarUnit.MONTH:
                return 1
            case CalendarUnit.QUARTER:
                return 3
            case CalendarUnit.YEAR:
                return 12
            case _:
                assert_never(self.unit)

    def _periods_until(self, local: datetime) -> int:
        """Return about how many periods lie between the first one's start and a local time."""
        anchor = self._anchor
        if not self._months:
            return (local - anchor) // _WEEK
        return ((local.year - anchor.year) * 12 + local.month - anchor.month) // self._months

    def _start_of(self, index: int, zone: ZoneInfo) -> datetime:
        """Return when the period of this index begins; that of index 0 begins at the anchor."""
        anchor = self._anchor
        if not self._months:
            return _utc(anchor + index * _WEEK, zone)
        return _utc(_months_later(anchor, index * self._months), zone)


Window = RollingWindow | CalendarWindow

_WEEK: Final = timedelta(days=7)


def _months_later(local: datetime, months: int) -> datetime:
    """Return the same day and time so many months later, the last day of a month that lacks the day."""
    index = local.year * 12 + local.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return local.replace(year=year, month=month, day=min(local.day, monthrange(year, month)[1]))


def _utc(naive: datetime, zone: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=zone).astimezone(UTC)
