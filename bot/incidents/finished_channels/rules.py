"""When the channels of an incident are archived by themselves. Pure; no clock, no I/O.

    finished, and quiet for `after` less a day ──▶ announced ──▶ a day later ──▶ archived
                 ▲                                     │
                 └──────── a person writes ────────────┘

An incident is finished once it is resolved or cancelled and no postmortem is asked for. Closing a postmortem
archives its channels at once. The channel of a duplicate stays: what is pinned there goes to the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.incidents.incident import Incident, Status

ANNOUNCED_BEFORE = timedelta(days=1)
"""How long before it a channel is told that it will be archived."""


class ArchivingStep(StrEnum):
    """What is to be done about the channels now."""

    WAIT = "wait"
    ANNOUNCE = "announce"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class NextArchivingStep:
    """What is to be done; `at` is when to look again, or for `ANNOUNCE` when they are archived."""

    step: ArchivingStep
    at: datetime


def finished_since(incident: Incident) -> datetime | None:
    """Return since when nothing is to be done for an incident; None while something is, or it was closed."""
    if incident.finished_at is not None:
        return None
    if incident.status is Status.CANCELLED:
        return incident.resolved_at
    if incident.status is Status.RESOLVED and incident.postmortem_at is None:
        return incident.resolved_at
    return None


def may_be_archived(incident: Incident) -> bool:
    """Return whether an incident's channels may be archived: it is finished, or its postmortem closed."""
    return incident.finished_at is not None or finished_since(incident) is not None


def next_archiving_step(
    quiet_since: datetime, announced_at: datetime | None, after: timedelta, now: datetime
) -> NextArchivingStep:
    """Return what to do about channels that were last written in at `quiet_since`, or finished since then.

    `announced_at` is when they were told last; what a person wrote afterwards makes that void.
    """
    due_at = quiet_since + after
    if announced_at is None or announced_at < quiet_since:
        if now < due_at - ANNOUNCED_BEFORE:
            return NextArchivingStep(ArchivingStep.WAIT, due_at - ANNOUNCED_BEFORE)
        return NextArchivingStep(ArchivingStep.ANNOUNCE, max(due_at, now + ANNOUNCED_BEFORE))
    archived_at = max(due_at, announced_at + ANNOUNCED_BEFORE)
    return NextArchivingStep(ArchivingStep.WAIT if now < archived_at else ArchivingStep.ARCHIVE, archived_at)
