"""The Slack channels of incidents as rows: their names, ids, cards and how far they have come."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.incident import Incident, Status, channel_names
from bot.store.tables.incidents import incident_rooms
from bot.store.value_lists import is_one_of


class ChannelKind(StrEnum):
    """The channels that an incident has."""

    INCIDENT = "incident"
    POSTMORTEM = "postmortem"


_PREFIXES = {ChannelKind.INCIDENT: "inc", ChannelKind.POSTMORTEM: "pm"}


@dataclass(frozen=True, slots=True)
class IncidentChannel:
    """A channel of an incident, perhaps not created yet; see the columns of `incident_rooms`."""

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
        """Whether nothing can be posted there any more."""
        return self.archived_at is not None


def wanted_channels(incident: Incident) -> Collection[ChannelKind]:
    """Return the channels that an incident needs in its present state."""
    if not incident.status.is_over:
        return (ChannelKind.INCIDENT,)
    if incident.status is not Status.RESOLVED:
        return ()
    return (ChannelKind.POSTMORTEM,) if incident.postmortem_at and not incident.finished_at else ()


def wanted_names(channel: IncidentChannel, incident: Incident) -> Iterator[str]:
    """Return the names that the channel may have, best first; they never end."""
    return channel_names(_PREFIXES[channel.kind], incident.opened_at, incident.title)


async def add_channel(connection: AsyncConnection, incident_id: int, kind: ChannelKind) -> None:
    """Insert a channel that is still to be created."""
    await connection.execute(
        insert(incident_rooms).values(incident_id=incident_id, kind=kind, attempted=False)
    )


async def read_channel(
    connection: AsyncConnection, incident_id: int, kind: ChannelKind
) -> IncidentChannel | None:
    """Return one of the incident's channels; None where it has none of that kind."""
    return (await read_channels(connection, incident_id)).get(kind)


async def read_channels(connection: AsyncConnection, incident_id: int) -> dict[ChannelKind, IncidentChannel]:
    """Return the incident's channels by kind."""
    query = select(incident_rooms).where(incident_rooms.c.incident_id == incident_id)
    return {ChannelKind(row.kind): _channel(row) for row in await connection.execute(query)}


async def read_channel_ids(
    connection: AsyncConnection, incident_ids: Collection[int], kind: ChannelKind = ChannelKind.INCIDENT
) -> dict[int, str]:
    """Return the ids of the channels of one kind that incidents have, by the incident's number."""
    columns = incident_rooms.c
    query = select(columns.incident_id, columns.channel_id).where(
        is_one_of(columns.incident_id, incident_ids), columns.kind == kind, columns.channel_id.is_not(None)
    )
    return {row.incident_id: row.channel_id for row in await connection.execute(query)}


async def find_incident(connection: AsyncConnection, channel_id: str) -> tuple[int, ChannelKind] | None:
    """Return the incident that a channel belongs to, and which of its channels it is."""
    columns = incident_rooms.c
    query = select(columns.incident_id, columns.kind).where(columns.channel_id == channel_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.incident_id, ChannelKind(row.kind))


async def change_channel(
    connection: AsyncConnection,
    channel: IncidentChannel,
    *,
    unless_created: bool = False,
    **values: Any,
) -> bool:
    """Write columns of a channel, with `unless_created` only if it has no id; return whether they were."""
    columns = incident_rooms.c
    query = update(incident_rooms).where(
        columns.incident_id == channel.incident_id, columns.kind == channel.kind
    )
    if unless_created:
        query = query.where(columns.channel_id.is_(None))
    return (await connection.execute(query.values(values))).rowcount == 1


async def reset_channel(connection: AsyncConnection, channel: IncidentChannel) -> None:
    """Forget an archived channel save for its id, so that another is created in its place."""
    fresh = IncidentChannel(channel.incident_id, channel.kind, earlier_channel_id=channel.channel_id)
    await change_channel(connection, channel, **{name: getattr(fresh, name) for name in _COLUMNS})


async def reserve(connection: AsyncConnection, channel: IncidentChannel, name: str) -> bool:
    """Reserve a name for a channel that is unchanged since it was read; return whether it was reserved.

    Of several replicas that reserve for one channel, the condition lets one through.
    """
    columns = incident_rooms.c
    query = update(incident_rooms).where(
        columns.incident_id == channel.incident_id,
        columns.kind == channel.kind,
        columns.channel_id.is_(None),
        columns.name.is_(None) if channel.name is None else columns.name == channel.name,
    )
    return (await connection.execute(query.values(name=name, attempted=False))).rowcount == 1


async def is_reserved(connection: AsyncConnection, name: str) -> bool:
    """Return whether a channel has reserved the name."""
    query = select(incident_rooms.c.incident_id).where(incident_rooms.c.name == name)
    return (await connection.execute(query)).first() is not None


_COLUMNS = tuple(field.name for field in fields(IncidentChannel) if field.name not in {"incident_id", "kind"})


def _channel(row: Row[Any]) -> IncidentChannel:
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
