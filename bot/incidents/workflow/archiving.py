"""Closes channels for good: uploads the document to its channel, then archives the channel.

    keep the file ──▶ update the canvas ──▶ wait until messages and card are posted ──▶ archive ──▶ store it

Slack takes no messages for an archived channel, so nothing is archived while a message waits for it, and
no card is updated in it afterwards. A refusal by Slack is announced in the channel, once, and does not
delay the other steps.
"""

from dataclasses import replace

import structlog

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR
from bot.incidents.audit_entries import audit_entry
from bot.incidents.finished_channels.rules import may_be_archived
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import (
    ChannelRefusedError,
    DocumentStore,
    IncidentChannelPort,
    IncidentMessageWriter,
    Names,
    TransientError,
)
from bot.incidents.postmortem import Postmortem
from bot.incidents.records import incidents as records
from bot.incidents.records.channels import change_channel
from bot.incidents.records.steps import Step, StepName, StepState, read_pending, record_attempt
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import team_of
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue, first_unsent

log = structlog.get_logger(__name__)

_MAY_COME_LATER = frozenset({StepName.ARCHIVE, StepName.HOLD, StepName.LIFT, StepName.HIDE})
_FILE_LOOKUPS = 3
"""How often a file whose sharing was cut off is looked for before it is shared again."""
_CARD_ATTEMPTS = 5
"""How often a card is updated before its channel is archived regardless."""


class StepBlockedError(Exception):
    """The step waits for another; that does not count as a failed attempt."""


class Archiver:
    """Carries out the steps `keep`, `draw` and `archive`."""

    def __init__(
        self,
        *,
        database: Database,
        channels: IncidentChannelPort,
        documents: DocumentStore,
        messages: IncidentMessageWriter,
        cards: CardUpdater,
        names: Names,
        lifecycle: IncidentLifecycle,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._database = database
        self._channels = channels
        self._documents = documents
        self._messages = messages
        self._cards = cards
        self._names = names
        self._lifecycle = lifecycle
        self._current = current
        self._clock = clock

    async def keep_file(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Share the document in the channel as a file, once; raises `ChannelError`."""
        channel_id = _closing_channel_id(step, snapshot)
        channel = snapshot.channels[step.channel_kind]
        document = await self._document(snapshot)
        file_id = channel.file_id
        if file_id is None:
            file_id = await self._documents.upload(channel_id, document.file_name, document.markdown())
            async with self._database.transaction() as connection:
                await change_channel(connection, channel, file_id=file_id)
        elif await self._documents.is_shared(file_id, channel_id):
            return
        elif step.attempts < _FILE_LOOKUPS:
            # What was shared a moment ago may not be in the channel yet.
            raise TransientError("file_not_seen")
        comment = f"Postmortem of incident {snapshot.incident.id}"
        await self._documents.share(file_id, document.file_name, channel_id, comment)

    async def update_canvas(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Write the document into the channel's canvas; raises `ChannelError`."""
        channel_id = _closing_channel_id(step, snapshot)
        document = await self._document(snapshot)
        title = f"Postmortem: {snapshot.incident.title}"
        await self._documents.update_canvas(channel_id, title, document.markdown())

    async def archive(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Archive the channel once all is sent and shown; raises `ChannelError`, `StepBlockedError`."""
        channel_id = _closing_channel_id(step, snapshot)
        if not await self._is_quiet(step, channel_id):
            raise StepBlockedError
        is_shown = await self._cards.show(snapshot, step.channel_kind)
        if not is_shown and step.attempts < _CARD_ATTEMPTS:
            raise TransientError("card_is_behind")
        await self._channels.archive(channel_id)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            incident = await records.read(connection, step.incident_id, lock=True)
            await record_attempt(connection, step, StepState.DONE)
            await change_channel(connection, snapshot.channels[step.channel_kind], archived_at=now)
            archived = {"channel": channel_id, "room": step.channel_kind.value}
            await audit.record(connection, audit_entry("archived", incident, GOVERNOR, after=archived), now)
            if not may_be_archived(incident):
                await self._lifecycle.reopen_within(connection, incident)

    async def announce_refusal(self, step: Step, snapshot: IncidentSnapshot, error: str) -> None:
        """Stop archiving, and announce that in the channel that stays open."""
        message = self._messages.not_archived(snapshot, step.channel_kind, error)
        async with self._database.transaction() as connection:
            is_given_up = await record_attempt(connection, step, StepState.FAILED, error)
            if is_given_up and message is not None:
                await enqueue(connection, [message], self._clock.now())
        log.info("channel_not_archived", incident=step.incident_id, kind=step.channel_kind.value, error=error)

    async def _is_quiet(self, step: Step, channel_id: str) -> bool:
        """Return whether no other step and no message waits for the channel."""
        async with self._database.reading() as connection:
            pending = await read_pending(connection, step)
            if any(other.name not in _MAY_COME_LATER for other in pending):
                return False
            return await first_unsent(connection, channel_id) is None

    async def _document(self, snapshot: IncidentSnapshot) -> Postmortem:
        document = snapshot.postmortem
        team = team_of(self._current.workspace, snapshot.incident)
        return replace(document, names=await self._names(team, document.people))


def _closing_channel_id(step: Step, snapshot: IncidentSnapshot) -> str:
    """Return the channel's id; raises `StepBlockedError`, or `ChannelRefusedError` where it is to stay."""
    channel_id = snapshot.channel_id(step.channel_kind)
    if not may_be_archived(snapshot.incident) or snapshot.channels[step.channel_kind].is_archived:
        raise ChannelRefusedError("stays_open")
    if channel_id is None:
        raise StepBlockedError
    return channel_id
