"""Archives the channels of finished incidents by themselves, announced a day before, each once.

What was told and planned is stored with the message or the steps in one transaction, under the incident's
lock, so that neither a restart nor a second replica repeats it. Slack is asked only when something is due.
"""

import itertools
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.incidents.finished_channels.rules import (
    ANNOUNCED_BEFORE,
    ArchivingStep,
    finished_since,
    next_archiving_step,
)
from bot.incidents.incident import Incident, Status
from bot.incidents.ports import IncidentChannelPort, IncidentMessageWriter
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.records.channels import ChannelKind, IncidentChannel, change_channel, read_channels
from bot.store.addresses import local
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.outbox import enqueue
from bot.store.tables.incidents import incident_reminders, incident_rooms, incidents

log = structlog.get_logger(__name__)

_MOST_AT_ONCE = 5
"""About how many incidents Slack is asked in one tick."""
_UNCONCERNED = timedelta(minutes=1)
"""How long an incident is left out whose channels stay for now."""


class ArchivingRecord(StrEnum):
    """What is stored of it, beside the reminders."""

    ANNOUNCED = "archiving_announced"
    PLANNED = "archiving_planned"


class ScheduledArchiving:
    """Each `tick` announces what is archived in a day, and plans the steps for what is due."""

    def __init__(
        self,
        *,
        database: Database,
        channels: IncidentChannelPort,
        messages: IncidentMessageWriter,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._channels = channels
        self._messages = messages
        self._current = current
        self._clock = clock
        self._failures = ItemFailures("scheduled_archiving_failed")
        # When Slack is asked again about an incident's channels, which is lost with the process.
        self._look_at: dict[int, datetime] = {}

    async def tick(self) -> None:
        """Announce and plan what is due; an incident that fails delays none of the others."""
        now = self._clock.now()
        main = self._current.workspace
        waits = [each.archive_incidents_after for each in (main, *main.further)]
        if not any(waits):
            return
        shortest = min(wait for wait in waits if wait)
        finished = await self._finished(now - shortest + ANNOUNCED_BEFORE)
        self._look_at = {id_: self._look_at[id_] for id_ in finished if id_ in self._look_at}
        due = [id_ for id_ in finished if self._look_at.get(id_, now) <= now]
        for id_ in itertools.islice(filter(self._failures.is_due, due), _MOST_AT_ONCE):
            with self._failures.isolate(id_) as is_due:
                if is_due:
                    await self._look(id_, now)

    async def _finished(self, before: datetime) -> Sequence[int]:
        """Return the incidents that were over before a time and whose channels are open, oldest first."""
        columns, rooms, reminders = incidents.c, incident_rooms.c, incident_reminders.c
        is_open = select(rooms.incident_id).where(rooms.channel_id.is_not(None), rooms.archived_at.is_(None))
        planned = select(reminders.incident_id).where(
            reminders.incident_id == columns.id,
            reminders.kind == ArchivingRecord.PLANNED,
            reminders.sent_at >= columns.resolved_at,
        )
        query = select(columns.id).where(
            columns.status.in_([Status.RESOLVED, Status.CANCELLED]),
            columns.finished_at.is_(None),
            columns.resolved_at <= before,
            columns.id.in_(is_open),
            ~planned.exists(),
        )
        async with self._database.reading() as connection:
            return list(await connection.scalars(query.order_by(columns.resolved_at)))

    async def _look(self, id_: int, now: datetime) -> None:
        """See to an incident's channels if their workspace archives them and it is time."""
        async with self._database.reading() as connection:
            incident = await records.read(connection, id_)
        workspace = self._current.workspace.of(next(iter(incident.services), None))
        after, since = workspace.archive_incidents_after, finished_since(incident)
        if after is None or since is None:
            self._look_at[id_] = now + _UNCONCERNED
        elif now < since + after - ANNOUNCED_BEFORE:
            self._look_at[id_] = since + after - ANNOUNCED_BEFORE
        else:
            await self._attend(incident, since, after, now)

    async def _attend(self, incident: Incident, since: datetime, after: timedelta, now: datetime) -> None:
        """Take the next step for the channels of an incident that is finished since a time."""
        async with self._database.reading() as connection:
            known = _open_channels(await read_channels(connection, incident.id))
        uses = {id_: await self._channels.use(id_, since) for id_ in known}
        named = _named_channels(self._current.catalog)
        if any(named & {local(id_), f"#{use.name}"} for id_, use in uses.items()):
            self._look_at[incident.id] = now + _UNCONCERNED
            return
        written = [use.last_written_at for use in uses.values() if use.last_written_at is not None]
        quiet_since = max([since, *(min(at, now) for at in written)])
        async with self._database.transaction() as connection:
            current = await records.read(connection, incident.id, lock=True)
            recorded = await self._recorded(connection, incident.id)
            planned_at = recorded.get(ArchivingRecord.PLANNED)
            if finished_since(current) != since or (planned_at is not None and planned_at >= since):
                return
            for id_, channel in known.items():
                if uses[id_].is_archived:
                    # People archived it: it stays so, and nothing is said there.
                    await change_channel(connection, channel, archived_at=now)
                    log.info("channel_archived_by_people", incident=incident.id, kind=channel.kind.value)
            channels = _open_channels(await read_channels(connection, incident.id)).values()
            announced_at = recorded.get(ArchivingRecord.ANNOUNCED)
            following = next_archiving_step(quiet_since, announced_at, after, now)
            if following.step is ArchivingStep.ANNOUNCE:
                told = [self._messages.archived_soon(channel, following.at, after) for channel in channels]
                await enqueue(connection, told, now)
                await self._record(connection, incident.id, ArchivingRecord.ANNOUNCED, now)
            elif following.step is ArchivingStep.ARCHIVE:
                for channel in channels:
                    await steps.close_channel(connection, channel)
                await self._record(connection, incident.id, ArchivingRecord.PLANNED, now)
        self._look_at[incident.id] = following.at

    async def _recorded(self, connection: AsyncConnection, id_: int) -> Mapping[ArchivingRecord, datetime]:
        rows = incident_reminders.c
        is_it = rows.kind.in_(list(ArchivingRecord))
        query = select(rows.kind, rows.sent_at).where(rows.incident_id == id_, is_it)
        return {ArchivingRecord(kind): at for kind, at in await connection.execute(query)}

    async def _record(
        self, connection: AsyncConnection, id_: int, kind: ArchivingRecord, now: datetime
    ) -> None:
        insert = self._database.insert(incident_reminders).values(incident_id=id_, kind=kind, sent_at=now)
        await connection.execute(
            insert.on_conflict_do_update(index_elements=["incident_id", "kind"], set_={"sent_at": now})
        )


def _open_channels(channels: Mapping[ChannelKind, IncidentChannel]) -> Mapping[str, IncidentChannel]:
    """Return the channels that exist and are not archived, by their ids."""
    return {
        channel.channel_id: channel
        for channel in channels.values()
        if channel.channel_id is not None and not channel.is_archived
    }


def _named_channels(catalog: Catalog) -> Set[str]:
    """Return the names and ids of the channels that the policies use for something else."""
    workspaces = (catalog.workspace, *catalog.workspace.further)
    named = {each.announcements for each in workspaces} | {each.incidents or "" for each in workspaces}
    return {local(name) for name in named | {service.channel for service in catalog.services.values()}}
