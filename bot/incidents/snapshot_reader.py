"""Gathers what is shown of an incident: itself, its rooms, its cost, and what happened around it.

The timeline is merged from what people and alerts wrote, from the audit log of its services (holds and
flags), and from their deployments, from an hour before it began.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.deployments import records as deployments
from bot.deployments.deployment import Deployment
from bot.incidents.cost import Costs
from bot.incidents.incident import Incident, Status
from bot.incidents.ports import IncidentSnapshot, RecentFlag, RecentFlags
from bot.incidents.records import actions as action_book
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.timeline import EntryKind, TimelineEntry, merged
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
    """Reads everything about an incident at once."""

    def __init__(
        self, database: Database, costs: Costs, now: Callable[[], datetime], flags: RecentFlags | None = None
    ) -> None:
        self._database = database
        self._flags = flags
        self._costs = costs
        self.now = now

    async def of(self, id_: int) -> IncidentSnapshot:
        """Return what is to be shown of an incident now; raises `UnknownIncident`."""
        now = self.now()
        async with self._database.reading() as connection:
            incident = await records.read(connection, id_)
            rooms = await steps.read_rooms(connection, id_)
            written = await records.read_entries(connection, id_)
            actions = await action_book.read(connection, incident_id=id_)
        around = await self._around(incident, now)
        cost = await self._costs.of(incident, now)
        flags: Sequence[RecentFlag] = ()
        if self._flags is not None and incident.status is not Status.RESOLVED:
            flags = await self._flags(incident.services, incident.started_at - LOOK_BACK)
        return IncidentSnapshot(
            incident,
            rooms,
            now,
            cost,
            merged(written, around),
            actions,
            flags,
            asks_p0=self._costs.is_costly(incident, cost),
            kept=self._costs.kept_until_owned(incident),
        )

    async def list(
        self, *, unresolved: bool = False, service: str | None = None, limit: int | None = None
    ) -> Sequence[IncidentSnapshot]:
        """Return incidents, newest first, without their timelines."""
        now = self.now()
        async with self._database.reading() as connection:
            found = await records.read_many(connection, unresolved=unresolved, service=service, limit=limit)
            rooms = {one.id: await steps.read_rooms(connection, one.id) for one in found}
        return [IncidentSnapshot(one, rooms[one.id], now, await self._costs.of(one, now)) for one in found]

    async def _around(self, incident: Incident, now: datetime) -> Sequence[TimelineEntry]:
        since, until = incident.started_at - LOOK_BACK, incident.resolved_at or now
        found: list[TimelineEntry] = []
        async with self._database.reading() as connection:
            for service in incident.services:
                rows = await audit.read(connection, since=since, service=service, limit=_MOST_ROWS)
                found += [entry for row in rows if row.at <= until and (entry := _entry(row))]
            # These stand at their own time: they may be told late.
            deployed = await deployments.read(connection, incident.services, since, until)
        return [*found, *(_deployed(deployment, services) for deployment, services in deployed)]


def _entry(row: audit.AuditRow) -> TimelineEntry | None:
    deed = row.entry
    kind = _KINDS.get(deed.action.partition(".")[0])
    if kind is None:
        return None
    words = deed.action.replace(".", " ").replace("_", " ")
    return TimelineEntry(
        row.at, kind, f"{deed.subject}: {words} — {deed.reason}", deed.actor, f"audit {row.id}"
    )


def _deployed(deployment: Deployment, services: Sequence[str]) -> TimelineEntry:
    of = ", ".join([*services, *([deployment.origin] if deployment.origin else [])])
    return TimelineEntry(
        deployment.finished_at,
        EntryKind.DEPLOY,
        f"{deployment.subject}: deployment {deployment.state} — {of}",
        deployment.by,
        url=deployment.url or None,
    )
