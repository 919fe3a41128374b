"""When maintenance windows are: a recurrence rule in a time zone, as times in UTC. Pure; no clock, no I/O.

A rule is an RRULE of RFC 5545 without times of day: that of `start` is meant, by the clocks of the zone, in
summer and winter. A time that clocks skip is as much later as they go forward; of one that comes twice it is
the first. A window ends its duration after it began, whatever clocks do meanwhile.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from bot.budgets.adjustments.effects import merged
from bot.catalog.maintenance import MaintenanceWindow
from bot.catalog.window import Span

FOUR_WEEKS = timedelta(days=28)
"""The time of which maintenance may take a share."""

EXAMPLE = "such as FREQ=WEEKLY;BYDAY=SU"

_A_DAY = timedelta(days=1)
_LOOKED_AT = timedelta(days=400)
_MOST_CHARACTERS = 200
_DAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
_PARTS = {
    "FREQ": r"DAILY|WEEKLY|MONTHLY|YEARLY",
    "INTERVAL": r"[1-9][0-9]{0,2}",
    "COUNT": r"[1-9][0-9]{0,3}",
    "UNTIL": r"[0-9]{8}(?:T[0-9]{6}Z?)?",
    "BYDAY": rf"(?:[+-]?[1-5])?{_DAY}(?:,(?:[+-]?[1-5])?{_DAY})*",
    "BYMONTH": r"(?:[1-9]|1[0-2])(?:,(?:[1-9]|1[0-2]))*",
    "BYMONTHDAY": r"-?(?:[1-9]|[12][0-9]|3[01])(?:,-?(?:[1-9]|[12][0-9]|3[01]))*",
    "BYYEARDAY": r"-?[1-9][0-9]{0,2}(?:,-?[1-9][0-9]{0,2})*",
    "BYWEEKNO": r"-?[1-9][0-9]?(?:,-?[1-9][0-9]?)*",
    "BYSETPOS": r"-?[1-9][0-9]{0,2}(?:,-?[1-9][0-9]{0,2})*",
    "WKST": _DAY,
}
_TIMES_OF_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")
_TOO_OFTEN = ("HOURLY", "MINUTELY", "SECONDLY")
_UNTIL = re.compile(r"UNTIL=([0-9]{8})(?:(T[0-9]{6})(Z?))?")
# The calendar repeats after 400 years, to the day of the week: a rule that never happens is known from the
# last centuries that there are, instead of from eight thousand years.
_LATE = 7_600


class RecurringWindow(Protocol):
    """A window that comes again: of maintenance, of a freeze."""

    @property
    def start(self) -> datetime:
        """The local time at which it begins first."""
        ...

    @property
    def time_zone(self) -> str:
        """The IANA zone of that time."""
        ...

    @property
    def duration(self) -> timedelta:
        """How long it is."""
        ...

    @property
    def rule(self) -> str | None:
        """The RRULE; None for a window that comes once."""
        ...


class RecurrenceError(ValueError):
    """A text is no recurrence rule that a window can have. The message says why, `allowed` what is right."""

    def __init__(self, message: str, allowed: str = EXAMPLE) -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed


def check_rule(text: str) -> str:
    """Return a rule in capitals; raises `RecurrenceError`."""
    rule = text.strip().upper().removeprefix("RRULE:")
    if not rule.isprintable() or len(rule) > _MOST_CHARACTERS:
        raise RecurrenceError("this is not a recurrence rule")
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        key, _, value = part.partition("=")
        _check_part(key, value)
        if key in parts:
            raise RecurrenceError(f"{key} is named twice")
        parts[key] = value
    _check_together(parts)
    return rule


def _check_part(key: str, value: str) -> None:
    if key in _TIMES_OF_DAY:
        raise RecurrenceError(
            f"{key} cannot be used here: the time of day is that of `start`",
            "a window of its own for each time of day",
        )
    if key not in _PARTS:
        raise RecurrenceError(f"`{key[:20]}` is not a part of a recurrence rule", ", ".join(_PARTS))
    if key == "FREQ" and value in _TOO_OFTEN:
        raise RecurrenceError("a window comes once a day at most", "DAILY, WEEKLY, MONTHLY, YEARLY")
    if not re.fullmatch(_PARTS[key], value):
        ranges = {"INTERVAL": "1 to 999", "COUNT": "1 to 9999", "UNTIL": "a date such as 20271231"}
        raise RecurrenceError(f"{key} cannot be `{value[:20]}`", ranges.get(key, EXAMPLE))


def _check_together(parts: dict[str, str]) -> None:
    """Check what RFC 5545 says about parts that need or exclude each other."""
    frequency = parts.get("FREQ")
    if frequency is None:
        raise RecurrenceError("FREQ is missing")
    if "COUNT" in parts and "UNTIL" in parts:
        raise RecurrenceError("COUNT and UNTIL exclude each other", "one of them")
    if re.search("[0-9]", parts.get("BYDAY", "")) and frequency not in {"MONTHLY", "YEARLY"}:
        raise RecurrenceError("BYDAY with a number needs FREQ=MONTHLY or YEARLY", "such as 1SU or -1SU")
    for key in ("BYWEEKNO", "BYYEARDAY"):
        if key in parts and frequency != "YEARLY":
            raise RecurrenceError(f"{key} needs FREQ=YEARLY")
    if "BYSETPOS" in parts and not any(key in parts for key in _PARTS if key[:2] == "BY" and key[2:3] != "S"):
        raise RecurrenceError("BYSETPOS needs another BY… to choose from", "such as BYDAY=SU;BYSETPOS=1")


def never_comes(window: RecurringWindow) -> bool:
    """Return whether a window's rule has no occurrence at all."""
    if window.rule is None:
        return False
    try:
        late = window.start.replace(year=window.start.year + _LATE)
        if next(iter(rrulestr(_without_end(window.rule), dtstart=late)), None) is None:
            return True
        return next(iter(_parsed(window.rule, window.start, window.time_zone)), None) is None
    except (ValueError, IndexError):
        # Such as the 29th of February of a year that has none, or an UNTIL that is no date.
        return True


