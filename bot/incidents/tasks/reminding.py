"""Reminds people of open incidents, each reminder once in its interval: a task for each incident."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents import reminders
from bot.incidents.planned_tasks import REMINDERS
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.records import incidents as records
from bot.incidents.reminders import Reminder
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.store.tables.incidents import incident_reminders
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule

_LEAST_WAIT: Final = timedelta(seconds=5)
"""How long a reminder waits that nobody can be told yet, as the incident's channel is not there."""


class IncidentReminders(EndsSilently):
    """Enqueues the reminders that are due; that they were sent is stored in the same transaction."""

    kind = REMINDERS
    rule = RetryRule()

    def __init__(
        self, database: Database, snapshots: SnapshotReader, messages: IncidentMessageWriter
    ) -> None:
        self._database = database
        self._snapshots = snapshots
        self._messages = messages

    async def run(self, attempt: TaskAttempt) -> None:
        """Send what is due, and look again when the next one is."""
        id_, now = int(attempt.task.key), attempt.now
        snapshot = await self._snapshots.of(id_)
        async with attempt.completing() as connection:
            incident = await records.read(connection, id_, lock=True)
            updated_at = await records.last_changed(connection, id_)
            sent = await _sent(connection, id_)
            for reminder in reminders.due(incident, updated_at, sent, now):
                if await self._send(connection, snapshot, reminder, now):
                    sent = {**sent, reminder: now}
            next_at = reminders.next_due(incident, updated_at, sent)
            if next_at is not None:
                attempt.repeat(max(next_at, now + _LEAST_WAIT))

    async def _send(
        self, connection: AsyncConnection, snapshot: IncidentSnapshot, reminder: Reminder, now: datetime
    ) -> bool:
        message = self._messages.reminder(snapshot, reminder)
        if message is None:
            return False
        await enqueue(connection, [message], now)
        sent = self._database.insert(incident_reminders).values(
            incident_id=snapshot.incident.id, kind=reminder, sent_at=now
        )
        await connection.execute(
            sent.on_conflict_do_update(index_elements=["incident_id", "kind"], set_={"sent_at": now})
        )
        return True


async def _sent(connection: AsyncConnection, id_: int) -> Mapping[Reminder, datetime]:
    """Return when each reminder of an incident was last sent."""
    rows = incident_reminders.c
    query = select(rows.kind, rows.sent_at).where(rows.incident_id == id_, rows.kind.in_(list(Reminder)))
    return {Reminder(kind): at for kind, at in await connection.execute(query)}
