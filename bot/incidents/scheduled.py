"""Scheduled tasks of incidents: reminders, owners of actions, and postmortems of costly incidents."""

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.incidents import reminders
from bot.incidents.cost import Costs
from bot.incidents.incident import Incident, Status
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.records import actions as action_records
from bot.incidents.records import incidents as records
from bot.incidents.reminders import Reminder
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.outbox import enqueue
from bot.store.tables.incidents import incident_reminders

log = structlog.get_logger(__name__)

_MOST_RECENT = 50
CHECKED_FOR = timedelta(days=1)
"""How long after its end an incident's cost is checked, as counts come in late."""


class ScheduledTasks:
    """Each `tick` enqueues what is due, once; that it was sent is stored in the same transaction."""

    def __init__(
        self,
        *,
        database: Database,
        lifecycle: IncidentLifecycle,
        costs: Costs,
        snapshots: SnapshotReader,
        messages: IncidentMessageWriter,
        clock: Clock,
    ) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._costs = costs
        self._snapshots = snapshots
        self._messages = messages
        self._clock = clock
        self._failures = ItemFailures("scheduled_task_failed")

    async def tick(self) -> None:
        """Enqueue what is due now; a task that fails delays none of the others."""
        now = self._clock.now()
        async with self._database.reading() as connection:
            unresolved = await records.read_many(connection, unresolved=True)
            recent = await records.read_many(connection, limit=_MOST_RECENT)
        for incident in unresolved:
            with self._failures.isolate(f"reminders of incident {incident.id}") as is_due:
                if is_due:
                    await self._remind(incident, now)
        for incident in recent:
            with self._failures.isolate(f"cost of incident {incident.id}") as is_due:
                if is_due:
                    await self._request_if_costly(incident, now)
        with self._failures.isolate("owners of actions") as is_due:
            if is_due:
                await self._remind_owners(now)

    async def _request_if_costly(self, incident: Incident, now: datetime) -> None:
        """Open the postmortem of an incident that is resolved and was costly."""
        resolved = incident.resolved_at
        if incident.status is not Status.RESOLVED or incident.postmortem_at is not None or resolved is None:
            return
        if now - resolved <= CHECKED_FOR and await self._costs.calls_for_postmortem(incident, now):
            log.info("postmortem_due", incident=incident.id)
            await self._lifecycle.request_postmortem(incident.id, by=GOVERNOR, now=now)

    async def _remind(self, incident: Incident, now: datetime) -> None:
        async with self._database.reading() as connection:
            if not await self._due(connection, incident, now):
                return
        snapshot = await self._snapshots.of(incident.id)
        async with self._database.transaction() as connection:
            current = await records.read(connection, incident.id, lock=True)
            for reminder in await self._due(connection, current, now):
                await self._send(connection, snapshot, reminder, now)

    async def _due(self, connection: AsyncConnection, incident: Incident, now: datetime) -> list[Reminder]:
        rows = incident_reminders.c
        query = select(rows.kind, rows.sent_at).where(
            rows.incident_id == incident.id, rows.kind.in_(list(Reminder))
        )
        sent = {Reminder(kind): at for kind, at in await connection.execute(query)}
        updated_at = await records.last_changed(connection, incident.id)
        return list(reminders.due(incident, updated_at, sent, now))

    async def _send(
        self, connection: AsyncConnection, snapshot: IncidentSnapshot, reminder: Reminder, now: datetime
    ) -> None:
        message = self._messages.reminder(snapshot, reminder)
        if message is None:
            return
        await enqueue(connection, [message], now)
        sent = self._database.insert(incident_reminders).values(
            incident_id=snapshot.incident.id, kind=reminder, sent_at=now
        )
        await connection.execute(
            sent.on_conflict_do_update(index_elements=["incident_id", "kind"], set_={"sent_at": now})
        )

    async def _remind_owners(self, now: datetime) -> None:
        today = now.astimezone(UTC).date()
        async with self._database.reading() as connection:
            if not await action_records.any_overdue(connection, today):
                return
        async with self._database.transaction() as connection:
            due = await action_records.claim_overdue(connection, today, now)
            await enqueue(connection, [self._messages.action_due(action) for action in due], now)