def occurrences(window: RecurringWindow, span: Span) -> list[Span]:
    """Return the times of a window that lie at least partly within a span, oldest first."""
    found = []
    for start in _starts(window, span.start - window.duration):
        if start >= span.end:
            break
        if start + window.duration > span.start:
            found.append(Span(start, start + window.duration))
    return found


def next_start(window: RecurringWindow, at: datetime) -> datetime | None:
    """Return when a window begins next, at that time or later; None if it does not come again."""
    return _next_start(window.rule, window.start, window.time_zone, at)


@lru_cache(maxsize=1_024)
def _next_start(rule: str | None, start: datetime, zone: str, at: datetime) -> datetime | None:
    # Of a template every service has the same windows.
    return next((each for each in _all_starts(rule, start, zone, at) if each >= at), None)


def overlaps_itself(window: RecurringWindow) -> timedelta | None:
    """Return after how long a window begins again where that is before it is over; None if it never is."""
    first = _first(window)
    if first is None:
        return None
    times = occurrences(window, Span(first, first + _LOOKED_AT))
    shortest = min((after.start - before.start for before, after in pairwise(times)), default=None)
    return shortest if shortest is not None and shortest < window.duration else None


def largest_share(windows: Sequence[MaintenanceWindow]) -> float:
    """Return the largest part of four weeks that windows take together, 0 to 1.

    The four weeks begin with an occurrence, in the first 400 days of each of the windows.
    """
    return max((_share_from(first, windows) for each in windows if (first := _first(each))), default=0.0)


def _share_from(first: datetime, windows: Sequence[MaintenanceWindow]) -> float:
    year = Span(first, first + _LOOKED_AT)
    times = merged(time for window in windows for time in occurrences(window, year))
    starts = [time.start for time in times]
    lengths = list(accumulate((time.length for time in times), initial=timedelta()))
    largest = timedelta()
    for index, start in enumerate(starts):
        end = start + FOUR_WEEKS
        last = bisect_left(starts, end)
        beyond = max(timedelta(), times[last - 1].end - end)
        largest = max(largest, lengths[last] - lengths[index] - beyond)
    return largest / FOUR_WEEKS


def _first(window: RecurringWindow) -> datetime | None:
    return next(iter(_starts(window, datetime.min.replace(tzinfo=UTC))), None)


def _starts(window: RecurringWindow, since: datetime) -> Iterator[datetime]:
    return _all_starts(window.rule, window.start, window.time_zone, since)


def _all_starts(rule: str | None, start: datetime, time_zone: str, since: datetime) -> Iterator[datetime]:
    """Yield when a window begins, in UTC, from a little before a time on."""
    zone = ZoneInfo(time_zone)
    if rule is None:
        yield start.replace(tzinfo=zone).astimezone(UTC)
        return
    local = since.replace(tzinfo=None) - 2 * _A_DAY if since.year > 1 else start
    for at in _parsed(rule, start, time_zone).xafter(local, inc=True):
        yield at.replace(tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=1_024)
def _parsed(rule: str, start: datetime, time_zone: str) -> rrule:
    """Return a rule whose end is a local time, as its start is."""

    def local_end(match: re.Match[str]) -> str:
        day, time, is_utc = match[1], match[2], match[3]
        if time is None:
            # A day means all of it.
            return f"UNTIL={day}T235959"
        if not is_utc:
            return f"UNTIL={day}{time}"
        at = datetime.strptime(day + time, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return f"UNTIL={at.astimezone(ZoneInfo(time_zone)):%Y%m%dT%H%M%S}"

    parsed = rrulestr(_UNTIL.sub(local_end, rule), dtstart=start)
    if not isinstance(parsed, rrule):
        raise RecurrenceError("this is more than one rule")
    return parsed


def _without_end(rule: str) -> str:
    return ";".join(part for part in rule.split(";") if not part.startswith(("COUNT=", "UNTIL=")))
