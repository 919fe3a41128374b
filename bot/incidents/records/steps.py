"""The workflow steps of incidents, in Slack and on holds, as rows that survive a crash.

A step is pending until it is done, or until it is given up (failed). The steps of a channel are taken in
the order in which they were planned; one that has to wait does not delay the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.records.channels import (
    ChannelKind,
    IncidentChannel,
    add_channel,
    change_channel,
    reset_channel,
)
from bot.store.tables.incidents import incident_steps


class StepName(StrEnum):
    """The kinds of step."""

    HOLD = "hold"
    LIFT = "lift"
    FACILITATORS = "facilitators"
    CHANNEL = "channel"
    TOPIC = "topic"
    PURPOSE = "purpose"
    INVITE = "invite"
    SHADOWS = "shadows"
    PIN = "pin"
    KEEP_FILE = "keep"
    UPDATE_CANVAS = "draw"
    ARCHIVE = "archive"
    HIDE = "hide"

    @property
    def is_closing(self) -> bool:
        """Whether it belongs to closing a channel: refused, it is given up at once."""
        return self in {StepName.KEEP_FILE, StepName.UPDATE_CANVAS, StepName.ARCHIVE}


_SETUP = (
    StepName.FACILITATORS,
    StepName.CHANNEL,
    StepName.TOPIC,
    StepName.PURPOSE,
    StepName.INVITE,
    StepName.SHADOWS,
    StepName.PIN,
)
_CLOSING = {
    ChannelKind.INCIDENT: (StepName.ARCHIVE,),
    ChannelKind.POSTMORTEM: (StepName.KEEP_FILE, StepName.UPDATE_CANVAS, StepName.ARCHIVE),
}


class StepState(StrEnum):
    """How far a step has come."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `subject` is the service, team or person that it concerns, empty where none."""

    id: int
    incident_id: int
    channel_kind: ChannelKind
    name: StepName
    subject: str
    attempts: int


async def plan(
    connection: AsyncConnection,
    incident_id: int,
    kind: ChannelKind,
    steps: Iterable[tuple[StepName, str]],
) -> None:
    """Insert steps, each with its subject, in the order in which they are to be taken."""
    rows = [
        {
            "incident_id": incident_id,
            "room": kind,
            "name": name,
            "subject": subject,
            "state": StepState.PENDING,
            "attempts": 0,
        }
        for name, subject in steps
    ]
    if rows:
        await connection.execute(insert(incident_steps), rows)


async def open_channel(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind, invited: Sequence[str]
) -> None:
    """Add a channel and plan all that sets it up. `invited` are `@handle`s and people."""
    await add_channel(connection, incident_id, kind)
    await _plan_setup(connection, incident_id, kind, invited)


async def reopen_channel(
    connection: AsyncConnection, channel: IncidentChannel, invited: Sequence[str]
) -> None:
    """Replace an archived channel by a new one: Slack lets no bot unarchive a channel."""
    await reset_channel(connection, channel)
    await _plan_setup(connection, channel.incident_id, channel.kind, invited)


async def invite(connection: AsyncConnection, channel: IncidentChannel, invited: Sequence[str]) -> None:
    """Plan the invitations of further `@handle`s and people to a channel."""
    await plan(
        connection, channel.incident_id, channel.kind, [(StepName.INVITE, invitee) for invitee in invited]
    )


async def close_channel(connection: AsyncConnection, channel: IncidentChannel) -> None:
    """Plan the steps that close a channel, and give up those that would have completed it.

    A channel that is being created just now is set up first; one that cannot be created is given up.
    """
    is_being_created = channel.channel_id is None and channel.problem is None
    if not is_being_created:
        await give_up(connection, channel, _SETUP, "closed")
    if (is_being_created or channel.channel_id is not None) and not channel.is_archived:
        steps = _CLOSING[channel.kind]
        await give_up(connection, channel, steps, "closed again")
        await plan(connection, channel.incident_id, channel.kind, [(name, "") for name in steps])


async def keep_open(connection: AsyncConnection, channel: IncidentChannel) -> None:
    """Stop closing a channel; when it is closed later, its document is uploaded as a new file."""
    await give_up(connection, channel, _CLOSING[channel.kind], "came back")
    await change_channel(connection, channel, file_id=None)


async def _plan_setup(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind, invited: Sequence[str]
) -> None:
    first = [(StepName.FACILITATORS, "")] if kind is ChannelKind.POSTMORTEM else []
    steps = [*first, *((name, "") for name in (StepName.CHANNEL, StepName.TOPIC, StepName.PURPOSE))]
    steps += [(StepName.INVITE, invitee) for invitee in invited]
    last = [StepName.SHADOWS, StepName.PIN] if kind is ChannelKind.INCIDENT else [StepName.PIN]
    await plan(connection, incident_id, kind, [*steps, *((name, "") for name in last)])


async def give_up(
    connection: AsyncConnection, channel: IncidentChannel, names: Sequence[StepName], reason: str
) -> None:
    """Mark a channel's pending steps of these names as failed."""
    await connection.execute(
        update(incident_steps)
        .where(
            incident_steps.c.incident_id == channel.incident_id,
            incident_steps.c.room == channel.kind,
            incident_steps.c.name.in_(names),
            incident_steps.c.state == StepState.PENDING,
        )
        .values(state=StepState.FAILED, error=reason)
    )


async def read_pending(connection: AsyncConnection, beside: Step | None = None) -> Sequence[Step]:
    """Return the pending steps in order: all, or those of the channel that one step belongs to."""
    query = select(incident_steps).where(incident_steps.c.state == StepState.PENDING)
    if beside is not None:
        query = query.where(
            incident_steps.c.incident_id == beside.incident_id, incident_steps.c.room == beside.channel_kind
        )
    return [_step(row) for row in await connection.execute(query.order_by(incident_steps.c.id))]


async def record_attempt(
    connection: AsyncConnection, step: Step, state: StepState, error: str | None = None
) -> bool:
    """Store the state that an attempt led to and count it; return whether the step was pending."""
    updated = await connection.execute(
        update(incident_steps)
        .where(incident_steps.c.id == step.id, incident_steps.c.state == StepState.PENDING)
        .values(state=state, error=error, attempts=incident_steps.c.attempts + 1)
    )
    return updated.rowcount == 1


def _step(row: Row[Any]) -> Step:
    return Step(row.id, row.incident_id, ChannelKind(row.room), StepName(row.name), row.subject, row.attempts)
