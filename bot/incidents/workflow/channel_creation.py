"""Makes a room's channel: exactly one, whatever is cut off half-way, and never somebody else's.

    reserve a name ──▶ note that Slack is asked ──▶ ask ──▶ keep the id, post the card
                                  │                  └─ taken ──▶ reserve the next name
                                  └─ (after a crash or a cut) look for it before asking again

A name is reserved in the store, where each is reserved once, and only while no channel that the bot is in
has it. So a channel that bears the name later on, that the bot itself has made, and that is not marked as
another's, can only be the answer to our own question.
"""

import itertools
from dataclasses import replace

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Workspace
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.incidents.incident import Incident
from bot.incidents.ports import (
    ChannelInfo,
    ChannelNameTakenError,
    IncidentChannelPort,
    IncidentMessageWriter,
    IncidentSnapshot,
    TransientError,
)
from bot.incidents.records import steps
from bot.incidents.records.steps import IncidentChannel, Step, StepState
from bot.incidents.workflow.card_updates import digest_of
from bot.store.addresses import qualified
from bot.store.database import Database
from bot.store.outbox import enqueue_tracked

log = structlog.get_logger(__name__)

_LOOKS = 5
"""So many times a channel whose making was cut off may be hidden from us before its name is given up."""


def team_of(workspace: Workspace, incident: Incident) -> str | None:
    """Return the Slack workspace of an incident's first service; None for the main one."""
    return workspace.of(next(iter(incident.services), None)).elsewhere


class ChannelCreator:
    """Carries out the step `channel`: makes the channel and has its first messages posted."""

    def __init__(
        self,
        database: Database,
        rooms: IncidentChannelPort,
        voice: IncidentMessageWriter,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._current = current
        self._database = database
        self._rooms = rooms
        self._voice = voice
        self._clock = clock

    async def make(self, step: Step, view: IncidentSnapshot) -> None:
        """Make the room's channel and have its first messages posted; raises `RoomFault`."""
        room = view.rooms[step.room]
        if room.name is None:
            room = await self._reserve(room, view)
        while (channel_id := await self._ask(step, room, view)) is None:
            room = await self._reserve(room, view)
        await self._keep(step, room, view, channel_id)

    async def announce_without(self, step: Step, view: IncidentSnapshot, problem: str) -> None:
        """Tell elsewhere, once, that the incident is there although its channel could not be made."""
        async with self._database.transaction() as connection:
            room = await steps.read_room(connection, step.incident_id, step.room)
            if room is None or room.channel_id is not None:
                return
            await steps.change_room(connection, room, problem=problem)
            await self._tell(connection, replace(room, problem=problem), view)

    async def _reserve(self, room: IncidentChannel, view: IncidentSnapshot) -> IncidentChannel:
        """Reserve the first name that is free, after the one that turned out to be taken."""
        names = steps.wanted_names(room, view.incident)
        if room.name is not None:
            names = itertools.islice(itertools.dropwhile(lambda name: name != room.name, names), 1, None)
        for name in names:
            # Asked of the store first: Slack is only asked about names that nobody has reserved.
            async with self._database.reading() as connection:
                reserved = await steps.is_reserved(connection, name)
            if reserved or await self._rooms.find(self._address(name, view)) is not None:
                continue
            async with self._database.transaction() as connection:
                if await steps.is_reserved(connection, name):
                    continue
                if await steps.reserve(connection, room, name):
                    return replace(room, name=name, attempted=False)
            return await self._reread(room)
        raise AssertionError("there is always another name")

    async def _ask(self, step: Step, room: IncidentChannel, view: IncidentSnapshot) -> str | None:
        """Return the id of the channel, new or found; None where the name is somebody else's."""
        assert room.name is not None  # noqa: S101 - reserved before
        if room.channel_id is not None:
            return room.channel_id
        if room.attempted and (found := await self._ours(room.name, view)):
            return found
        async with self._database.transaction() as connection:
            await steps.change_room(connection, room, attempted=True)
        try:
            return await self._rooms.make(self._address(room.name, view), private=view.incident.private)
        except ChannelNameTakenError as taken:
            log.info("channel_name_taken", incident=room.incident_id, name=room.name)
            # Another replica may have asked meanwhile.
            if found := await self._ours(room.name, view):
                return found
            if room.attempted and step.attempts < _LOOKS:
                # What was made a moment ago may not be in the list yet.
                raise TransientError(taken.error) from taken
            return None

    async def _reread(self, room: IncidentChannel) -> IncidentChannel:
        """Return the room as another replica has left it."""
        async with self._database.reading() as connection:
            stored = await steps.read_room(connection, room.incident_id, room.kind)
        if stored is None or (stored.name is None and stored.channel_id is None):
            raise TransientError("room_changed")
        return stored

    async def _keep(self, step: Step, room: IncidentChannel, view: IncidentSnapshot, channel_id: str) -> None:
        """Write the id down, and have the channel's card and the notice elsewhere posted, once."""
        async with self._database.transaction() as connection:
            await steps.settle(connection, step, StepState.DONE)
            made = {"channel_id": channel_id, "problem": None}
            if not await steps.change_room(connection, room, unless_it_has_a_channel=True, **made):
                return
            kept = await steps.read_room(connection, room.incident_id, room.kind)
            assert kept is not None  # noqa: S101 - written a line before
            shown = replace(view, rooms={**view.rooms, room.kind: kept})
            card = self._voice.card(shown, room.kind)
            key = await enqueue_tracked(connection, card, self._clock.now())
            await steps.change_room(connection, kept, card_key=key, card_shown=digest_of(card))
            await self._tell(connection, kept, shown)

    async def _tell(self, connection: AsyncConnection, room: IncidentChannel, view: IncidentSnapshot) -> None:
        shown = replace(view, rooms={**view.rooms, room.kind: room})
        notice = self._voice.notice(shown, room.kind) if room.notice_key is None else None
        if notice is not None:
            key = await enqueue_tracked(connection, notice, self._clock.now())
            await steps.change_room(connection, room, notice_key=key, notice_shown=digest_of(notice))

    def _address(self, name: str, view: IncidentSnapshot) -> str:
        return qualified(team_of(self._current.workspace, view.incident), name)

    async def _ours(self, name: str, view: IncidentSnapshot) -> str | None:
        found = await self._rooms.find(self._address(name, view))
        if found is None or not is_ours(found, view.incident.marker):
            return None
        log.info("channel_found", incident=view.incident.id, name=name, channel=found.id)
        return found.id


def is_ours(found: ChannelInfo, marker: str) -> bool:
    """Return whether a channel of the reserved name is the one that we asked for.

    The bot made it, and it is not marked as another incident's. A channel that was made a moment ago has
    no purpose yet, and is not archived.
    """
    return found.is_mine and not found.is_archived and (not found.purpose.strip() or marker in found.purpose)
