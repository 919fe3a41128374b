"""What an examination of an installation finds: each thing looked at, how it is, and how to mend it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    """How a thing that was looked at is."""

    OK = "ok"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `detail` says how it is, `fix` what to do about a fault."""

    check: str
    subject: str
    state: FindingState
    detail: str
    fix: str = ""


def ok(check: str, subject: str, detail: str = "") -> Finding:
    """Return that all is well."""
    return Finding(check, subject, FindingState.OK, detail)


def fault(check: str, subject: str, detail: str, fix: str) -> Finding:
    """Return what is wrong, and what mends it."""
    return Finding(check, subject, FindingState.FAULT, detail, fix)


def skipped(check: str, subject: str, why: str) -> Finding:
    """Return that something could not or need not be looked at."""
    return Finding(check, subject, FindingState.SKIPPED, why)
