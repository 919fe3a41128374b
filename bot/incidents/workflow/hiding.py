"""Carries out the step `hide`: edits what was told of an incident elsewhere before it became private.

The notice of its channel says only that it is private now. In announcements of its services the reason of the
hold loses the title, and actions their texts. What people shared or quoted is theirs and stays.
"""

import structlog

from bot.incidents.ports import (
    ChannelError,
    ChannelRefusedError,
    IncidentChannelPort,
    IncidentMessageWriter,
    TransientError,
)
from bot.incidents.records.channels import ChannelKind
from bot.incidents.records.steps import Step
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import ANYBODY, may_see
from bot.incidents.workflow.archiving import StepBlockedError
from bot.incidents.workflow.card_updates import CardUpdater
from bot.store.database import Database
from bot.store.outbox import DeliveryState, OutboxMessage
from bot.store.told_messages import ToldMessage, read_told, replace_content

log = structlog.get_logger(__name__)


class Hiding:
    """Edits told messages, each once; one that cannot be edited now does not delay the others."""

    def __init__(
        self,
        database: Database,
        channels: IncidentChannelPort,
        messages: IncidentMessageWriter,
        cards: CardUpdater,
    ) -> None:
        self._database = database
        self._channels = channels
        self._messages = messages
        self._cards = cards

    async def hide(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Edit what was told; raises `ChannelError`, and `StepBlockedError` while a message is being sent."""
        incident = snapshot.incident
        if may_see(incident, ANYBODY):
            return
        own = snapshot.channels[ChannelKind.INCIDENT]
        notice_keys = [own.notice_key] if own.notice_key else []
        async with self._database.reading() as connection:
            told = await read_told(
                connection, incident.opened_at, self._messages.traces(snapshot), notice_keys
            )
        outcomes = [await self._outcome(each, snapshot) for each in told if not _is_own(each, snapshot)]
        is_notice_shown = await self._cards.show(snapshot, step.channel_kind)
        for fault in outcomes:
            if isinstance(fault, ChannelError):
                raise fault
        if not is_notice_shown:
            raise TransientError("notice_is_behind")
        if not all(outcomes):
            raise StepBlockedError

    async def _outcome(self, told: ToldMessage, snapshot: IncidentSnapshot) -> bool | ChannelError:
        """Return whether a message says nothing private any more, or the error that keeps it so."""
        is_notice = told.key == snapshot.channels[ChannelKind.INCIDENT].notice_key
        hidden = (
            self._messages.notice(snapshot, ChannelKind.INCIDENT)
            if is_notice
            else self._messages.without_private(told.message, snapshot)
        )
        if hidden is None:
            return True
        if told.state is DeliveryState.SENDING:
            return False
        # The card updater edits the notice; a line of a combined post says nothing private.
        if told.place is not None and not is_notice and not told.is_combined:
            try:
                await self._channels.rewrite(told.place, hidden)
            except ChannelRefusedError as refusal:
                # It was deleted, or its channel is gone.
                log.info("told_message_gone", incident=snapshot.incident.id, error=refusal.error)
            except ChannelError as fault:
                return fault
        return await self._replace(told, hidden)

    async def _replace(self, told: ToldMessage, hidden: OutboxMessage) -> bool:
        async with self._database.transaction() as connection:
            return await replace_content(connection, told, hidden)


def _is_own(told: ToldMessage, snapshot: IncidentSnapshot) -> bool:
    """Return whether a message is in one of the incident's own channels."""
    own = {
        channel_id
        for channel in snapshot.channels.values()
        for channel_id in (channel.channel_id, channel.earlier_channel_id)
    }
    return told.message.channel in own
