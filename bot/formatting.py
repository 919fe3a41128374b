"""Numbers, durations and windows in words, as people read them. Pure; never NaN, infinity or None."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from bot.catalog.window import CalendarWindow, RollingWindow, Window

UNKNOWN = "unknown"
_NBSP = "\u00a0"
_MINUS = "\u2212"
_MOST = 999_999.0
_BARS = "▁▂▃▄▅▆▇█"
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def percent(fraction: float | None) -> str:
    """Return a fraction as `−99.8 %`. Only a whole budget reads 100 %, only an exact nothing 0 %."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    value = fraction * 100
    if 0 < value < 0.05:
        return f"under 0.1{_NBSP}%"
    if -0.05 < value < 0:
        return f"just below 0{_NBSP}%"
    if 99.95 <= value < 100:
        value = 99.9
    return f"{_number(value)}{_NBSP}%"


def share(fraction: float) -> str:
    """Return a threshold or objective as short as it can be: `10 %`, `99.95 %`."""
    return f"{_signed(f'{fraction * 100:.6g}')}{_NBSP}%"


def _number(value: float, digits: int = 1) -> str:
    if abs(value) > _MOST:
        return f"under {_MINUS}{_MOST:,.0f}" if value < 0 else f"over {_MOST:,.0f}"
    return _signed(f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.{digits}f}")


def _signed(number: str) -> str:
    text = number.replace("-", _MINUS)
    return text.removeprefix(_MINUS) if not text.strip(f"{_MINUS}0.") else text


def burn(rate: float | None) -> str:
    """Return a burn rate as `14.4×`."""
    if rate is None or not math.isfinite(rate):
        return UNKNOWN
    return f"{_number(rate, 0 if abs(rate) >= 100 else 1)}×"


def events(count: float | None) -> str:
    """Return a number of events, with fractions only where they show: `1,234 events`."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    digits = 1 if abs(count) < 10 and abs(count - round(count)) >= 0.05 else 0
    text = _signed(f"{count:,.{digits}f}") if abs(count) < 1e15 else "countless"
    return f"{text}{_NBSP}{'event' if text == '1' else 'events'}"


def minutes(value: float | None) -> str:
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
    return sign + duration(timedelta(minutes=round(abs(value))))


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: `1 h 12 min`, `30 d`."""
    left = max(0, round(length.total_seconds()))
    parts: list[str] = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count:,}{_NBSP}{unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or f"0{_NBSP}s"


def from_now(at: datetime, now: datetime) -> str:
    """Return how far off a time is: `in 3 h`, `now`, `2 d ago`."""
    apart = at - now
    if abs(apart) < timedelta(minutes=1):
        return "now"
    whole_minutes = timedelta(minutes=round(abs(apart) / timedelta(minutes=1)))
    return f"in {duration(whole_minutes)}" if apart > timedelta() else f"{duration(whole_minutes)} ago"


def window(of: Window) -> str:
    """Return what an SLO is judged over: `30 d`, `this month`."""
    match of:
        case RollingWindow(length):
            return duration(length)
        case CalendarWindow(unit):
            return f"this {unit}"
        case _:
            assert_never(of)


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
