"""Looks whether what a change names as the proof of its kind proves it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.freezes.kind_proof import (
    SECURITY,
    KindProof,
    ProofSort,
    named_advisory,
    named_incident,
)
from bot.freezes.verdict import Change


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is not over: its services, and whether it is urgent for all others too.

    One that an agent opened is confirmed once somebody else has acknowledged it.
    """

    services: frozenset[str]
    is_severe: bool
    is_confirmed: bool = True


ReadOpenIncident = Callable[[int], Awaitable[OpenIncident | None]]
"""Returns the incident of a number; None if there is none that is open."""


async def no_incident(_number: int) -> OpenIncident | None:
    """Return that there is no open incident."""
    return None


class KindProofs:
    """Verifies proofs. An agent's word proves nothing: it asks for an exemption."""

    def __init__(self, read_open_incident: ReadOpenIncident = no_incident) -> None:
        self._read_open_incident = read_open_incident

    async def verify(self, service: str, change: Change) -> tuple[KindProof | None, str]:
        """Return what proves the kind of a change to a service, or None and why what it names does not."""
        text, kind = (change.proof or "").strip(), change.kind
        if change.vouched is not None or not text or not kind:
            return (change.vouched if kind else None), ""
        if change.by_agent:
            return None, "an agent cannot prove the kind of a change by itself: it may ask for an exemption"
        advisory, number = named_advisory(text), named_incident(text)
        if advisory is not None and kind.casefold() == SECURITY:
            return KindProof(ProofSort.ADVISORY, advisory), ""
        if advisory is not None:
            return None, f"{advisory} proves that a change is a security change, not that it is {kind}"
        if number is None:
            return None, f"{text} is neither an advisory (CVE-… or GHSA-…) nor an incident (incident 12)"
        return await self._verify_incident(service, number)

    async def _verify_incident(self, service: str, number: int) -> tuple[KindProof | None, str]:
        incident = await self._read_open_incident(number)
        if incident is not None and not incident.is_confirmed:
            return None, f"incident {number} proves nothing yet: an agent opened it, nobody acknowledged it"
        if incident is not None and (incident.is_severe or service in incident.services):
            return KindProof(ProofSort.INCIDENT, f"incident {number}"), ""
        return None, f"incident {number} proves nothing: it is not open, or does not concern {service}"
