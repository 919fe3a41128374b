"""Parsing of the arguments that people type after a command. Pure.

Slack's editors change what is typed: quotes become “smart”, spaces become no-break spaces, mentions arrive
as `<@U123|dana>`. What cannot be read raises `UsageError`, whose message says what to type instead.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from bot.durations import DurationError, parse_duration
from bot.formatting import listed
from bot.slack.blockkit.mrkdwn import Markup, code, join, markup

MOST_REASON = 500
MOST_NAME = 100
LONGEST_HOLD = timedelta(days=366)

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "”": "”", "’": "’"}
_REFERENCE = re.compile(r"<(@|#|!subteam\^)([^<>|]*)(?:\|([^<>]*))?>")
_LINK = re.compile(r"<([a-z]+:[^<>|]*)(?:\|[^<>]*)?>")


class UsageError(Exception):
    """A command cannot be read or carried out as typed; `text` tells the person what to type."""

    def __init__(self, text: Markup) -> None:
        super().__init__(str(text))
        self.text = text


@dataclass(frozen=True, slots=True)
class EndTime:
    """When something ends; `zone` is the time zone in which a typed time was read."""

    at: datetime
    zone: str | None = None


def split(text: str) -> list[str]:
    """Return the words of a command: mentions as names, unusual spaces and control characters as spaces."""
    named = _REFERENCE.sub(_name_of_reference, text)
    linked = _LINK.sub(lambda match: match[1], named)
    plain = linked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return "".join(character if _is_printable(character) else " " for character in plain).split()


def _name_of_reference(match: re.Match[str]) -> str:
    sign = "#" if match[1] == "#" else "@"
    return sign + (match[3] or match[2]).lstrip("@#")


def _is_printable(character: str) -> bool:
    # Joiners hold emoji together; other invisible characters only mislead.
    return character == "\u200d" or unicodedata.category(character) not in {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
        "Zs",
    }


def unquoted(text: str) -> str:
    """Return the text without a pair of quotes around it."""
    text = text.strip()
    if len(text) >= 2 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


def reason(words: Sequence[str]) -> str:
    """Return the words as one reason, unquoted, cut at 500 characters; empty if there are none."""
    text = unquoted(" ".join(words))
    return text if len(text) <= MOST_REASON else text[: MOST_REASON - 1].rstrip() + "…"


def name(word: str) -> str:
    """Return a word as a name: unquoted and cut at 100 characters."""
    return unquoted(word)[:MOST_NAME]


def did_you_mean(names: Sequence[str]) -> Markup:
    """Ask whether one of the names was meant; empty where there is none."""
    codes = Markup(listed([code(name) for name in names], "or"))
    return markup("Did you mean {}?", codes) if codes else codes


def unknown(what: str, word: str, near: Sequence[str], instead: str) -> UsageError:
    """Return the error that a word is not known, with the most similar ones and what lists all."""
    missing = markup("There is no {} {}.", what, code(word[:MOST_NAME]))
    return UsageError(join(" ", [missing, did_you_mean(near), Markup(instead)]))


def read_duration(word: str) -> timedelta | None:
    """Read `90m`, `4h`, `1h30m`, `2d`, `1w`; None where the word is no length of time."""
    try:
        return parse_duration(word)
    except DurationError:
        return None


def read_end(
    words: Sequence[str], *, now: datetime, zone: tzinfo, zone_name: str
) -> tuple[EndTime | None, list[str]]:
    """Read `for 4h` or `until 2026-12-01 09:00` at the beginning; return it and the words that follow.

    Raises `UsageError` for a time that cannot be read, has passed or lies more than a year away.
    """
    if len(words) < 2 or words[0].casefold() not in {"for", "until"}:
        return _no_end(words)
    if words[0].casefold() == "for":
        length = read_duration(words[1])
        if length is None:
            return _no_end(words, has_number=words[1][0].isdigit())
        until, rest = _after(now, length), list(words[2:])
    else:
        local, used = _local_time(words[1:], now.astimezone(zone))
        until, rest = EndTime(_in_utc(local, now), zone_name), list(words[1 + used :])
    if until.at <= now:
        raise UsageError(Markup("That time has passed. Name one that is still to come."))
    if until.at - now > LONGEST_HOLD:
        raise UsageError(Markup("That is more than a year away. Leave the end out instead."))
    return until, rest


def _no_end(words: Sequence[str], *, has_number: bool = False) -> tuple[None, list[str]]:
    """Return no end: `for the release` is a reason. Raises `UsageError` for `for 4x` or a bare `until`."""
    if has_number:
        raise UsageError(
            markup("{} is no length of time. Write `for 90m`, `for 4h` or `for 2d`.", code(words[1][:40]))
        )
    if words and words[0].casefold() == "until":
        raise _unreadable("until")
    return None, list(words)


def _after(now: datetime, length: timedelta) -> EndTime:
    if not length:
        raise UsageError(Markup("That is no time at all. Write `for 90m`, `for 4h` or `for 2d`."))
    return EndTime(now + min(length, 2 * LONGEST_HOLD), None)


def _local_time(words: Sequence[str], local_now: datetime) -> tuple[datetime, int]:
    """Read a day and time, a day (its start) or a time (the next one); return it and its number of words."""
    day = _iso_datetime(words[0])
    clock = _time_of_day(words[1]) if len(words) > 1 else None
    if day is not None:
        day = day if day.tzinfo else day.replace(tzinfo=local_now.tzinfo)
        if clock is not None and "T" not in words[0].upper():
            return day.replace(hour=clock.hour, minute=clock.minute), 2
        return day, 1
    next_time = _time_of_day(words[0])
    if next_time is None:
        raise _unreadable(words[0])
    today = local_now.replace(hour=next_time.hour, minute=next_time.minute, second=0, microsecond=0)
    return (today if today > local_now else today + timedelta(days=1)), 1


def _iso_datetime(word: str) -> datetime | None:
    try:
        return datetime.fromisoformat(word) if len(word) >= 10 else None
    except ValueError:
        return None


def _time_of_day(word: str) -> time | None:
    hours, colon, rest = word.partition(":")
    if not (colon and len(rest) == 2 and (hours + rest).isascii() and (hours + rest).isdigit()):
        return None
    try:
        return time(int(hours), int(rest))
    except ValueError:
        return None


def _in_utc(local: datetime, now: datetime) -> datetime:
    try:
        return local.astimezone(now.tzinfo)
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo)


def _unreadable(word: str) -> UsageError:
    return UsageError(
        markup("I cannot read a time after {}. Write `until 2026-12-01 09:00` or `for 4h`.", code(word[:40]))
    )
