"""The timeline of an incident: entries of several kinds in order of time. Pure; no clock, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EntryKind(StrEnum):
    """Where an entry comes from."""

    OPENED = "opened"
    STATUS = "status"
    TITLE = "title"
    SEVERITY = "severity"
    SERVICE = "service"
    IMPACT = "impact"
    ROLE = "role"
    NOTE = "note"
    PIN = "pin"
    ALERT = "alert"
    FLAG = "flag"
    DEPLOY = "deploy"
    CAUSE = "cause"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened. `by` is a Slack user id, `governor`, a token's name or a monitoring system.

    `mark` identifies its origin (a message, an alert), so that it is added once; it may be None.
    `url` is a page about it, where there is one.
    """

    at: datetime
    kind: EntryKind
    text: str
    by: str
    mark: str | None = None
    url: str | None = None

    @property
    def given(self) -> tuple[str, str] | None:
        """The role and the Slack user id that it was assigned to; None for any other kind of entry."""
        role, _, person = self.text.rpartition(": ")
        return (role, person) if self.kind is EntryKind.ROLE and role else None


def merged(*sources: Iterable[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Return the entries of all sources in order of time, each mark once.

    Entries of the same moment stay in the order of the sources.
    """
    seen: set[str] = set()
    entries: list[TimelineEntry] = []
    for entry in (entry for source in sources for entry in source):
        if entry.mark is None or entry.mark not in seen:
            seen |= {entry.mark} if entry.mark else set()
            entries.append(entry)
    return tuple(sorted(entries, key=lambda entry: entry.at))
