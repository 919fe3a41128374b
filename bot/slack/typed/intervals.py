"""Reads a time that has passed, from when to when: `from 14:05 to 14:20`, `since yesterday 9am`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.typed.times import TimeDirection, read_moment, read_moment_after
from bot.slack.typed.words import plain

_FROM_TO = re.compile(r"([0-9:.]{3,5}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{5})-([0-9:.]{3,5})")
_MOST_TIME_WORDS = 5
"""Within so many words a time such as `14:05–14:20` is two: those after it are a reason."""

BEGINNINGS = frozenset({"from", "since"})
_ENDS = frozenset({"to", "until", "till", "til", "-"})


@dataclass(frozen=True, slots=True)
class TypedInterval:
    """From when to when (None: no end was typed), and the words after it."""

    start: datetime
    end: datetime | None
    rest: list[str]


def read_interval(words: Sequence[str], *, now: datetime, zone: tzinfo, form: str) -> TypedInterval:
    """Read `from 14:05 [to 14:20]`, with which the words must begin; `form` is how it is to be written.

    Raises `UsageError`.
    """
    if not words or plain(words[0]) not in BEGINNINGS:
        raise unreadable_time(words, form)
    rest, end = _parted(words[1:]), None
    begin = read_moment(rest, now=now, zone=zone, direction=TimeDirection.PAST)
    if begin is None:
        raise unreadable_time(rest, form)
    start, rest = begin[0], rest[begin[1] :]
    if rest and plain(rest[0]) in _ENDS:
        read = read_moment_after(rest[1:], start=start, now=now, zone=zone)
        if read is None:
            raise unreadable_time(rest[1:], form)
        end, rest = read[0], rest[1 + read[1] :]
        if end < start:
            raise UsageError(Markup("It ends before it begins."))
    return TypedInterval(start, end, rest)


def unreadable_time(words: Sequence[str], form: str) -> UsageError:
    """Return the error that the words are no time."""
    word = code(words[0][:40]) if words else Markup("nothing")
    return UsageError(markup("I cannot read a time in {}. Write {}.", word, form))


def _parted(words: Sequence[str]) -> list[str]:
    """Return the words with `14:05–14:20` as three of them."""
    parted = list[str]()
    for index, word in enumerate(words):
        match = _FROM_TO.fullmatch(plain(word)) if index < _MOST_TIME_WORDS else None
        parted += [match[1], "-", match[2]] if match else [word]
    return parted
