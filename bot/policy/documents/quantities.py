"""How policies write durations and percentages. What is neither raises `InvalidValueError`."""

import re
from datetime import timedelta
from decimal import Context, Decimal

from bot import durations
from bot.policy.faults import IT, InvalidValueError

PERCENTAGE = r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,15})?\s*%?"

_DURATIONS = "a number with a unit, such as 300ms, 30s, 5m, 4h, 7d, 4w or 1h30m"
_PERCENTAGES = "a percentage, such as 99.9 or 99.9%"
_LONGEST = timedelta(days=36_500)
_FIFTEEN_DIGITS = Context(prec=15)


def parse_duration(value: object) -> timedelta:
    """Read a duration of zero or more."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise InvalidValueError(f"{IT} has no unit", _DURATIONS)
    if not isinstance(value, str) or not re.fullmatch(durations.CANONICAL_FORM, value):
        raise InvalidValueError(f"{IT} is not a duration", _DURATIONS)
    duration = durations.parse_duration(value)
    if duration > _LONGEST:
        raise InvalidValueError(f"{IT} is too long", "at most 100 years")
    return duration


def duration_between(value: object, least: str, most: str) -> timedelta:
    """Read a duration that lies between two others, both included."""
    duration = parse_duration(value)
    if duration < parse_duration(least):
        raise InvalidValueError(f"{IT} is too short", f"{least} to {most}")
    if duration > parse_duration(most):
        raise InvalidValueError(f"{IT} is too long", f"{least} to {most}")
    return duration


def parse_percentage(value: object) -> Decimal:
    """Read a percentage as a fraction: `99.9`, `"99.9"` and `99.9%` are exactly 0.999.

    It has at most fifteen digits, which a database's double precision column keeps.
    """
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if isinstance(value, bool) or not re.fullmatch(PERCENTAGE, text):
        raise InvalidValueError(f"{IT} is not a percentage", _PERCENTAGES)
    return _FIFTEEN_DIGITS.divide(Decimal(text.rstrip("%").rstrip()), Decimal(100))


def parse_objective(value: object) -> Decimal:
    """Read an objective: a share of events strictly between none and all."""
    objective = parse_percentage(value)
    allowed = "strictly between 0 and 100, such as 99.9"
    if objective >= 1:
        why = "an objective of 100% leaves no error budget at all: the first error would freeze for good"
        raise InvalidValueError(why if objective == 1 else f"{IT} is more than 100%", allowed)
    if objective <= 0:
        raise InvalidValueError(f"{IT} promises nothing", allowed)
    if objective < Decimal("0.01") and "%" not in str(value):
        # 0.999 is nearly always meant as a fraction; whoever means it can write the sign.
        hint = "write percent, such as 99.9, not a fraction; if it is meant, add the % sign"
        raise InvalidValueError(f"{IT} reads as less than one percent", hint)
    return objective
