"""Reads moments in the zone of the person who typed them, in the past or to come. Pure.

A moment is a day and a time in any order, or one of them: `2026-12-01 09:00`, `tomorrow 9am`, `18:00`,
`friday`, `1 dec at noon`, `2026-12-01T09:00Z`. A day alone is its beginning, a time alone the nearest such
time. On the day that clocks go back a time comes twice: to come is the first of them, past the last. A time
that clocks skip is an error. What has two meanings, such as `until 9` or `6/7`, is an error that names both.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum, auto

from dateutil import parser

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.typed.words import plain

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = re.compile(r"([0-9]{1,2})[:.]([0-9]{2})\s?(am|pm)?|([0-9]{1,2})\s?(am|pm)")
_NAMED_TIMES = {"noon": time(12), "midday": time(12), "midnight": time(0)}
_WRITTEN_DAY = re.compile(
    r"(?:[0-9]{1,2}(?:st|nd|rd|th)? [a-z]{3,9}|[a-z]{3,9} [0-9]{1,2}(?:st|nd|rd|th)?)(?: ([0-9]{4}))?"
)
_TWO_MEANINGS = re.compile(r"[0-9]{1,2}[/.][0-9]{1,2}(?:[/.](?:[0-9]{2}){0,2})?")
_HOUR = re.compile(r"[0-9]{1,2}")
_UTC_NAMES = {"utc", "gmt", "z"}
_MOST_WORDS = 8


class TimeDirection(Enum):
    """Whether a moment lies before or after now."""

    PAST = auto()
    FUTURE = auto()


@dataclass(frozen=True, slots=True)
class _Typed:
    """What was typed of a moment, and of how many words it is made."""

    day: date | None
    clock: time | None
    used: int
    zone: tzinfo


def read_moment(
    words: Sequence[str], *, now: datetime, zone: tzinfo, direction: TimeDirection
) -> tuple[datetime, int] | None:
    """Return the moment with which the words begin, in UTC, and its number of words; None if with none.

    A moment in the other direction is returned as it is. Raises `UsageError` where a moment has two meanings
    or does not exist.
    """
    if (fixed := _fixed_moment(words, now, zone)) is not None:
        return fixed, 1
    typed = _read(words, now.astimezone(zone), direction)
    if typed is None:
        return None
    return _moment(typed, now, direction), typed.used


def read_moment_after(
    words: Sequence[str], *, start: datetime, now: datetime, zone: tzinfo
) -> tuple[datetime, int] | None:
    """Return the first such moment at or after `start`, as the end of what began then; `now` is one."""
    if (fixed := _fixed_moment(words, now, zone)) is not None:
        return fixed, 1
    typed = _read(words, now.astimezone(zone), TimeDirection.PAST)
    if typed is None:
        return None
    try:
        first = start.astimezone(typed.zone).date()
        days = [typed.day] if typed.day is not None else [first, first + timedelta(days=1)]
    except OverflowError:
        return None
    for day in days:
        later = [at for at in moments(day, typed.clock or time(), typed.zone) if at >= start]
        if later:
            return later[0], typed.used
    if typed.day is not None and not moments(typed.day, typed.clock or time(), typed.zone):
        raise _skipped(typed.day, typed.clock or time())
    return start - timedelta(seconds=1), typed.used


def read_day(words: Sequence[str], *, today: date, direction: TimeDirection) -> tuple[date, int] | None:
    """Return the day with which the words begin, and its number of words; None if with none."""
    spoken = [plain(word).rstrip(".") for word in words[:5]]
    lead = 1 if spoken[:1] == ["on"] else 0
    spoken = spoken[lead:]
    day = _one_word_day(spoken[0], today, direction) if spoken else None
    if day is not None:
        return day, lead + 1
    for used in (3, 2):
        written = " ".join(spoken[:used])
        if len(spoken) >= used and (day := _written_day(written, today, direction)) is not None:
            return day, lead + used
    return None


def _one_word_day(word: str, today: date, direction: TimeDirection) -> date | None:
    """Read `tomorrow`, `friday` or `2026-12-01`."""
    ahead = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1}.get(word)
    if ahead is None and (weekday := _weekday(word)) is not None:
        is_past = direction is TimeDirection.PAST
        ahead = -((today.weekday() - weekday) % 7) if is_past else (weekday - today.weekday()) % 7 or 7
    return today + timedelta(days=ahead) if ahead is not None else _iso_day(word)


def read_clock(words: Sequence[str]) -> tuple[time, int] | None:
    """Return the time of day with which the words begin, and its number of words; None if with none."""
    spoken = [plain(word) for word in words[:3]]
    if spoken[:1] == ["at"]:
        read = read_clock(words[1:])
        return (read[0], read[1] + 1) if read else None
    if spoken and spoken[0] in _NAMED_TIMES:
        return _NAMED_TIMES[spoken[0]], 1
    for used in (2, 1):
        match = _CLOCK.fullmatch(" ".join(spoken[:used])) if len(spoken) >= used else None
        if match is not None and (clock := _clock_of(match)) is not None:
            return clock, used
    return None


def moments(day: date, clock: time, zone: tzinfo) -> list[datetime]:
    """Return when the clocks of a zone show a time on a day, in UTC: once, twice or never."""
    shown = datetime.combine(day, clock)
    try:
        found = {shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        return sorted(at for at in found if at.astimezone(zone).replace(tzinfo=None) == shown)
    except OverflowError:
        return []


def _read(words: Sequence[str], local_now: datetime, direction: TimeDirection) -> _Typed | None:
    """Read a day and a time in any order, either of them alone, and a time zone's name after them."""
    words = words[:_MOST_WORDS]
    used, zone = 0, local_now.tzinfo or UTC
    day = read_day(words, today=local_now.date(), direction=direction)
    used += day[1] if day else 0
    clock = read_clock(words[used:])
    used += clock[1] if clock else 0
    if day is None and clock is not None:
        day = read_day(words[used:], today=local_now.date(), direction=direction)
        used += day[1] if day else 0
    if clock is not None and used < len(words) and plain(words[used]) in _UTC_NAMES:
        used, zone = used + 1, UTC
    if day is None and clock is None:
        if words:
            _refuse_two_meanings(words[0])
        return None
    if clock is None and used < len(words):
        _refuse_bare_hour(words[used])
    return _Typed(_nearest(day, clock, words, local_now, direction), clock[0] if clock else None, used, zone)


