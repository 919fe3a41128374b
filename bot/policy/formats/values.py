"""Values of other tools' documents as the own format writes them: objectives, times, names. Pure."""

import re
import unicodedata
from datetime import timedelta
from typing import Final

from bot.formatting import duration_code
from bot.policy.faults import quoted
from bot.policy.formats.noted_fields import RefusedDocumentError, as_number
from bot.policy.formats.reading import KeyPath, Note, NoteKind

NAME_AT_MOST: Final = 63
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


def objective(text: str, path: KeyPath) -> tuple[int | float | str, list[Note]]:
    """Return a percentage above 0 and below 100 as policies write it, and what is to be said of it.

    Raises `RefusedDocumentError`; 100 is right, but unsupported.
    """
    percent = as_number(text)
    if percent is None:
        raise RefusedDocumentError(f"{quoted(text)} is not a percentage", path)
    if not 0 < percent <= 100:
        raise RefusedDocumentError(f"the objective {quoted(text)} is not between 0 and 100", path)
    if percent == 100:
        raise RefusedDocumentError(NO_BUDGET, path, is_unsupported=True)
    plain = format(percent.normalize(), "f")
    if len(plain.partition(".")[2]) > _MOST_DECIMALS:
        raise RefusedDocumentError(f"the objective {quoted(text)} has more than 15 decimals", path)
    if percent < 1:
        message = f"an objective of {plain}% promises next to nothing; was {plain} of 1 meant?"
        return f"{plain}%", [Note(NoteKind.WARNING, path, message)]
    number = float(plain)
    if number.is_integer():
        return int(number), []
    return (number if str(number) == plain else plain), []


def prometheus_duration(text: str, path: KeyPath) -> timedelta:
    """Return a duration as Prometheus writes it, such as `1d12h`; raises `RefusedDocumentError`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groupdict().values()):
        raise RefusedDocumentError(f"{quoted(text)} is not a duration", path)
    total_ms = sum(int(count) * _UNITS_MS[unit] for unit, count in match.groupdict().items() if count)
    try:
        return timedelta(milliseconds=total_ms)
    except OverflowError:
        raise RefusedDocumentError(f"{quoted(text)} is too long", path) from None


def window(text: str, path: KeyPath) -> tuple[str, list[Note]]:
    """Return an SLO's window as policies write it, and what is to be said of it."""
    length = prometheus_duration(text, path)
    if not _SHORTEST <= length <= _LONGEST:
        raise RefusedDocumentError(f"the window {quoted(text)} is not between 30s and 400d", path)
    code = duration_code(length)
    if length >= _PROBABLY_A_MONTH:
        return code, []
    minutes = f"{quoted(text)} is {code} here, not a month"
    return code, [Note(NoteKind.WARNING, path, f"the window {minutes}; was 30d or 4w meant?")]


def name_of(text: str) -> str:
    """Return a name in the characters that names of policies have; empty if none of it can stand in one."""
    plain = unicodedata.normalize("NFKD", text).lower()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")[:NAME_AT_MOST].rstrip("-")
