"""Reads severities: `sev2`, `SEV-2`, `sev 2`, `severity 2`, and `2` where only a severity is meant. Pure."""

import re
from collections.abc import Sequence

from bot.incidents.incident import Severity
from bot.slack.typed.words import plain

_SEVERITY = re.compile(r"(?:sev|severity)[-_ ]?[0-9]")
_NUMBERS = {severity.value[-1]: severity for severity in Severity}


def read_severity(words: Sequence[str]) -> tuple[Severity, int] | None:
    """Return the severity with which the words begin, and its number of words; None if with none."""
    typed = typed_severity(words)
    if typed is None:
        return None
    severity = _NUMBERS.get(plain(typed)[-1])
    return (severity, len(typed.split())) if severity else None


def typed_severity(words: Sequence[str]) -> str | None:
    """Return the severity with which the words begin as it is typed, also one that there is not: `sev0`."""
    for used in (1, 2):
        if len(words) >= used and _SEVERITY.fullmatch(" ".join(plain(word) for word in words[:used])):
            return " ".join(words[:used])
    return None


def severity_of_number(word: str) -> Severity | None:
    """Return the severity of `1` to `4`, None for other words."""
    return _NUMBERS.get(plain(word))
