"""The freeze periods that Governor writes, and how it knows them again. Pure; no clock, no I/O.

GitLab knows only periods that come by two cron expressions. A freeze has no end that is known, so its period
begins at the minute in which it is written and ends a minute before that minute comes again, a year later; it
is deleted when the freeze ends. Nobody else writes such a pair, so that no list of own ones has to be kept.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_MINUTE: Final = timedelta(minutes=1)
_LEAP_YEAR: Final = 2028
_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) (\d{1,2}) (\d{1,2}) \*")


@dataclass(frozen=True, slots=True)
class FreezePeriod:
    """A freeze period: two cron expressions in a time zone; `id` is GitLab's, None before it is written."""

    start: str
    end: str
    time_zone: str = "UTC"
    id: int | None = None

    @property
    def is_own(self) -> bool:
        """Whether Governor wrote it: it ends a minute before it begins again."""
        start, end = _minute_of_year(self.start), _minute_of_year(self.end)
        if start is None or end is None or self.time_zone not in {"UTC", "Etc/UTC"}:
            return False
        return _cron(start - _MINUTE) == _cron(end)


def period_from(now: datetime) -> FreezePeriod:
    """Return the period that begins now and goes on until it is deleted."""
    # The minute before 1 March is one of 29 February, whatever the year: `is_own` knows no year.
    begin = now.astimezone(UTC).replace(year=_LEAP_YEAR, second=0, microsecond=0)
    return FreezePeriod(_cron(begin), _cron(begin - _MINUTE))


def surplus(periods: Iterable[FreezePeriod], *, is_held: bool) -> Sequence[FreezePeriod]:
    """Return the own periods that are to be deleted: all but one while the project is held, else all."""
    own = [period for period in periods if period.is_own]
    return own[1:] if is_held else own


def _cron(at: datetime) -> str:
    return f"{at.minute} {at.hour} {at.day} {at.month} *"


def _minute_of_year(cron: str) -> datetime | None:
    match = _CRON.fullmatch(cron.strip())
    if match is None:
        return None
    minute, hour, day, month = map(int, match.groups())
    try:
        return datetime(_LEAP_YEAR, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
