"""Numbers, percentages and durations as people read them. Pure; never NaN, infinity or None."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

UNKNOWN = "unknown"
_NBSP = "\u00a0"
_MINUS = "\u2212"
_MOST = 999_999.0
_BARS = "▁▂▃▄▅▆▇█"
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_CODES = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def budget_text(fraction: float | Decimal | None, *, plain: bool = False) -> str:
    """Return the part of an error budget that is left or spent: `−99.8%`.

    Only a whole budget reads 100%, only an exact nothing 0%. `plain` writes an ASCII minus.
    """
    text = _budget_text(fraction)
    return text.replace(_MINUS, "-") if plain else text


def _budget_text(fraction: float | Decimal | None) -> str:
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    value = float(fraction * 100)
    if 0 < value < 0.05:
        return "under 0.1%"
    if -0.05 < value < 0:
        return "just below 0%"
    if 99.95 <= value < 100:
        value = 99.9
    return f"{_number(value)}%"


def percent_text(fraction: float | Decimal, *, digits: int | None = None, plain: bool = False) -> str:
    """Return a fraction as short as it can be, or with so many decimals: `10%`, `99.95%`, `10.0%`.

    `plain` writes ordinary spaces and an ASCII minus, for the audit log, Markdown and the command line.
    """
    percent = float(fraction * 100)
    number = f"{percent:.6g}" if digits is None else f"{percent:.{digits}f}"
    signed = _signed(number)
    return f"{signed.replace(_MINUS, '-') if plain else signed}%"


def _number(value: float, digits: int = 1) -> str:
    if abs(value) > _MOST:
        return f"under {_MINUS}{_MOST:,.0f}" if value < 0 else f"over {_MOST:,.0f}"
    return _signed(f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.{digits}f}")


def _signed(number: str) -> str:
    text = number.replace("-", _MINUS)
    return text.removeprefix(_MINUS) if not text.strip(f"{_MINUS}0.") else text


def burn_rate_text(rate: float | Decimal | None) -> str:
    """Return a burn rate as `14.4×`."""
    if rate is None or not math.isfinite(rate):
        return UNKNOWN
    factor = float(rate)
    return f"{_number(factor, 0 if abs(factor) >= 100 else 1)}×"


def event_count_text(count: float | None) -> str:
    """Return a number of events, with fractions only where they show: `1,234 events`."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    digits = 1 if abs(count) < 10 and abs(count - round(count)) >= 0.05 else 0
    text = _signed(f"{count:,.{digits}f}") if abs(count) < 1e15 else "countless"
    return f"{text}{_NBSP}{'event' if text == '1' else 'events'}"


def minutes_text(value: float | None) -> str:
    """Return minutes as `10.1 min` or, from an hour on, `1 h 12 min`; seconds below one minute."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) < 1:
        return _signed(f"{value * 60:.0f}") + f"{_NBSP}s"
    if abs(value) < 60:
        return _signed(f"{value:.1f}") + f"{_NBSP}min"
    if abs(value) > 1e9:
        return _number(value) + f"{_NBSP}min"
    sign = _MINUS if value < 0 else ""
    return sign + duration_text(timedelta(minutes=round(abs(value))))


def duration_text(length: timedelta, *, largest: str = "d", plain: bool = False) -> str:
    """Return a length of time in its two largest units, `largest` at most: `1 h 12 min`, `30 d`.

    `plain` writes ordinary spaces and no commas, for the audit log, Markdown and the command line.
    """
    left = max(0, round(length.total_seconds()))
    space = " " if plain else _NBSP
    units = [unit for unit, _ in _UNITS]
    parts: list[str] = []
    for unit, seconds in _UNITS[units.index(largest) :]:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count}{space}{unit}" if plain else f"{count:,}{space}{unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or f"0{space}s"


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: `1 service`, `2 services`; `several` where the plural is irregular."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def duration_words(length: timedelta) -> str:
    """Return a length of time in whole minutes, else in seconds, in full words: `5 minutes`, `90 seconds`."""
    seconds = round(length.total_seconds())
    count, unit = (seconds, "second") if seconds % 60 else (seconds // 60, "minute")
    return counted(count, unit)


def duration_code(length: timedelta) -> str:
    """Return a length of time as policies write it, in the largest unit that divides it: `30d`, `90m`."""
    for unit, seconds in _CODES:
        count, rest = divmod(length, timedelta(seconds=seconds))
        if count and not rest:
            return f"{count}{unit}"
    milliseconds = length // timedelta(milliseconds=1)
    return f"{milliseconds}ms" if milliseconds else "0s"


def from_now_text(at: datetime, now: datetime) -> str:
    """Return how far off a time is: `in 3 h`, `now`, `2 d ago`."""
    apart = at - now
    if abs(apart) < timedelta(minutes=1):
        return "now"
    whole_minutes = timedelta(minutes=round(abs(apart) / timedelta(minutes=1)))
    far = duration_text(whole_minutes)
    return f"in {far}" if apart > timedelta() else f"{far} ago"


def interval_text(first: str, last: str) -> str:
    """Return two lengths of time as an interval: `15 to 30 min`, `20 h to 9 d`."""
    (number, *unit), (_, *last_unit) = first.split(_NBSP), last.split(_NBSP)
    return f"{number} to {last}" if unit == last_unit and len(unit) == 1 else f"{first} to {last}"


def listed(items: Sequence[str], conjunction: str = "and") -> str:
    """Return `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


def sparkline(fractions: Sequence[float]) -> str:
    """Draw fractions between nothing and all as a row of bars; what is overspent lies on the floor."""
    top = len(_BARS) - 1
    return "".join(
        _BARS[round(min(1.0, max(0.0, fraction)) * top)] for fraction in fractions if math.isfinite(fraction)
    )
