"""The timeline entries and audit entries that a change of an incident is recorded by. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.formatting import percent_text
from bot.freezes.hold import GOVERNOR
from bot.incidents.incident import Incident
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.incidents.visibility import ANYBODY, may_see
from bot.store import audit

ALERTMANAGER = "alertmanager"
"""The actor of what alerts do."""

_MACHINES = frozenset({GOVERNOR, ALERTMANAGER})
_AUDITED_FIELDS = (
    "title",
    "severity",
    "status",
    "merged_into",
    "private",
    "cause",
    "postmortem_at",
    "finished_at",
    "snoozed_until",
)


def next_version(incident: Incident, by: str, now: datetime) -> Incident:
    """Return the incident's next version; the first change by a person acknowledges it."""
    acknowledged = incident.acknowledged_at or (None if by in _MACHINES else now)
    return replace(incident, version=incident.version + 1, acknowledged_at=acknowledged)


def timeline_entries(before: Incident, after: Incident, by: str, now: datetime) -> Iterable[TimelineEntry]:
    """Return the timeline's entries for a change."""
    if before.status is not after.status:
        text = f"{before.status} → {after.status}"
        if after.merged_into is not None:
            text = f"merged into incident {after.merged_into}"
        yield TimelineEntry(now, EntryKind.STATUS, text, by)
    if before.severity is not after.severity:
        yield TimelineEntry(now, EntryKind.SEVERITY, f"{before.severity} → {after.severity}", by)
    if before.title != after.title and by not in _MACHINES:
        yield TimelineEntry(now, EntryKind.TITLE, f"renamed from {before.title}", by)
    for text in _services_changed(before, after):
        yield TimelineEntry(now, EntryKind.SERVICE, text, by)
    for role, person in after.roles.items():
        if before.roles.get(role) != person:
            yield TimelineEntry(now, EntryKind.ROLE, f"{role.replace('_', ' of ')}: {person}", by)
    if (before.share, before.is_assumed) != (after.share, after.is_assumed):
        assumed = ", assumed" if after.is_assumed else ""
        share = percent_text(after.share, plain=True)
        yield TimelineEntry(now, EntryKind.IMPACT, f"{share} of requests failed{assumed}", by)
    if (before.finished_at is None) is not (after.finished_at is None):
        text = "postmortem open again" if after.finished_at is None else "postmortem closed"
        yield TimelineEntry(now, EntryKind.STATUS, text, by)


def _services_changed(before: Incident, after: Incident) -> Iterable[str]:
    yield from (f"{service} is affected too" for service in after.services if service not in before.services)
    yield from (f"{service} is not affected" for service in before.services if service not in after.services)


def facts(incident: Incident) -> dict[str, Any]:
    """Return what the audit log shows of an incident; a private one's title is left out."""
    values = {name: getattr(incident, name) for name in _AUDITED_FIELDS}
    shown = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
    if not may_see(incident, ANYBODY):
        shown["title"] = "private"
    return shown | {
        "services": list(incident.services),
        "roles": {role.value: person for role, person in incident.roles.items()},
        "document": sorted(incident.document),
        "impacts": [
            {
                "start": impact.start.isoformat(),
                "end": impact.end.isoformat() if impact.end else None,
                "share": impact.share,
                "service": impact.service,
            }
            for impact in incident.impacts
        ],
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts that differ, as they were and as they became."""
    names = [name for name in after if before[name] != after[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def audit_entry(
    action: str,
    incident: Incident,
    by: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> audit.AuditEntry:
    """Return the audit entry of an action on an incident."""
    subject = f"incident {incident.id}"
    reason = incident.title if may_see(incident, ANYBODY) else "a private incident"
    service = next(iter(incident.services), None)
    return audit.AuditEntry(by, f"incident.{action}", subject, reason, service, before, after)
