"""Reads when a planned freeze is: `from friday 15:00 until monday 7:00`, `every friday 15:00 for 9h`. Pure.

What follows is the reason. A recurring one has the day after `every`: a day of the week, `day` or `weekday`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.typed.lengths import read_length
from bot.slack.typed.times import WEEKDAYS, TimeDirection, read_clock, read_moment
from bot.slack.typed.words import plain

FORM = "from friday 15:00 until monday 7:00 REASON"
_FROM = {"from", "on"}
_EVERY = "every"
_FOR = {"for", "during"}
_UNTIL = {"until", "till", "to"}
_FROM_TODAY = {"today", "tonight", "tomorrow"}
_LONGEST = timedelta(days=90)
_SHORTEST = timedelta(minutes=1)
_WORKING = WEEKDAYS[:5]
_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_UNREADABLE = Markup(
    "Say when: `from friday 15:00 until monday 7:00`, `from 2026-12-24 12:00 for 3d` or "
    "`every friday 15:00 for 9h`."
)


@dataclass(frozen=True, slots=True)
class TypedSchedule:
    """When a planned freeze begins first, how long it is, its RRULE if it recurs, and the words after it."""

    start: datetime
    duration: timedelta
    rule: str | None
    rest: tuple[str, ...]


def read_schedule(words: Sequence[str], now: datetime, zone: tzinfo) -> TypedSchedule:
    """Return when a planned freeze is. Raises `UsageError` for what cannot be read or has passed."""
    if not words:
        raise UsageError(_UNREADABLE)
    first = plain(words[0])
    if first in _FROM:
        start, used = _moment(words[1:], now, zone)
        rule = None
    elif first == _EVERY and len(words) > 1:
        start, used, rule = _recurring(words[1:], now, zone)
    else:
        raise UsageError(_UNREADABLE)
    duration, length = read_end(words[1 + used :], start, now, zone)
    if rule is not None and duration > _between(rule):
        raise UsageError(Markup("It would begin again before it is over. Make it shorter."))
    return TypedSchedule(start, duration, rule, tuple(words[1 + used + length :]))


def read_end(words: Sequence[str], start: datetime, now: datetime, zone: tzinfo) -> tuple[timedelta, int]:
    """Return the length that `for 4h` or `until 18:00` gives to what begins at `start`, and its words."""
    first = plain(words[0]) if words else ""
    if first in _FOR:
        length = read_length(words[1:])
        if length is None:
            raise UsageError(_UNREADABLE)
        duration, used = length
    elif first in _UNTIL:
        # Tomorrow is always that of whoever types; any other time is the first after the beginning.
        is_relative = len(words) > 1 and plain(words[1]) in _FROM_TODAY
        end = read_moment(
            words[1:], now=now if is_relative else start, zone=zone, direction=TimeDirection.FUTURE
        )
        if end is None:
            raise UsageError(_UNREADABLE)
        duration, used = end[0] - start, end[1]
    else:
        raise UsageError(_UNREADABLE)
    if duration < _SHORTEST:
        raise UsageError(Markup("It must end after it begins."))
    if duration > _LONGEST:
        raise UsageError(Markup("A planned freeze lasts at most 90 days."))
    return timedelta(minutes=duration // _SHORTEST), 1 + used


def _moment(words: Sequence[str], now: datetime, zone: tzinfo) -> tuple[datetime, int]:
    if words and plain(words[0]) == "now":
        return now, 1
    read = read_moment(words, now=now, zone=zone, direction=TimeDirection.FUTURE)
    if read is None:
        raise UsageError(_UNREADABLE)
    if read[0] < now:
        raise UsageError(Markup("That time has passed. Name one that is still to come."))
    return read


def _recurring(words: Sequence[str], now: datetime, zone: tzinfo) -> tuple[datetime, int, str]:
    day = plain(words[0]).removesuffix("s")
    weekday = next((index for index, name in enumerate(WEEKDAYS) if name.startswith(day)), None)
    days: tuple[int, ...]
    if len(day) >= 3 and weekday is not None:
        days = (weekday,)
        rule = f"FREQ=WEEKLY;BYDAY={_CODES[weekday]}"
    elif day == "weekday":
        days = tuple(range(len(_WORKING)))
        rule = f"FREQ=WEEKLY;BYDAY={','.join(_CODES[:5])}"
    elif day == "day":
        days, rule = tuple(range(7)), "FREQ=DAILY"
    else:
        raise UsageError(_UNREADABLE)
    clock = read_clock(words[1:])
    if clock is None:
        raise UsageError(_UNREADABLE)
    today = now.astimezone(zone).date()
    for ahead in range(8):
        at = datetime.combine(today + timedelta(days=ahead), clock[0], tzinfo=zone)
        if at.weekday() in days and at >= now:
            return at, 1 + clock[1], rule
    raise UsageError(_UNREADABLE)


def _between(rule: str) -> timedelta:
    """Return the shortest time between two beginnings, as clocks show them."""
    return timedelta(days=1) if "DAILY" in rule or "," in rule else timedelta(days=7)