def _nearest(
    day: tuple[date, int] | None,
    clock: tuple[time, int] | None,
    words: Sequence[str],
    local_now: datetime,
    direction: TimeDirection,
) -> date | None:
    """Return the day; of a weekday that is today the one on which the time is yet to come, or has been."""
    if day is None or clock is None:
        return day[0] if day else None
    is_weekday = any(_weekday(plain(word)) is not None for word in words[: day[1] + clock[1] + 1])
    if is_weekday and direction is TimeDirection.FUTURE and day[0] == local_now.date() + timedelta(days=7):
        return local_now.date() if clock[0] > local_now.time() else day[0]
    if (
        is_weekday
        and direction is TimeDirection.PAST
        and day[0] == local_now.date()
        and clock[0] > local_now.time()
    ):
        return day[0] - timedelta(days=7)
    return day[0]


def _moment(typed: _Typed, now: datetime, direction: TimeDirection) -> datetime:
    clock = typed.clock or time()
    day = typed.day
    local = now.astimezone(typed.zone)
    if day is None:
        today = moments(local.date(), clock, typed.zone)
        if direction is TimeDirection.FUTURE:
            is_today = any(at > now for at in today) or (not today and clock > local.time())
            day = local.date() if is_today else local.date() + timedelta(days=1)
        else:
            is_today = any(at <= now for at in today) or (not today and clock <= local.time())
            day = local.date() if is_today else local.date() - timedelta(days=1)
    found = moments(day, clock, typed.zone)
    if not found:
        if typed.clock is None:
            return _beginning(day, typed.zone)
        raise _skipped(day, clock)
    if direction is TimeDirection.FUTURE:
        return next((at for at in found if at > now), found[0])
    return next((at for at in reversed(found) if at <= now), found[0])


def _beginning(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a day whose midnight the clocks skip."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time(), UTC)


def _skipped(day: date, clock: time) -> UsageError:
    text = "There is no {} on {}: clocks go forward then. Write another time."
    return UsageError(markup(text, code(f"{clock:%H:%M}"), day.isoformat()))


def _refuse_two_meanings(word: str) -> None:
    if _TWO_MEANINGS.fullmatch(plain(word)):
        text = "{} is one day in Europe and another in America. Write it as {}."
        raise UsageError(markup(text, code(word[:40]), code("2026-12-01")))
    _refuse_bare_hour(word)


def _refuse_bare_hour(word: str) -> None:
    if not _HOUR.fullmatch(plain(word)) or int(plain(word)) > 23:
        return
    hour = int(plain(word))
    forms = f"{hour:02d}:00", f"{(hour + 12) % 24:02d}:00"
    text = "{} may be {} or {}. Write one of them."
    raise UsageError(markup(text, code(word[:40]), code(forms[0]), code(forms[1])))


def _fixed_moment(words: Sequence[str], now: datetime, zone: tzinfo) -> datetime | None:
    """Read `now`, or a day and a time in one word."""
    if not words:
        return None
    return now if plain(words[0]) == "now" else _iso_moment(words[0], zone)


def _iso_moment(word: str, zone: tzinfo) -> datetime | None:
    """Return `2026-12-01T09:00`, with or without an offset, in UTC."""
    text = plain(word).upper()
    if "T" not in text:
        return None
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if typed.tzinfo is not None:
        return _in_utc(typed)
    found = moments(typed.date(), typed.time(), zone)
    if not found:
        raise _skipped(typed.date(), typed.time())
    return found[0]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def _iso_day(word: str) -> date | None:
    try:
        return date.fromisoformat(word) if len(word) == len("2026-12-01") else None
    except ValueError:
        return None


def _weekday(word: str) -> int | None:
    return next(
        (number for number, name in enumerate(WEEKDAYS) if word in {name, name[:3]}),
        None,
    )


def _written_day(text: str, today: date, direction: TimeDirection) -> date | None:
    match = _WRITTEN_DAY.fullmatch(text)
    if match is None:
        return None
    try:
        day: date = parser.parse(text, default=datetime.combine(today, time()), ignoretz=True).date()
        if match[1] is not None:
            return day
        if direction is TimeDirection.FUTURE and day < today:
            return day.replace(year=day.year + 1)
        if direction is TimeDirection.PAST and day > today:
            return day.replace(year=day.year - 1)
    except (ValueError, OverflowError):
        return None
    return day


def _clock_of(match: re.Match[str]) -> time | None:
    hour, minute, half = int(match[1] or match[4]), int(match[2] or 0), match[3] or match[5]
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return time(hour, minute)
    except ValueError:
        return None
