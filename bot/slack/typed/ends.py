"""Reads when something ends, with the reason around it: `for 4h REASON`, `REASON until friday 18:00`. Pure.

An end stands before the reason or after it. A length or an end within the reason is asked about; a reason
in quotes is taken as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from bot.slack.arguments import QUOTES, UsageError
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.lengths import is_number, read_length
from bot.slack.typed.times import TimeDirection, read_moment
from bot.slack.typed.words import plain

LONGEST = timedelta(days=366)
_FOR = {"for", "during"}
_UNTIL = {"until", "till", "til", "'til"}
_MOST_SHOWN = 40


def names_a_time(words: Sequence[str]) -> bool:
    """Return whether the words may name a time of day or a day, so that the person's zone matters."""
    return any(plain(word) in _UNTIL for word in words)


@dataclass(frozen=True, slots=True)
class EndTime:
    """When something ends; `zone` is the time zone in which a typed time was read."""

    at: datetime
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class EndReader:
    """Reads ends at a moment, in the zone of whoever types."""

    now: datetime
    zone: tzinfo
    zone_name: str

    def read(self, words: Sequence[str]) -> tuple[EndTime | None, list[str]]:
        """Return the end, None if there is none, and the other words.

        Raises `UsageError` for a time that cannot be read, has passed or lies more than a year away, and
        for a length of time that may belong to the reason.
        """
        if not words or is_quoted(words):
            return None, list(words)
        if (leading := self._leading(words)) is not None:
            end, used = leading
            rest = list(words[used:])
        elif (trailing := self._trailing(words)) is not None:
            end, start = trailing
            rest = list(words[:start])
        else:
            end, rest = None, list(words)
        if not is_quoted(rest):
            self._ask_about(rest, end)
        return end, rest

    def _leading(self, words: Sequence[str]) -> tuple[EndTime, int] | None:
        """Read `for 4h`, `until 18:00` or `4h` at the beginning."""
        first = plain(words[0])
        if first in _FOR | _UNTIL:
            read = self._end(words)
            if read is None and (first in _UNTIL or (len(words) > 1 and is_number(words[1]))):
                raise _unreadable(words)
            return read
        length = read_length(words)
        if length is not None:
            return self._after(length[0]), length[1]
        if is_number(words[0]) and plain(words[0]).startswith("-"):
            raise UsageError(Markup("That time has passed. Name one that is still to come."))
        return None

    def _trailing(self, words: Sequence[str]) -> tuple[EndTime, int] | None:
        """Read `for 4h` or `until 18:00` at the end; return it and where it begins."""
        for start in range(1, len(words) - 1):
            if plain(words[start]) in _FOR | _UNTIL:
                read = self._end(words[start:])
                if read is not None and start + read[1] == len(words):
                    return read[0], start
        return None

    def _end(self, words: Sequence[str]) -> tuple[EndTime, int] | None:
        """Read `for 4h` or `until 18:00`; None where what follows is neither."""
        if plain(words[0]) in _FOR:
            length = read_length(words[1:])
            return (self._after(length[0]), 1 + length[1]) if length else None
        moment = read_moment(words[1:], now=self.now, zone=self.zone, direction=TimeDirection.FUTURE)
        if moment is None:
            return None
        return self._checked(EndTime(moment[0], self.zone_name)), 1 + moment[1]

    def _after(self, length: timedelta) -> EndTime:
        if not length:
            raise UsageError(
                Markup("The length must be more than nothing. Write `for 90m`, `for 4h` or `for 2d`.")
            )
        return self._checked(EndTime(self.now + min(length, 2 * LONGEST)))

    def _checked(self, end: EndTime) -> EndTime:
        if end.at <= self.now:
            raise UsageError(Markup("That time has passed. Name one that is still to come."))
        if end.at - self.now > LONGEST:
            raise UsageError(Markup("That is more than a year away. Leave the end out instead."))
        return end

    def _ask_about(self, reason: Sequence[str], end: EndTime | None) -> None:
        """Raise `UsageError` where a reason holds what may be an end, or a second one."""
        for start in range(len(reason)):
            word = plain(reason[start])
            if word in _FOR | _UNTIL:
                read = self._end(reason[start:])
                used = 0 if read is None else read[1]
            elif start == len(reason) - 1 and end is None:
                length = read_length(reason[start:])
                used = 0 if length is None else length[1]
            else:
                used = 0
            if used:
                typed = " ".join(reason[start : start + used])
                text = "Does it end {}? Write that first, or put the reason in quotes: {}."
                first = typed if word in _FOR | _UNTIL else f"for {typed}"
                rest = " ".join([*reason[:start], *reason[start + used :]])
                example = f"{first} {rest}".strip()[: 2 * _MOST_SHOWN]
                raise UsageError(markup(text, code(first[:_MOST_SHOWN]), code(example)))


def is_quoted(words: Sequence[str]) -> bool:
    """Return whether all the words are one text in quotes."""
    return bool(words) and QUOTES.get(words[0][0]) == words[-1][-1] and (len(words) > 1 or len(words[0]) > 1)


def _unreadable(words: Sequence[str]) -> UsageError:
    shown = code(" ".join(words[:2])[:_MOST_SHOWN])
    return UsageError(
        markup(
            "I cannot read a time in {}. Write {} or {}.",
            shown,
            code("for 4h"),
            code("until 2026-12-01 09:00"),
        )
    )
