"""The holds that an incident places on its services: their requests, their reasons, and which outlived it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.hold import EndedCause, Hold, HoldKind
from bot.incidents.incident import Incident, UnknownIncidentError
from bot.incidents.records import incidents as records
from bot.incidents.visibility import ANYBODY, may_see
from bot.store.tables.core import holds
from bot.store.tables.flags import flag_changes, flag_promises, flag_ramps
from bot.store.value_lists import begins_with


def request_prefix(incident_id: int) -> str:
    """Return the prefix of the requests of the incident's holds."""
    return f"incident:{incident_id}:"


UNNAMED = "private incident"
"""What the reason of a hold says instead of a private incident's title."""


def name_of(title: str) -> str:
    """Return how the reason of a hold names an incident that everybody may see."""
    return f"incident: {title}"


def longest_first(incident: Incident) -> Sequence[str]:
    """Return the incident's titles, former ones too, so that none is cut by a shorter one within it."""
    return sorted({incident.title, *incident.former_titles}, key=len, reverse=True)


def reason(incident: Incident) -> str:
    """Return why a service is held: everybody reads it, so a private incident is not named."""
    name = name_of(incident.title) if may_see(incident, ANYBODY) else UNNAMED
    return f"{incident.severity} {name}"


async def update_reasons(connection: AsyncConnection, incident: Incident) -> None:
    """Update the reasons of the incident's holds, lifted ones too, to what they would be if placed now."""
    own = begins_with(holds.c.request, request_prefix(incident.id))
    of_incident = own & (holds.c.kind == HoldKind.INCIDENT)
    await connection.execute(update(holds).where(of_incident).values(reason=reason(incident)))


async def leave_out_title(connection: AsyncConnection, incident: Incident) -> None:
    """Leave the title of an incident out of what ramps and changes of flags gave as their reasons to wait."""
    for named in map(name_of, longest_first(incident)):
        for column in (flag_ramps.c.hold_why, flag_promises.c.problem, flag_changes.c.problem):
            values = {column.name: func.replace(column, named, UNNAMED)}
            await connection.execute(
                update(column.table).where(column.contains(named, autoescape=True)).values(values)
            )


def why_ended(incident: Incident, service: str) -> str:
    """Return why an incident that wants no hold on a service wants none."""
    if service not in incident.services:
        return "the incident does not concern it"
    ending = incident.status.value if not incident.status.is_active else "no longer severe"
    return f"the incident is {ending}"


async def ended_causes(connection: AsyncConnection, among: Sequence[Hold]) -> Mapping[int, EndedCause]:
    """Return, by the id of the hold, why those of incidents have no cause any more."""
    service_of = {hold.id: hold.service for hold in among if hold.kind is HoldKind.INCIDENT}
    if not service_of:
        return {}
    rows = await connection.execute(select(holds.c.id, holds.c.request).where(holds.c.id.in_(service_of)))
    incident_of = {row.id: id_ for row in rows if (id_ := _incident_of(row.request)) is not None}
    ended: dict[int, EndedCause] = {}
    for hold, incident_id in incident_of.items():
        try:
            incident = await records.read(connection, incident_id)
        except UnknownIncidentError:
            ended[hold] = EndedCause("there is no such incident any more")
            continue
        if not incident.holds(service_of[hold]):
            since = await records.last_changed(connection, incident_id)
            ended[hold] = EndedCause(why_ended(incident, service_of[hold]), since)
    return ended


def _incident_of(request: str | None) -> int | None:
    """Return the number of the incident whose request placed a hold."""
    prefix, _, rest = (request or "").partition(":")
    number = rest.partition(":")[0]
    return int(number) if prefix == "incident" and number.isdecimal() else None
