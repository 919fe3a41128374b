"""What is still to be done about an incident, in Slack and to holds: rows that survive a crash.

A step is pending until it is done, or until it is given up (failed). Steps of a room are taken in the
order in which they were written; one that has to wait does not keep the others waiting.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.incident import Incident, Status, channel_names
from bot.store.tables.incidents import incident_rooms, incident_steps


class ChannelKind(StrEnum):
    """The channels that an incident has."""

    INCIDENT = "incident"
    POSTMORTEM = "postmortem"


_PREFIXES = {ChannelKind.INCIDENT: "inc", ChannelKind.POSTMORTEM: "pm"}


class StepName(StrEnum):
    """What can be done."""

    HOLD = "hold"
    LIFT = "lift"
    FACILITATORS = "facilitators"
    CHANNEL = "channel"
    TOPIC = "topic"
    PURPOSE = "purpose"
    INVITE = "invite"
    PIN = "pin"
    KEEP = "keep"
    DRAW = "draw"
    ARCHIVE = "archive"

    @property
    def needs_channel(self) -> bool:
        """Whether it can only be done once the channel is there."""
        return self in {StepName.TOPIC, StepName.PURPOSE, StepName.INVITE, StepName.PIN}

    @property
    def closes(self) -> bool:
        """Whether it belongs to closing a room: refused, it is given up at once."""
        return self in {StepName.KEEP, StepName.DRAW, StepName.ARCHIVE}


_FURNISHING = (
    StepName.FACILITATORS,
    StepName.CHANNEL,
    StepName.TOPIC,
    StepName.PURPOSE,
    StepName.INVITE,
    StepName.PIN,
)
_CLOSING = {
    ChannelKind.INCIDENT: (StepName.ARCHIVE,),
    ChannelKind.POSTMORTEM: (StepName.KEEP, StepName.DRAW, StepName.ARCHIVE),
}


class StepState(StrEnum):
    """How far a step has come."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `subject` is the service, team or person that it is about, empty where none."""

    id: int
    incident_id: int
    room: ChannelKind
    name: StepName
    subject: str
    attempts: int


@dataclass(frozen=True, slots=True)
class IncidentChannel:
    """A channel of an incident's as far as it has come; see the columns of `incident_rooms`."""

    incident_id: int
    kind: ChannelKind
    name: str | None = None
    attempted: bool = False
    channel_id: str | None = None
    problem: str | None = None
    card_key: str | None = None
    card_shown: str | None = None
    notice_key: str | None = None
    notice_shown: str | None = None
    file_id: str | None = None
    archived_at: datetime | None = None
    earlier_channel_id: str | None = None

    @property
    def is_archived(self) -> bool:
        """Whether nothing can be said there any more."""
        return self.archived_at is not None


def wanted_rooms(incident: Incident) -> Collection[ChannelKind]:
    """Return the rooms in which there is something to say about an incident as it stands."""
    if incident.status is not Status.RESOLVED:
        return (ChannelKind.INCIDENT,)
    return (ChannelKind.POSTMORTEM,) if incident.postmortem_at and not incident.finished_at else ()


def wanted_names(room: IncidentChannel, incident: Incident) -> Iterator[str]:
    """Return the names that the room's channel may have, best first."""
    return channel_names(_PREFIXES[room.kind], incident.opened_at, incident.title)


async def plan(
    connection: AsyncConnection,
    incident_id: int,
    room: ChannelKind,
    steps: Iterable[tuple[StepName, str]],
) -> None:
    """Write down what is to be done, in order."""
    rows = [
        {
            "incident_id": incident_id,
            "room": room,
            "name": name,
            "subject": subject,
            "state": StepState.PENDING,
            "attempts": 0,
        }
        for name, subject in steps
    ]
    if rows:
        await connection.execute(insert(incident_steps), rows)


async def open_room(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind, invited: Sequence[str]
) -> None:
    """Begin a room: all that makes it complete is planned. `invited` are `@handle`s and people."""
    await connection.execute(
        insert(incident_rooms).values(incident_id=incident_id, kind=kind, attempted=False)
    )
    await _furnish(connection, incident_id, kind, invited)


async def reopen_room(connection: AsyncConnection, room: IncidentChannel, invited: Sequence[str]) -> None:
    """Begin an archived room anew, in another channel: Slack lets no bot open an archived one again."""
    again = IncidentChannel(room.incident_id, room.kind, earlier_channel_id=room.channel_id)
    await change_room(connection, room, **{name: getattr(again, name) for name in _ROOM_COLUMNS})
    await _furnish(connection, room.incident_id, room.kind, invited)


async def close_room(connection: AsyncConnection, room: IncidentChannel) -> None:
    """Plan the end of a room; what is still missing in its channel is not wanted any more.

    A channel that is being made just now is furnished first; one that cannot be made is given up.
    """
    is_being_made = room.channel_id is None and room.problem is None
    if not is_being_made:
        await give_up(connection, room, _FURNISHING, "closed")
    if (is_being_made or room.channel_id is not None) and not room.is_archived:
        steps = _CLOSING[room.kind]
        await give_up(connection, room, steps, "closed again")
        await plan(connection, room.incident_id, room.kind, [(name, "") for name in steps])


