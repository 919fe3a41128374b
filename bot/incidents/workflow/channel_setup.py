"""Carries out what completes an incident's channel: topic, purpose, invitations, and the card's pin."""

from bot.incidents.ports import IncidentChannelPort, IncidentMessageWriter, MissingPermissionError
from bot.incidents.records.steps import Step, StepName
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.archiving import StepBlockedError
from bot.store.database import Database
from bot.store.outbox import DeliveryState, delivery_of


class ChannelSetup:
    """Completes a channel that was created; each step may be repeated."""

    def __init__(
        self, database: Database, channels: IncidentChannelPort, messages: IncidentMessageWriter
    ) -> None:
        self._database = database
        self._channels = channels
        self._messages = messages

    async def carry_out(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Take one step; raises `ChannelError`, and `StepBlockedError` while there is no channel yet."""
        kind = step.channel_kind
        channel_id = snapshot.channel_id(kind)
        if channel_id is None:
            raise StepBlockedError
        match step.name:
            case StepName.TOPIC:
                await self._channels.set_topic(channel_id, self._messages.topic(snapshot, kind))
            case StepName.PURPOSE:
                await self._channels.set_purpose(channel_id, self._messages.purpose(snapshot, kind))
            case StepName.INVITE:
                await self._channels.invite(channel_id, step.subject)
            case StepName.PIN:
                await self._pin(snapshot.channels[kind].card_key)
            case _:
                raise AssertionError(f"{step.name} is not a step of a channel's setup")

    async def _pin(self, card_key: str | None) -> None:
        async with self._database.reading() as connection:
            delivery = await delivery_of(connection, card_key) if card_key else None
        if delivery is not None and delivery.place is not None:
            await self._channels.pin(delivery.place)
        elif delivery is not None and delivery.state is DeliveryState.FAILED:
            # Where Slack may allow it later, the card updater posts it again.
            raise MissingPermissionError("card_not_posted")
        else:
            raise StepBlockedError
