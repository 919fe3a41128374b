"""What follows where a machine was let through a freeze: it is written down, told, and used up."""

from datetime import datetime

from bot.catalog.catalog import Service
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.freezes.exemptions.uses import ExemptionUses
from bot.freezes.verdict import Verdict


class Passages:
    """Records what let changes through; every gate that answers a machine calls it before it answers."""

    def __init__(self, proven_kinds: ProvenKinds, uses: ExemptionUses) -> None:
        self._proven_kinds = proven_kinds
        self._uses = uses

    async def record(self, service: Service, verdict: Verdict, by: str, now: datetime) -> None:
        """Record the kind or the exemption that let the change through, if one did."""
        await self._proven_kinds.record_verdict(service, verdict, by, now)
        await self._uses.claim(verdict, by, now)
