"""The holds that an incident puts on its services: what their requests begin with, and how they read."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.hold import HoldKind
from bot.incidents.incident import Incident
from bot.store.tables.core import holds


def owner(incident_id: int) -> str:
    """Return what the requests of the incident's holds begin with."""
    return f"incident:{incident_id}:"


def reason(incident: Incident) -> str:
    """Return why a service is held: everybody reads it, so a private incident is not named."""
    what = "private incident" if incident.private else f"incident: {incident.title}"
    return f"{incident.severity} {what}"


async def reword(connection: AsyncConnection, incident: Incident) -> None:
    """Let the holds that lie say what they would say if they were placed now."""
    mine = holds.c.request.startswith(owner(incident.id), autoescape=True)
    lying = mine & (holds.c.kind == HoldKind.INCIDENT) & holds.c.lifted_at.is_(None)
    await connection.execute(update(holds).where(lying).values(reason=reason(incident)))
