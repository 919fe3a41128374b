"""Values of other tools' documents as the own format writes them: objectives, times, names. Pure."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from bot.formatting import duration_code
from bot.policy.faults import quoted
from bot.policy.formats.document_fields import InvalidFieldError
from bot.policy.formats.reading import KeyPath, Note, NoteKind

_MOST_DECIMALS = 15
_SHORTEST, _LONGEST = timedelta(seconds=30), timedelta(days=400)
_PROBABLY_A_MONTH = timedelta(hours=1)
_UNITS_MS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit}(?![a-z]))?" for unit in _UNITS_MS))
NO_BUDGET = "an objective of 100% leaves no error budget"


class NoBudgetError(InvalidFieldError):
    """An objective of 100 %, which other tools allow."""


def objective(text: str, path: KeyPath) -> tuple[int | float | str, list[Note]]:
    """Return a percentage above 0 and below 100 as policies write it, and what is to be said of it.

    Raises `InvalidFieldError`, and `NoBudgetError` for 100.
    """
    try:
        percent = Decimal(text.strip())
    except InvalidOperation:
        percent = Decimal("NaN")
    if not percent.is_finite():
        raise InvalidFieldError(path, f"{quoted(text)} is not a percentage")
    if not 0 < percent <= 100:
        raise InvalidFieldError(path, f"the objective {quoted(text)} is not between 0 and 100")
    if percent == 100:
        raise NoBudgetError(path, NO_BUDGET)
    plain = format(percent.normalize(), "f")
    if len(plain.partition(".")[2]) > _MOST_DECIMALS:
        raise InvalidFieldError(path, f"the objective {quoted(text)} has more than 15 decimals")
    if percent < 1:
        message = f"an objective of {plain}% promises next to nothing; was {plain} of 1 meant?"
        return f"{plain}%", [Note(NoteKind.WARNING, path, message)]
    number = float(plain)
    if number.is_integer():
        return int(number), []
    return (number if str(number) == plain else plain), []


def prometheus_duration(text: str, path: KeyPath) -> timedelta:
    """Return a duration as Prometheus writes it, such as `1d12h`; raises `InvalidFieldError`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groupdict().values()):
        raise InvalidFieldError(path, f"{quoted(text)} is not a duration")
    total_ms = sum(int(count) * _UNITS_MS[unit] for unit, count in match.groupdict().items() if count)
    try:
        return timedelta(milliseconds=total_ms)
    except OverflowError:
        raise InvalidFieldError(path, f"{quoted(text)} is too long") from None


def window(text: str, path: KeyPath) -> tuple[str, list[Note]]:
    """Return an SLO's window as policies write it, and what is to be said of it."""
    length = prometheus_duration(text, path)
    if not _SHORTEST <= length <= _LONGEST:
        raise InvalidFieldError(path, f"the window {quoted(text)} is not between 30s and 400d")
    code = duration_code(length)
    if length >= _PROBABLY_A_MONTH:
        return code, []
    minutes = f"{quoted(text)} is {code} here, not a month"
    return code, [Note(NoteKind.WARNING, path, f"the window {minutes}; was 30d or 4w meant?")]
