"""The findings of `governor doctor`: what was checked, its state, and how to fix it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class FindingState(StrEnum):
    """The result of a check."""

    OK = "ok"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of checking one subject. `detail` describes it, `fix` says how to correct a fault."""

    check: str
    subject: str
    state: FindingState
    detail: str
    fix: str = ""


def ok(check: str, subject: str, detail: str = "") -> Finding:
    """Return a finding of a subject that is as it should be."""
    return Finding(check, subject, FindingState.OK, detail)


def fault(check: str, subject: str, detail: str, fix: str) -> Finding:
    """Return a finding of a fault, with its fix."""
    return Finding(check, subject, FindingState.FAULT, detail, fix)


def skipped(check: str, subject: str, reason: str) -> Finding:
    """Return a finding of a subject that could not or need not be checked."""
    return Finding(check, subject, FindingState.SKIPPED, reason)
