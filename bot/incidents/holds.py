"""The holds that an incident places on its services: their requests and their reasons."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.hold import HoldKind
from bot.incidents.incident import Incident
from bot.store.tables.core import holds


def request_prefix(incident_id: int) -> str:
    """Return the prefix of the requests of the incident's holds."""
    return f"incident:{incident_id}:"


def reason(incident: Incident) -> str:
    """Return why a service is held: everybody reads it, so a private incident is not named."""
    name = "private incident" if incident.private else f"incident: {incident.title}"
    return f"{incident.severity} {name}"


async def update_reasons(connection: AsyncConnection, incident: Incident) -> None:
    """Update the reasons of the incident's active holds to what they would be if placed now."""
    own = holds.c.request.startswith(request_prefix(incident.id), autoescape=True)
    active = own & (holds.c.kind == HoldKind.INCIDENT) & holds.c.lifted_at.is_(None)
    await connection.execute(update(holds).where(active).values(reason=reason(incident)))
