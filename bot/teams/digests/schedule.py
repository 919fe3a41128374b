"""When each channel's digests are due, by the clock of its people. Pure; no clock, no I/O.

A digest belongs to a period: the weekly one to a week from Monday, the stand-up line to a day. Each period
has at most one. A time that the change to summer time leaves out comes as much later as the clock was put
forward; one that the change back brings twice comes the first time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.catalog.catalog import Catalog
from bot.catalog.digests import DigestKind, DigestTimes

_DAY = timedelta(days=1)
_PATIENCE = {DigestKind.WEEKLY: timedelta(hours=24), DigestKind.STAND_UP: timedelta(hours=3)}
_BACK = {DigestKind.WEEKLY: 7 * _DAY, DigestKind.STAND_UP: _DAY}
_LONGEST = timedelta(days=15)


@dataclass(frozen=True, slots=True)
class DueDigest:
    """A digest of a period, named so that no other has the same name, and when it is due (UTC)."""

    period: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DigestSchedule:
    """When one of a channel's digests comes, in which time zone, and the services that it is about."""

    channel: str
    kind: DigestKind
    times: DigestTimes
    time_zone: str
    services: tuple[str, ...]

    def next_after(self, moment: datetime, *, period: str = "") -> DueDigest:
        """Return the first digest that is due after a moment, of a later period than `period`."""
        zone = ZoneInfo(self.time_zone)
        first = moment.astimezone(zone).date() - _DAY
        for day in (first + _DAY * ahead for ahead in range(_LONGEST.days + 1)):
            due = self._on(day, zone)
            if due is not None and due.at > moment and due.period > period:
                return due
        raise ValueError(f"{self.kind} of {self.channel} never comes")

    def in_period(self, period: str, near: datetime) -> DueDigest | None:
        """Return the digest of a period that is not far from a moment."""
        zone = ZoneInfo(self.time_zone)
        first = near.astimezone(zone).date() - _BACK[DigestKind.WEEKLY]
        days = [self._on(first + _DAY * ahead, zone) for ahead in range(2 * _LONGEST.days)]
        return next((due for due in days if due is not None and due.period == period), None)

    def _on(self, day: date, zone: ZoneInfo) -> DueDigest | None:
        if day.weekday() not in self.times.days:
            return None
        return DueDigest(period_of(self.kind, day), _moment(day, self.times.at, zone))


def schedules(catalog: Catalog) -> Sequence[DigestSchedule]:
    """Return the schedules of all channels.

    Services that share a channel share a digest; where they say different times or zones, those of the first
    by name count. One that has it switched off is left out of it.
    """
    found: dict[tuple[str, DigestKind], DigestSchedule] = {}
    for name in sorted(catalog.services):
        service = catalog.services[name]
        for kind in DigestKind:
            times = service.digests.times(kind)
            if times is None:
                continue
            key = (service.channel, kind)
            known = found.get(key)
            found[key] = (
                DigestSchedule(service.channel, kind, times, service.time_zone, (name,))
                if known is None
                else DigestSchedule(*key, known.times, known.time_zone, (*known.services, name))
            )
    return list(found.values())


def period_of(kind: DigestKind, day: date) -> str:
    """Return the name of the period that a day belongs to; later ones come later in the alphabet."""
    if kind is DigestKind.STAND_UP:
        return day.isoformat()
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def is_too_late(kind: DigestKind, due_at: datetime, now: datetime) -> bool:
    """Return whether a digest that could not be sent in time is better left out.

    A weekly one is still of use within a day, a stand-up line within three hours.
    """
    return now - due_at > _PATIENCE[kind]


def begins(at: datetime, times: DigestTimes, zone: str) -> datetime:
    """Return since when a digest that is sent at that moment tells: since the one before it was due.

    One that comes late tells as much more, so that nothing lies between two.
    """
    tz = ZoneInfo(zone)
    today = at.astimezone(tz).date()
    days = [
        day for day in (today - _DAY * back for back in range(_LONGEST.days)) if day.weekday() in times.days
    ]
    due = [moment for day in days if (moment := _moment(day, times.at, tz)) <= at]
    return due[1]


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
