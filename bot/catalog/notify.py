"""Who is mentioned when something happens, and the quiet hours in which nobody is. Pure; no clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from bot.catalog.teams import Team, Teams, each_once

TEAMS = "teams"
DEVELOPMENT = "development"
RELIABILITY = "reliability"
APPROVERS = "approvers"
NOBODY = "nobody"
EVERY_DAY = frozenset(range(7))
_DAY = timedelta(days=1)


class Occasion(StrEnum):
    """What may mention somebody."""

    PAGE = "page"
    """A burn alert of severity `page`."""
    FREEZE = "freeze"
    """A service that may ship no more."""
    OPEN = "open"
    """A service that may ship again."""
    WARNING = "warning"
    """A budget that fell to a level of `warnAt`."""
    TICKET = "ticket"
    """A burn alert of severity `ticket`."""
    APPROVAL = "approval"
    """Something that waits for a second person."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of the day, from `start` until before `end`, that begins on `days` (0 is Monday).

    It goes on over midnight where `end` is not later than `start`, for a whole day where both are the same.
    `time_zone` is an IANA name; None means that of the service.
    """

    start: time
    end: time
    days: frozenset[int] = EVERY_DAY
    time_zone: str | None = None

    def includes(self, at: datetime, zone: tzinfo) -> bool:
        """Return whether a moment is within them; `zone` is that of the service or person."""
        return self.ends_after(at, zone) is not None

    def ends_after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return when the quiet hours end that a moment is within; None if it is within none.

        They follow the clock on the wall: a change to summer time makes them an hour shorter.
        """
        there = ZoneInfo(self.time_zone) if self.time_zone is not None else zone
        local = at.astimezone(there)
        for days_ago in (0, 1):
            first = (local - days_ago * _DAY).date()
            if first.weekday() not in self.days:
                continue
            last = first if self.end > self.start else first + _DAY
            begins = datetime.combine(first, self.start, there)
            ends = datetime.combine(last, self.end, there)
            if begins.timestamp() <= at.timestamp() < ends.timestamp():
                return ends.astimezone(at.tzinfo)
        return None


@dataclass(frozen=True, slots=True)
class Notify:
    """Whom each occasion mentions: `teams`, `development`, `reliability`, `approvers`, groups and people."""

    page: tuple[str, ...] = (TEAMS,)
    freeze: tuple[str, ...] = (TEAMS,)
    open: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    ticket: tuple[str, ...] = ()
    approval: tuple[str, ...] = (APPROVERS,)
    quiet_hours: tuple[QuietHours, ...] = ()

    def mentioned(
        self,
        occasion: Occasion,
        teams: Teams,
        at: datetime,
        zone: tzinfo,
        *,
        approvers: Sequence[str] = (),
    ) -> Team:
        """Return the groups and people whom an occasion mentions; nobody in quiet hours, but for a page."""
        if occasion is not Occasion.PAGE and self.quiet_until(at, zone) is not None:
            return ()
        named = {
            TEAMS: teams.entries,
            DEVELOPMENT: teams.development,
            RELIABILITY: teams.reliability,
            APPROVERS: tuple(approvers),
        }
        return each_once(entry for name in self._names(occasion) for entry in named.get(name, (name,)))

    def quiet_until(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return when it is quiet no more; None if it is not quiet."""
        ends = None
        for _ in range(len(self.quiet_hours) * 8):
            later = [
                end for hours in self.quiet_hours if (end := hours.ends_after(ends or at, zone)) is not None
            ]
            if not later:
                return ends
            ends = max(later)
        return ends

    def _names(self, occasion: Occasion) -> tuple[str, ...]:
        match occasion:
            case Occasion.PAGE:
                return self.page
            case Occasion.FREEZE:
                return self.freeze
            case Occasion.OPEN:
                return self.open
            case Occasion.WARNING:
                return self.warning
            case Occasion.TICKET:
                return self.ticket
            case Occasion.APPROVAL:
                return self.approval


class HasTimeZone(Protocol):
    """A service, or whatever else has an IANA time zone."""

    @property
    def time_zone(self) -> str:
        """The name of the zone."""
        ...


def zone_of(service: HasTimeZone) -> ZoneInfo:
    """Return the zone by whose clock a service's quiet hours are meant."""
    return ZoneInfo(service.time_zone)


DEFAULT_NOTIFY = Notify()
"""What holds where the policies say nothing."""
