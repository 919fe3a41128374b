"""Alerts that open incidents, and close their impact again.

A firing of an alert (its fingerprint and start) belongs to one incident, so repeated notifications and a
pair of Alertmanagers change nothing. New firings of a group join the group's open incident; when none of
its alerts fires any more the impact ends and the incident is mitigated. People resolve it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.incidents.audit_entries import ALERTMANAGER
from bot.incidents.incident import LONGEST_AGO, Incident, IncidentChange, Severity, Status, changed
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.records import incidents as records
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store.database import Database
from bot.store.tables.incidents import incident_alerts, incidents

_SEVERITIES: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    "critical": Severity.SEV2,
    "page": Severity.SEV2,
    "error": Severity.SEV2,
    "warning": Severity.SEV3,
    "ticket": Severity.SEV3,
    "info": Severity.SEV4,
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification. `ended_at` is None while it fires."""

    fingerprint: str
    started_at: datetime
    ended_at: datetime | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the alert is called."""
        return self.labels.get("alertname", "alert")

    @property
    def summary(self) -> str:
        """The alert in a line: its summary, else its name."""
        return self.annotations.get("summary") or self.name


@dataclass(frozen=True, slots=True)
class Notification:
    """What Alertmanager sends: the alerts of one group."""

    group_key: str
    alerts: tuple[Alert, ...]

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.ended_at is None)

    @property
    def group(self) -> str:
        """The group in a few characters."""
        return hashlib.sha256(self.group_key.encode()).hexdigest()[:32]


class AlertReceiver:
    """Turns notifications into incidents; `current` says which services there are."""

    def __init__(self, database: Database, lifecycle: IncidentLifecycle, current: CurrentCatalog) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._current = current

    async def take(self, notification: Notification, now: datetime) -> Sequence[int]:
        """Process a notification in one transaction; return the numbers of its incidents."""
        async with self._database.transaction() as connection:
            ids: dict[int, None] = {}
            new: list[Alert] = []
            for alert in notification.alerts:
                id_ = await _incident_of(connection, alert)
                if id_ is not None:
                    ids[id_] = None
                    await self._note_end(connection, id_, alert, now)
                elif alert.ended_at is None:
                    new.append(alert)
            if new:
                ids[await self._assign(connection, notification, new, now)] = None
            for id_ in ids:
                await self._update_impact(connection, id_, now)
        return list(ids)

    async def _assign(
        self, connection: AsyncConnection, notification: Notification, new: Sequence[Alert], now: datetime
    ) -> int:
        """Assign new firings to the group's open incident, or to a new one; return its number."""
        unresolved = select(incidents.c.id).where(
            incidents.c.alert_group == notification.group, incidents.c.status != Status.RESOLVED
        )
        id_ = (await connection.execute(unresolved.order_by(incidents.c.id).limit(1))).scalar_one_or_none()
        if id_ is None:
            opening = self._opening(notification, new, now)
            id_ = (await self._lifecycle.open_within(connection, opening, now)).incident.id
        for alert in new:
            values = {"fingerprint": alert.fingerprint, "started_at": alert.started_at, "incident_id": id_}
            inserted = self._database.insert(incident_alerts).values(values).on_conflict_do_nothing()
            if (await connection.execute(inserted)).rowcount == 0:
                continue
            text = f"{alert.name} fires: {alert.summary}"
            mark = f"alert {alert.fingerprint} {alert.started_at.isoformat()}"
            await records.add_entry(
                connection, id_, TimelineEntry(alert.started_at, EntryKind.ALERT, text, ALERTMANAGER, mark)
            )
        return int(id_)

    def _opening(self, notification: Notification, new: Sequence[Alert], now: datetime) -> NewIncident:
        first = min(new, key=lambda alert: (alert.started_at, alert.fingerprint))
        services = self._current.catalog.services
        labels = [alert.labels.get("service", "") for alert in notification.firing]
        names = list(dict.fromkeys(alert.name for alert in new))
        title = first.summary if len(names) == 1 else f"{first.summary} and {len(new) - 1} more"
        return NewIncident(
            key=f"{ALERTMANAGER}:{notification.group}:{first.started_at.isoformat()}:{first.fingerprint}",
            title=title,
            severity=min((severity_of(alert) for alert in new), key=lambda severity: severity.value),
            services=tuple(dict.fromkeys(name for name in labels if name in services)),
            by=ALERTMANAGER,
            started_at=min(max(first.started_at, now - LONGEST_AGO), now),
            alert_group=notification.group,
        )

    async def _note_end(self, connection: AsyncConnection, id_: int, alert: Alert, now: datetime) -> None:
        rows = incident_alerts.c
        this = (rows.fingerprint == alert.fingerprint, rows.started_at == alert.started_at)
        if alert.ended_at is None:
            return
        ended = min(alert.ended_at, now)
        over = update(incident_alerts).where(*this, rows.ended_at.is_(None)).values(ended_at=ended)
        if (await connection.execute(over)).rowcount == 1:
            await records.add_entry(
                connection, id_, TimelineEntry(ended, EntryKind.ALERT, f"{alert.name} is over", ALERTMANAGER)
            )

    async def _update_impact(self, connection: AsyncConnection, id_: int, now: datetime) -> None:
        """End the impact when no alert fires any more; start another when one fires again."""
        rows = incident_alerts.c
        query = select(func.count(), func.count(rows.ended_at), func.max(rows.ended_at))
        counts = await connection.execute(query.where(rows.incident_id == id_))
        total, ended, last = counts.one()
        incident = await records.read(connection, id_)
        if total == ended and incident.status.is_active:
            change = IncidentChange(status=Status.MITIGATED, ended_at=_not_before(incident, last, now))
        elif total > ended and incident.status is Status.MITIGATED:
            change = IncidentChange(status=Status.INVESTIGATING)
        else:
            return
        await self._lifecycle.change_within(
            connection, id_, "changed", lambda before: changed(before, change, now), by=ALERTMANAGER, now=now
        )


def severity_of(alert: Alert) -> Severity:
    """Return the severity that the alert's label names; sev3 where it names none that is known."""
    return _SEVERITIES.get(alert.labels.get("severity", "").casefold(), Severity.SEV3)


def _not_before(incident: Incident, end: datetime, now: datetime) -> datetime | None:
    """Return the end of the impact, unless it contradicts what people have stated meanwhile."""
    latest_start = max((impact.start for impact in incident.impacts if impact.end is None), default=None)
    return max(end, latest_start) if latest_start is not None and end <= now else None


async def _incident_of(connection: AsyncConnection, alert: Alert) -> int | None:
    rows = incident_alerts.c
    query = select(rows.incident_id).where(
        rows.fingerprint == alert.fingerprint, rows.started_at == alert.started_at
    )
    id_: int | None = (await connection.execute(query)).scalar_one_or_none()
    return id_
