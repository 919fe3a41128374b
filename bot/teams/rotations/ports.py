"""What rotations need of the chat system: who is in the teams, and the text of messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from bot.catalog.rotation import Rotation
from bot.store.outbox import OutboxMessage
from bot.teams.rotations.handover import HandoverNote
from bot.teams.rotations.period import Absence, RequestedSwap, RotationPeriod
from bot.teams.rotations.plan import Side

Members = Mapping[Side, Sequence[str]]
"""The people of each side, by their ids."""


class RotationMembers(Protocol):
    """Says who may serve in a rotation."""

    async def of(self, rotation: Rotation) -> Members:
        """Return who may serve on each side; raises `TeamUnknownError`."""
        ...


class RotationMessageWriter(Protocol):
    """Writes the messages about rotations; pure, so that it can run within a transaction."""

    def begun(self, rotation: Rotation, period: RotationPeriod) -> Sequence[OutboxMessage]:
        """Write who serves from now on, with a short guide for both.

        No message that is written later goes on with their thread.
        """
        ...

    def handed_over(self, rotation: Rotation, note: HandoverNote) -> Sequence[OutboxMessage]:
        """Write what happened in a period that is over."""
        ...

    def stood_in(
        self, rotation: Rotation, period: RotationPeriod, absence: Absence, side: Side
    ) -> Sequence[OutboxMessage]:
        """Write that somebody serves in place of one who is away; `period` is as it is now."""
        ...

    def swap_asked(
        self, rotation: Rotation, requested: RequestedSwap, begins: tuple[datetime, datetime]
    ) -> OutboxMessage:
        """Write to the other of two that one asks to swap; `begins` is when the two periods begin."""
        ...

    def swapped(
        self, rotation: Rotation, requested: RequestedSwap, begins: tuple[datetime, datetime]
    ) -> Sequence[OutboxMessage]:
        """Write that two have exchanged their turns."""
        ...

    def swap_declined(self, rotation: Rotation, requested: RequestedSwap) -> OutboxMessage:
        """Write to whoever asked for a swap that the other does not agree."""
        ...
