"""Reads lengths of time: `90m`, `1h30m`, `2 hours`, `an hour`. Pure."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from bot.durations import DurationError, parse_duration
from bot.slack.typed.words import plain

_MOST_WORDS = 6
_ARTICLES = {"a", "an"}
_UNIT = re.compile(r"(?<![a-z])(mo|[a-z])")
_SIGNED = re.compile(r"[-+]?[0-9]")


def read_length(words: Sequence[str]) -> tuple[timedelta, int] | None:
    """Return the length of time with which the words begin, and of how many it is made; None if with none."""
    spoken = [plain(word) for word in words[:_MOST_WORDS]]
    if len(spoken) > 1 and spoken[0] in _ARTICLES:
        spoken[0] = "1"
    for used in range(len(spoken), 0, -1):
        text = " ".join(spoken[:used])
        units = _UNIT.findall(text)
        with suppress(DurationError):
            length = parse_duration(text)
            # `30d 7d` is two lengths, `2d 4h` is one.
            if used == 1 or len(set(units)) == len(units):
                return length, used
    return None


def is_number(word: str) -> bool:
    """Return whether a word begins as a number does, so that it was meant as one."""
    return _SIGNED.match(plain(word)) is not None
