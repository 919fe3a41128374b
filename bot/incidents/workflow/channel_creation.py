"""Creates an incident's channel: exactly one, whatever is cut off half-way, and never somebody else's.

    reserve a name ──▶ note that Slack is asked ──▶ create ──▶ store the id, post the card
                                  │                    └─ taken ──▶ reserve the next name
                                  └─ (after a crash or a lost response) look for it before asking again

A name is reserved in the database, where each is reserved once, and only while no channel that the bot is
in has it. So a channel that has the name later, that the bot itself created, and that is not marked as
another incident's, can only be the result of our own request.
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
    TransientError,
)
from bot.incidents.records.channels import (
    IncidentChannel,
    change_channel,
    is_reserved,
    read_channel,
    reserve,
    wanted_names,
)
from bot.incidents.records.steps import Step, StepState, record_attempt
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.card_updates import digest_of
from bot.store.addresses import qualified
from bot.store.database import Database
from bot.store.outbox import enqueue_tracked

log = structlog.get_logger(__name__)

_LOOKUPS = 5
"""How often a channel whose creation was cut off may be missing from lists before its name is given up."""


def team_of(workspace: Workspace, incident: Incident) -> str | None:
    """Return the Slack workspace of an incident's first service; None for the main one."""
    return workspace.of(next(iter(incident.services), None)).elsewhere


class ChannelCreator:
    """Carries out the step `channel`: creates the channel and has its first messages posted."""

    def __init__(
        self,
        database: Database,
        channels: IncidentChannelPort,
        messages: IncidentMessageWriter,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._current = current
        self._database = database
        self._channels = channels
        self._messages = messages
        self._clock = clock

    async def create(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Create the channel and have its first messages posted; raises `ChannelError`."""
        channel = snapshot.channels[step.channel_kind]
        if channel.name is None:
            channel = await self._reserve(channel, snapshot)
        while (channel_id := await self._create(step, channel, snapshot)) is None:
            channel = await self._reserve(channel, snapshot)
        await self._store(step, channel, snapshot, channel_id)

    async def announce_without(self, step: Step, snapshot: IncidentSnapshot, problem: str) -> None:
        """Announce elsewhere, once, that the incident is open although its channel could not be created."""
        async with self._database.transaction() as connection:
            channel = await read_channel(connection, step.incident_id, step.channel_kind)
            if channel is None or channel.channel_id is not None:
                return
            await change_channel(connection, channel, problem=problem)
            await self._announce(connection, replace(channel, problem=problem), snapshot)

    async def _reserve(self, channel: IncidentChannel, snapshot: IncidentSnapshot) -> IncidentChannel:
        """Reserve the first name that is free, after the one that turned out to be taken."""
        names = wanted_names(channel, snapshot.incident)
        if channel.name is not None:
            names = itertools.islice(itertools.dropwhile(lambda name: name != channel.name, names), 1, None)
        for name in names:
            # The database first: Slack is only asked about names that nobody has reserved.
            async with self._database.reading() as connection:
                reserved = await is_reserved(connection, name)
            if reserved or await self._channels.find(self._address(name, snapshot)) is not None:
                continue
            async with self._database.transaction() as connection:
                if await is_reserved(connection, name):
                    continue
                if await reserve(connection, channel, name):
                    return replace(channel, name=name, attempted=False)
            return await self._reread(channel)
        raise AssertionError("there is always another name")

    async def _create(self, step: Step, channel: IncidentChannel, snapshot: IncidentSnapshot) -> str | None:
        """Return the id of the channel, new or found; None where the name is somebody else's."""
        assert channel.name is not None  # noqa: S101 - reserved before
        if channel.channel_id is not None:
            return channel.channel_id
        if channel.attempted and (found_id := await self._find_ours(channel.name, snapshot)):
            return found_id
        async with self._database.transaction() as connection:
            await change_channel(connection, channel, attempted=True)
        address, private = self._address(channel.name, snapshot), snapshot.incident.private
        try:
            return await self._channels.create(address, private=private)
        except ChannelNameTakenError as taken:
            log.info("channel_name_taken", incident=channel.incident_id, name=channel.name)
            # Another replica may have created it meanwhile.
            if found_id := await self._find_ours(channel.name, snapshot):
                return found_id
            if channel.attempted and step.attempts < _LOOKUPS:
                # What was created a moment ago may not be in the list yet.
                raise TransientError(taken.error) from taken
            return None

    async def _reread(self, channel: IncidentChannel) -> IncidentChannel:
        """Return the channel as another replica has stored it."""
        async with self._database.reading() as connection:
            stored = await read_channel(connection, channel.incident_id, channel.kind)
        if stored is None or (stored.name is None and stored.channel_id is None):
            raise TransientError("channel_changed")
        return stored

    async def _store(
        self, step: Step, channel: IncidentChannel, snapshot: IncidentSnapshot, channel_id: str
    ) -> None:
        """Store the id, and have the channel's card and the notice elsewhere posted, once."""
        async with self._database.transaction() as connection:
            await record_attempt(connection, step, StepState.DONE)
            columns = {"channel_id": channel_id, "problem": None}
            if not await change_channel(connection, channel, unless_created=True, **columns):
                return
            stored = await read_channel(connection, channel.incident_id, channel.kind)
            assert stored is not None  # noqa: S101 - written a line before
            card = self._messages.card(_with_channel(snapshot, stored), channel.kind)
            key = await enqueue_tracked(connection, card, self._clock.now())
            await change_channel(connection, stored, card_key=key, card_shown=digest_of(card))
            await self._announce(connection, stored, snapshot)

    async def _announce(
        self, connection: AsyncConnection, channel: IncidentChannel, snapshot: IncidentSnapshot
    ) -> None:
        if channel.notice_key is not None:
            return
        notice = self._messages.notice(_with_channel(snapshot, channel), channel.kind)
        if notice is not None:
            key = await enqueue_tracked(connection, notice, self._clock.now())
            await change_channel(connection, channel, notice_key=key, notice_shown=digest_of(notice))

    def _address(self, name: str, snapshot: IncidentSnapshot) -> str:
        return qualified(team_of(self._current.workspace, snapshot.incident), name)

    async def _find_ours(self, name: str, snapshot: IncidentSnapshot) -> str | None:
        """Return the id of the channel of that name if it is this incident's."""
        channel = await self._channels.find(self._address(name, snapshot))
        if channel is None or not is_ours(channel, snapshot.incident):
            return None
        log.info("channel_found", incident=snapshot.incident.id, name=name, channel=channel.id)
        return channel.id


def _with_channel(snapshot: IncidentSnapshot, channel: IncidentChannel) -> IncidentSnapshot:
    return replace(snapshot, channels={**snapshot.channels, channel.kind: channel})


def is_ours(channel: ChannelInfo, incident: Incident) -> bool:
    """Return whether a channel of the reserved name is the one that we created.

    The bot created it, and its purpose names no other incident. Earlier versions wrote the marker there.
    A channel that was created a moment ago has no purpose yet, and is not archived.
    """
    is_unmarked = not channel.purpose.strip()
    is_named = any(name in channel.purpose for name in (incident.reference, incident.marker) if name)
    return channel.is_created_by_bot and not channel.is_archived and (is_unmarked or is_named)
