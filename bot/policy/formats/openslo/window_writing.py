"""Windows of the own format as OpenSLO writes them. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from bot.durations import parse_duration

_UNITS: Final = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))
_CALENDAR: Final = {"week": "1w", "month": "1M", "quarter": "1Q", "year": "1Y"}
_USUAL_START: Final = "2024-01-01T00:00"
"""A Monday, and the first day of a month, a quarter and a year."""


def window_written(window: str | Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return an entry of `timeWindow`, and whether it says the window exactly."""
    if isinstance(window, str):
        duration, is_exact = shorthand_of(window)
        return {"duration": duration, "isRolling": True}, is_exact
    start = str(window.get("start", _USUAL_START)).replace("T", " ")
    calendar = {"startTime": f"{start}:00", "timeZone": window.get("timeZone", "UTC")}
    return {"duration": _CALENDAR[window["calendar"]], "isRolling": False, "calendar": calendar}, True


def shorthand_of(text: str) -> tuple[str, bool]:
    """Return a duration in OpenSLO's form, in whole minutes and at least one, and whether it is exact."""
    length = parse_duration(text)
    minute = timedelta(minutes=1)
    whole = max(minute, -(-length // minute) * minute)
    unit, size = next((unit, size) for unit, size in _UNITS if not whole % size)
    return f"{whole // size}{unit}", whole == length
