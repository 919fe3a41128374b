"""Reads snapshots of incidents: the incident, its channels, its cost and its timeline.

The timeline is merged from the entries of people and alerts, from the audit log of its services (holds and
flags), and from their deployments, from an hour before it began.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.deployments import records as deployments
from bot.deployments.deployment import Deployment
from bot.incidents import audit_view
from bot.incidents.causes.linking import CauseLinks
from bot.incidents.cost import Costs
from bot.incidents.incident import Incident
from bot.incidents.records import actions as action_records
from bot.incidents.records import incidents as records
from bot.incidents.records.channels import read_channels
from bot.incidents.records.hidden import read_hidden
from bot.incidents.snapshot import IncidentSnapshot, RecentFlag, RecentFlags
from bot.incidents.timeline import EntryKind, TimelineEntry, merged
from bot.incidents.visibility import Viewer
from bot.store import audit
from bot.store.database import Database

LOOK_BACK = timedelta(hours=1)
"""How long before an incident a change is worth looking at."""
_MOST_ROWS = 1_000
_KINDS = {
    "flag": EntryKind.FLAG,
    "ramp": EntryKind.FLAG,
    "hold": EntryKind.HOLD,
    "service": EntryKind.HOLD,
    "exemption": EntryKind.HOLD,
}


class SnapshotReader:
    """Reads snapshots; `flags` returns what its services' flags show, None where there are no flags."""

    def __init__(
        self,
        database: Database,
        costs: Costs,
        causes: CauseLinks,
        now: Callable[[], datetime],
        flags: RecentFlags | None = None,
    ) -> None:
        self._database = database
        self._causes = causes
        self._flags = flags
        self._costs = costs
        self.now = now

    async def of(self, id_: int) -> IncidentSnapshot:
        """Return an incident as it is now; raises `UnknownIncidentError`."""
        now = self.now()
        async with self._database.reading() as connection:
            incident = await records.read(connection, id_)
            channels = await read_channels(connection, id_)
            entries = await records.read_entries(connection, id_)
            actions = await action_records.read(connection, incident_id=id_)
            causes = await self._causes.of(connection, incident)
            preceding = await deployments.last_to_production(
                connection, incident.services, incident.started_at
            )
        around = await self._around(incident, now)
        cost = await self._costs.of(incident, now)
        flags: Sequence[RecentFlag] = ()
        if self._flags is not None and not incident.status.is_over:
            flags = await self._flags(incident.services, incident.started_at - LOOK_BACK)
        return IncidentSnapshot(
            incident,
            channels,
            now,
            cost,
            merged(entries, around),
            actions,
            flags,
            max(preceding.values(), key=lambda deployment: deployment.finished_at, default=None),
            asks_p0=self._costs.is_costly(incident, cost),
            held_until_owned=self._costs.held_until_owned(incident),
            causes=causes,
        )

    async def outline(self, id_: int) -> IncidentSnapshot:
        """Return an incident with its channels alone; raises `UnknownIncidentError`."""
        async with self._database.reading() as connection:
            incident = await records.read(connection, id_)
            return IncidentSnapshot(incident, await read_channels(connection, id_), self.now())

    async def list(
        self,
        viewer: Viewer,
        *,
        unresolved: bool = False,
        service: str | None = None,
        limit: int | None = None,
    ) -> Sequence[IncidentSnapshot]:
        """Return the incidents that a viewer may see, newest first, without their timelines."""
        now = self.now()
        async with self._database.reading() as connection:
            hidden = await read_hidden(connection, viewer)
            incidents = await records.read_many(
                connection, unresolved=unresolved, service=service, without=hidden.incidents, limit=limit
            )
            channels = {incident.id: await read_channels(connection, incident.id) for incident in incidents}
            causes = {incident.id: await self._causes.of(connection, incident) for incident in incidents}
        return [
            IncidentSnapshot(
                incident,
                channels[incident.id],
                now,
                await self._costs.of(incident, now),
                causes=causes[incident.id],
            )
            for incident in incidents
        ]

    async def _around(self, incident: Incident, now: datetime) -> Sequence[TimelineEntry]:
        since, until = incident.started_at - LOOK_BACK, incident.resolved_at or now
        entries: list[TimelineEntry] = []
        own_channel = Viewer(here=incident.id)
        async with self._database.reading() as connection:
            for service in incident.services:
                rows = await audit_view.read(
                    connection, own_channel, since=since, service=service, limit=_MOST_ROWS
                )
                entries += [entry for row in rows if row.at <= until and (entry := _entry(row))]
            # Deployments may be recorded late, so they are read by the time of their end.
            deployed = await deployments.read(connection, incident.services, since, until)
        return [*entries, *(_deployed(deployment, services) for deployment, services in deployed)]


def _entry(row: audit.AuditRow) -> TimelineEntry | None:
    audited = row.entry
    kind = _KINDS.get(audited.action.partition(".")[0])
    if kind is None:
        return None
    action = audited.action.replace(".", " ").replace("_", " ")
    text = " — ".join(part for part in (f"{audited.subject}: {action}", audited.reason) if part)
    return TimelineEntry(row.at, kind, text, audited.actor, f"audit {row.id}")


def _deployed(deployment: Deployment, services: Sequence[str]) -> TimelineEntry:
    details = ", ".join([*services, *([deployment.origin] if deployment.origin else [])])
    return TimelineEntry(
        deployment.finished_at,
        EntryKind.DEPLOY,
        f"{deployment.subject}: deployment {deployment.state} — {details}",
        deployment.by,
        url=deployment.url or None,
    )