async def keep_room(connection: AsyncConnection, room: IncidentChannel) -> None:
    """Leave a room open whose end was planned; the document that it has then is another one."""
    await give_up(connection, room, _CLOSING[room.kind], "came back")
    await change_room(connection, room, file_id=None)


async def _furnish(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind, invited: Sequence[str]
) -> None:
    first = [(StepName.FACILITATORS, "")] if kind is ChannelKind.POSTMORTEM else []
    steps = [*first, *((name, "") for name in (StepName.CHANNEL, StepName.TOPIC, StepName.PURPOSE))]
    steps += [(StepName.INVITE, who) for who in invited]
    await plan(connection, incident_id, kind, [*steps, (StepName.PIN, "")])


async def give_up(
    connection: AsyncConnection, room: IncidentChannel, names: Sequence[StepName], why: str
) -> None:
    """Drop what is still to be done in a room."""
    await connection.execute(
        update(incident_steps)
        .where(
            incident_steps.c.incident_id == room.incident_id,
            incident_steps.c.room == room.kind,
            incident_steps.c.name.in_(names),
            incident_steps.c.state == StepState.PENDING,
        )
        .values(state=StepState.FAILED, error=why)
    )


async def read_pending(connection: AsyncConnection, of: Step | None = None) -> Sequence[Step]:
    """Return what is to be done, in order: all, or in the room of one step."""
    query = select(incident_steps).where(incident_steps.c.state == StepState.PENDING)
    if of is not None:
        query = query.where(incident_steps.c.incident_id == of.incident_id, incident_steps.c.room == of.room)
    return [_step(row) for row in await connection.execute(query.order_by(incident_steps.c.id))]


async def settle(connection: AsyncConnection, step: Step, state: StepState, error: str | None = None) -> bool:
    """Write down what became of an attempt, which counts; return whether the step was pending."""
    settled = await connection.execute(
        update(incident_steps)
        .where(incident_steps.c.id == step.id, incident_steps.c.state == StepState.PENDING)
        .values(state=state, error=error, attempts=incident_steps.c.attempts + 1)
    )
    return settled.rowcount == 1


async def read_room(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind
) -> IncidentChannel | None:
    """Return one of the incident's rooms; None where it has none of that kind."""
    return (await read_rooms(connection, incident_id)).get(kind)


async def read_rooms(connection: AsyncConnection, incident_id: int) -> dict[ChannelKind, IncidentChannel]:
    """Return the incident's rooms by kind."""
    query = select(incident_rooms).where(incident_rooms.c.incident_id == incident_id)
    return {ChannelKind(row.kind): _room(row) for row in await connection.execute(query)}


async def find_incident(connection: AsyncConnection, channel_id: str) -> tuple[int, ChannelKind] | None:
    """Return which incident's room a channel is."""
    rooms = incident_rooms.c
    query = select(rooms.incident_id, rooms.kind).where(rooms.channel_id == channel_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.incident_id, ChannelKind(row.kind))


async def change_room(
    connection: AsyncConnection,
    room: IncidentChannel,
    *,
    unless_it_has_a_channel: bool = False,
    **values: Any,
) -> bool:
    """Write columns of a room; return whether it was written."""
    rooms = incident_rooms.c
    query = update(incident_rooms).where(rooms.incident_id == room.incident_id, rooms.kind == room.kind)
    if unless_it_has_a_channel:
        query = query.where(rooms.channel_id.is_(None))
    return (await connection.execute(query.values(values))).rowcount == 1


async def reserve(connection: AsyncConnection, room: IncidentChannel, name: str) -> bool:
    """Reserve a name for a room that still stands as it was read; return whether it did.

    Of several replicas that reserve for one room, the condition lets one through.
    """
    rooms = incident_rooms.c
    query = update(incident_rooms).where(
        rooms.incident_id == room.incident_id,
        rooms.kind == room.kind,
        rooms.channel_id.is_(None),
        rooms.name.is_(None) if room.name is None else rooms.name == room.name,
    )
    return (await connection.execute(query.values(name=name, attempted=False))).rowcount == 1


async def is_reserved(connection: AsyncConnection, name: str) -> bool:
    """Return whether a room has reserved the name."""
    query = select(incident_rooms.c.incident_id).where(incident_rooms.c.name == name)
    return (await connection.execute(query)).first() is not None


_ROOM_COLUMNS = tuple(
    field.name for field in fields(IncidentChannel) if field.name not in {"incident_id", "kind"}
)


def _step(row: Row[Any]) -> Step:
    return Step(row.id, row.incident_id, ChannelKind(row.room), StepName(row.name), row.subject, row.attempts)


def _room(row: Row[Any]) -> IncidentChannel:
    return IncidentChannel(
        row.incident_id,
        ChannelKind(row.kind),
        row.name,
        row.attempted,
        row.channel_id,
        row.problem,
        row.card_key,
        row.card_shown,
        row.notice_key,
        row.notice_shown,
        row.file_id,
        row.archived_at,
        row.earlier_channel_id,
    )
