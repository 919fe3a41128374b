"""Reads whether an incident is open, as the proof that a change is urgent."""

from bot.freezes.exemptions.kind_proofs import OpenIncident
from bot.incidents.incident import Severity, UnknownIncidentError
from bot.incidents.records import incidents as records
from bot.store import api_tokens
from bot.store.database import Database

_SEVERE = (Severity.SEV1, Severity.SEV2)


class OpenIncidentReader:
    """Reads incidents that are not over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, number: int) -> OpenIncident | None:
        """Return the incident of a number; None if there is none that is open."""
        async with self._database.reading() as connection:
            try:
                incident = await records.read(connection, number)
            except UnknownIncidentError:
                return None
            if not incident.status.is_active:
                return None
            is_confirmed = incident.acknowledged_at is not None or not await api_tokens.is_agent(
                connection, incident.opened_by
            )
        return OpenIncident(frozenset(incident.services), incident.severity in _SEVERE, is_confirmed)
