"""How people type durations, wherever they do: in policies, after a command, on the command line. Pure.

A duration is one or more numbers, each with its unit: `30s`, `5m`, `4h`, `7d`, `4w`, `1h30m`, `1.5 hours`.
Case and order do not matter. Callers set their own bounds and say in their own words what to type instead.
`duration_code` of `bot.formatting` writes what is read here.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

LONGEST = timedelta(days=100_000)
"""Longer durations are read as this one, so that a sum with a date of today does not overflow."""

CANONICAL_FORM = "(?=.)" + "".join(
    rf"(?:[0-9]+(?:\.[0-9]+)?{unit})?" for unit in ("w", "d", "h", "m", "s", "ms")
)
"""The form in which policies are written: short units from large to small, each at most once."""

_SECONDS: Mapping[str, Decimal] = {
    spelling: Decimal(seconds)
    for spellings, seconds in (
        ("ms msec msecs millis millisecond milliseconds", "0.001"),
        ("s sec secs second seconds", "1"),
        ("m min mins minute minutes", "60"),
        ("h hr hrs hour hours", "3600"),
        ("d day days", "86400"),
        ("w wk wks week weeks", "604800"),
        ("mo mos mth mths month months", "2592000"),
        ("y yr yrs year years", "31536000"),
    )
    for spelling in spellings.split()
}
_PART = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]+)"
_DURATION = re.compile(rf"{_PART}(?:[\s,/]*{_PART})*")


class DurationError(ValueError):
    """The text is no duration."""


@lru_cache
def parse_duration(text: str) -> timedelta:
    """Return the duration that a text names, from zero to `LONGEST`, to the microsecond.

    A month is 30 days and a year 365. Raises `DurationError`, also where a unit is missing.
    """
    if not _DURATION.fullmatch(text):
        raise DurationError("a duration is numbers with units, such as 30s, 5m, 4h, 7d, 4w or 1h30m")
    longest = Decimal(LONGEST // timedelta(seconds=1))
    seconds = Decimal(0)
    for count, unit in re.findall(_PART, text):
        if unit.lower() not in _SECONDS:
            raise DurationError(f"{unit} is not a unit of time: use ms, s, m, h, d or w")
        seconds += min(Decimal(count), longest * 1_000) * _SECONDS[unit.lower()]
    return timedelta(microseconds=round(min(seconds, longest) * 1_000_000))
