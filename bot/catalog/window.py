"""Windows over which an SLO is judged: rolling ones and calendar ones. Pure; no clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never
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


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """The current week (from Monday), month or quarter in a time zone; it begins at local midnight."""

    unit: CalendarUnit
    time_zone: str = "UTC"

    def span(self, now: datetime) -> Span:
        """Return the part of the current period that has passed: from its start to `now`."""
        return Span(self.period(now).start, now)

    def full_length(self, now: datetime) -> timedelta:
        """Return how long the current period is as a whole, daylight saving included."""
        return self.period(now).length

    def period(self, now: datetime) -> Span:
        """Return the full period that contains `now`."""
        zone = ZoneInfo(self.time_zone)
        local = now.astimezone(zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
        match self.unit:
            case CalendarUnit.WEEK:
                first = midnight - timedelta(days=midnight.weekday())
                next_first = first + timedelta(days=7)
            case CalendarUnit.MONTH:
                first = midnight.replace(day=1)
                next_first = _months_later(first, 1)
            case CalendarUnit.QUARTER:
                first = midnight.replace(day=1, month=3 * ((midnight.month - 1) // 3) + 1)
                next_first = _months_later(first, 3)
            case _:
                assert_never(self.unit)
        return Span(_utc(first, zone), _utc(next_first, zone))


Window = RollingWindow | CalendarWindow


def _months_later(first: datetime, months: int) -> datetime:
    index = first.year * 12 + first.month - 1 + months
    return first.replace(year=index // 12, month=index % 12 + 1)


def _utc(naive: datetime, zone: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=zone).astimezone(UTC)
