"""Closes rooms for good: keeps the document in its channel, then archives the channel.

    keep the file ──▶ draw the canvas ──▶ wait until all is said and shown ──▶ archive ──▶ write it down

Slack refuses words to an archived channel, so nothing is archived while a message waits for it, and nothing
is shown in it afterwards. What Slack refuses is told in the channel, once, and holds up nothing else.
"""

from dataclasses import replace

import structlog

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.incidents.audit_entries import entry
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import (
    ChannelRefusedError,
    DocumentStore,
    IncidentChannelPort,
    IncidentMessageWriter,
    IncidentSnapshot,
    Names,
    TransientError,
)
from bot.incidents.postmortem import Postmortem
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.records.steps import Step, StepName, StepState
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import team_of
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue, first_unsent

log = structlog.get_logger(__name__)

_MAY_COME_LATER = frozenset({StepName.ARCHIVE, StepName.HOLD, StepName.LIFT})
_LOOKS = 3
"""So often a file whose sharing was cut off is looked for before it is shared again."""
_TRIES = 5
"""So often a card is written anew before its channel is archived as it is."""


class StepBlockedError(Exception):
    """The step waits for another; that is no failed attempt."""


class Archiver:
    """Carries out the steps `keep`, `draw` and `archive`."""

    def __init__(
        self,
        *,
        database: Database,
        rooms: IncidentChannelPort,
        shelf: DocumentStore,
        voice: IncidentMessageWriter,
        display: CardUpdater,
        names: Names,
        lifecycle: IncidentLifecycle,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._shelf = shelf
        self._voice = voice
        self._display = display
        self._names = names
        self._lifecycle = lifecycle
        self._current = current
        self._clock = clock

    async def keep(self, step: Step, view: IncidentSnapshot) -> None:
        """Put the document into the room as a file, once; raises `RoomFault`."""
        room, channel_id = view.rooms[step.room], _channel(step, view)
        document = await self._document(view)
        file_id = room.file_id
        if file_id is None:
            file_id = await self._shelf.upload(channel_id, document.file_name, document.markdown())
            async with self._database.transaction() as connection:
                await steps.change_room(connection, room, file_id=file_id)
        elif await self._shelf.is_shared(file_id, channel_id):
            return
        elif step.attempts < _LOOKS:
            # What was shared a moment ago may not be in the channel yet.
            raise TransientError("file_not_seen")
        comment = f"Postmortem of incident {view.incident.id}"
        await self._shelf.share(file_id, document.file_name, channel_id, comment)

    async def draw(self, step: Step, view: IncidentSnapshot) -> None:
        """Put the document into the room's canvas; raises `RoomFault`."""
        document = await self._document(view)
        title = f"Postmortem: {view.incident.title}"
        await self._shelf.draw(_channel(step, view), title, document.markdown())

    async def archive(self, step: Step, view: IncidentSnapshot) -> None:
        """Archive the room once all is said and shown in it; raises `RoomFault`, `StepBlockedError`."""
        channel_id = _channel(step, view)
        if not await self._is_done(step, channel_id):
            raise StepBlockedError
        if not await self._display.show(view, step.room) and step.attempts < _TRIES:
            raise TransientError("card_is_behind")
        await self._rooms.archive(channel_id)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            incident = await records.read(connection, step.incident_id, lock=True)
            await steps.settle(connection, step, StepState.DONE)
            archived = {"channel": channel_id, "room": step.room.value}
            await steps.change_room(connection, view.rooms[step.room], archived_at=now)
            await audit.record(connection, entry("archived", incident, GOVERNOR, after=archived), now)
            if incident.finished_at is None:
                await self._lifecycle.reopen_within(connection, incident)

    async def announce_refusal(self, step: Step, view: IncidentSnapshot, error: str) -> None:
        """Give archiving up, and say so in the room that stays open."""
        message = self._voice.not_archived(view, step.room, error)
        async with self._database.transaction() as connection:
            given_up = await steps.settle(connection, step, StepState.FAILED, error)
            if given_up and message is not None:
                await enqueue(connection, [message], self._clock.now())
        log.info("room_not_archived", incident=step.incident_id, room=step.room.value, error=error)

    async def _is_done(self, step: Step, channel_id: str) -> bool:
        """Return whether nothing is on its way to the room any more."""
        async with self._database.reading() as connection:
            others = await steps.read_pending(connection, step)
            if any(one.name not in _MAY_COME_LATER for one in others):
                return False
            return await first_unsent(connection, channel_id) is None

    async def _document(self, view: IncidentSnapshot) -> Postmortem:
        document = view.postmortem
        team = team_of(self._current.workspace, view.incident)
        return replace(document, names=await self._names(team, document.people))


def _channel(step: Step, view: IncidentSnapshot) -> str:
    """Return the channel's id; raises `StepBlockedError`, or `ChannelRefusedError` where it is to stay."""
    channel_id = view.channel_id(step.room)
    if view.incident.finished_at is None or view.rooms[step.room].is_archived:
        raise ChannelRefusedError("stays_open")
    if channel_id is None:
        raise StepBlockedError
    return channel_id
