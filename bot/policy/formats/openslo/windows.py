"""Time windows and other durations of OpenSLO as those of the own format. Pure."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from bot.formatting import duration_code
from bot.policy.formats.noted_fields import NotedFields
from bot.policy.formats.reading import NoteKind

_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "Q": timedelta(days=90),
    "Y": timedelta(days=365),
}
_WORDS: Final = {"Second": "s", "Minute": "m", "Hour": "h", "Day": "d", "Week": "w"} | {
    "Month": "M",
    "Quarter": "Q",
    "Year": "Y",
}
_CALENDAR: Final = {
    (1, "w"): "week",
    (7, "d"): "week",
    (1, "M"): "month",
    (3, "M"): "quarter",
    (1, "Q"): "quarter",
    (12, "M"): "year",
    (4, "Q"): "year",
    (1, "Y"): "year",
}
_MEANT_AS_MONTH: Final = timedelta(hours=1)
_SHORTEST, _LONGEST = timedelta(seconds=30), timedelta(days=400)
_MONTHS_OF: Final = {"month": 1, "quarter": 3, "year": 12}


def shorthand(fields: NotedFields, key: str, *, bare_unit: str = "") -> tuple[int, str] | None:
    """Return the number and unit of a duration such as `28d`; None where it is not there.

    `bare_unit` is the unit of a number that has none. Raises `RefusedDocumentError`.
    """
    value = fields.take(key)
    if value is None:
        return None
    if bare_unit and isinstance(value, int) and not isinstance(value, bool):
        value = f"{value}{bare_unit}"
    match = re.fullmatch(r"([0-9]{1,6})([mhdwMQY])", value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise fields.unlike(key, "a duration such as 28d, 4w or 1M", value)
    return int(match[1]), match[2]


def length_of(count: int, unit: str) -> timedelta:
    """Return how long a duration is: a month 30 days, a quarter 90, a year 365."""
    return count * _UNITS[unit]


def window_of(spec: NotedFields) -> str | dict[str, Any] | None:
    """Return the window of an SLO of any version, None where it names none; raises `RefusedDocumentError`."""
    key = "timeWindow" if spec.value.get("timeWindow") or "timeWindows" not in spec else "timeWindows"
    windows = spec.mappings(key)
    if not windows:
        return None
    if len(windows) > 1:
        raise spec.refusal(key, "the SLO has several time windows, and OpenSLO allows one")
    return _window(windows[0])


def _window(window: NotedFields) -> str | dict[str, Any]:
    count, unit, written = _duration(window)
    calendar = window.mapping("calendar")
    is_rolling = window.flag("isRolling")
    if calendar is not None and calendar.value and not is_rolling:
        return _calendar(window, calendar, count, unit, written)
    if is_rolling is False and "count" not in window:
        raise window.refusal(
            "isRolling", "a window that does not roll needs `calendar`, and this one has none"
        )
    if calendar is not None:
        calendar.ignore("startTime", "timeZone")
        message = "a rolling window begins at no time of the calendar; `calendar` is passed over"
        window.note(NoteKind.OMITTED, "calendar", message)
    return _rolling(window, count, unit, written)


def _duration(window: NotedFields) -> tuple[int, str, str]:
    """Return the number, the unit, and how a window's duration is written; `s` is a unit of v1alpha."""
    if "count" not in window and "unit" not in window:
        found = shorthand(window, "duration")
        if found is None:
            raise window.refusal(None, f"{window.where('duration')} is missing")
        return *found, f"{found[0]}{found[1]}"
    count, word = window.number("count"), window.required_text("unit")
    if count is None or count != int(count) or not 0 < count < 1_000_000:
        raise window.unlike("count", "a whole number above 0", window.value.get("count"))
    unit = _WORDS.get(word.strip().capitalize().removesuffix("s"))
    if unit is None:
        raise window.unlike("unit", f"one of {', '.join(_WORDS)}", word)
    return int(count), unit, f"{int(count)} {word}"


def _rolling(window: NotedFields, count: int, unit: str, written: str) -> str:
    length = count * timedelta(seconds=1) if unit == "s" else length_of(count, unit)
    if not _SHORTEST <= length <= _LONGEST:
        bounds = f"{duration_code(_SHORTEST)} to {duration_code(_LONGEST)}"
        raise window.refusal(None, f"a window of {written}: Governor's are of {bounds}")
    code = duration_code(length)
    if unit in "MQY":
        window.note(NoteKind.CHANGED, None, f"a rolling window of {written} is one of {code}")
    elif length < _MEANT_AS_MONTH:
        message = f"the window is of {code} only; OpenSLO writes minutes as `m` and months as `M`"
        window.note(NoteKind.WARNING, None, message)
    return code


def _calendar(
    window: NotedFields, calendar: NotedFields, count: int, unit: str, written: str
) -> dict[str, Any]:
    if (count, unit) == (1, "m"):
        message = "a calendar window of one minute is taken for one of a month, which OpenSLO writes `1M`"
        window.note(NoteKind.WARNING, "duration", message)
        unit = "M"
    period = _CALENDAR.get((count, unit))
    if period is None:
        message = f"a calendar window of {written}: Governor's are of a week, a month, a quarter or a year"
        raise window.refusal(None, message, is_unsupported=True)
    zone = calendar.text("timeZone")
    start = _start(calendar)
    found: dict[str, Any] = {"calendar": period}
    if start is not None and not _is_usual(period, start):
        found["start"] = start.isoformat(timespec="minutes")
    if zone is not None and zone != "UTC":
        found["timeZone"] = zone
    return found


def _start(calendar: NotedFields) -> datetime | None:
    text = calendar.text("startTime")
    if text is None:
        return None
    try:
        start = datetime.fromisoformat(text.strip())
    except ValueError:
        raise calendar.unlike("startTime", "a time such as 2020-01-21 12:30:00", text) from None
    if start.tzinfo is not None:
        raise calendar.refusal("startTime", f"{calendar.where('startTime')} must be without a time zone")
    if start.second or start.microsecond:
        message = "periods begin with the minute; the seconds are passed over"
        calendar.note(NoteKind.CHANGED, "startTime", message)
        start = start.replace(second=0, microsecond=0)
    return start


def _is_usual(period: str, start: datetime) -> bool:
    """Return whether a period begins where it does anyway: on Monday, or the first, at midnight."""
    if start.hour or start.minute:
        return False
    if period == "week":
        return start.weekday() == 0
    return start.day == 1 and (start.month - 1) % _MONTHS_OF[period] == 0


def slice_length(objective: NotedFields) -> tuple[str, timedelta]:
    """Return how long a slice is, as the own format has them; raises `RefusedDocumentError`."""
    found = shorthand(objective, "timeSliceWindow", bare_unit="m")
    if found is None:
        raise objective.refusal(None, f"{objective.where('timeSliceWindow')} is missing")
    length = length_of(*found)
    hour = timedelta(hours=1)
    if length > hour or hour % length:
        message = f"time slices of {duration_code(length)}: Governor's are a part of an hour without rest"
        raise objective.refusal("timeSliceWindow", message, is_unsupported=True)
    return duration_code(length), length
