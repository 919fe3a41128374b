"""Uses of a proven kind: what passed a hold because it is a security change, for instance.

Each use is an entry of the audit log and is told once, however often a pipeline asks again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.hold import Hold
from bot.freezes.kind_proof import KindProof
from bot.freezes.verdict import Change, Verdict
from bot.store import audit, idempotency
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue

UNNAMED = "a change without a name"
"""What a change is called that the gate was asked about without a name."""

_MOST_SUBJECT = 200


@dataclass(frozen=True, slots=True)
class ProvenKindUse:
    """A change that passed holds by its kind, and what proves that. `by` is who asked, or told of it."""

    service: Service
    change: Change
    holds: tuple[Hold, ...]
    by: str
    proof: KindProof

    @property
    def subject(self) -> str:
        """The change as the audit log and the announcement call it."""
        return (self.change.id or UNNAMED)[:_MOST_SUBJECT]

    @property
    def key(self) -> str:
        """The same for the same change, kind and holds."""
        # A change without a name is one use of whoever asks.
        name = self.change.id or f"\0{self.by}"
        holds = [str(hold.id) for hold in self.holds]
        parts = [self.service.name, name.casefold(), (self.change.kind or "").casefold(), *holds]
        return f"kind {hashlib.sha256(repr(parts).encode(errors='surrogatepass')).hexdigest()}"


Announce = Callable[[ProvenKindUse], Sequence[OutboxMessage]]
"""Returns the messages that tell a use; pure, so that it can run within the transaction."""


class ProvenKinds:
    """Records the uses."""

    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._announce = announce

    async def record_verdict(self, service: Service, verdict: Verdict, by: str, now: datetime) -> None:
        """Record that the verdict let the change through by its kind, if it did."""
        if verdict.proof is None:
            return
        use = ProvenKindUse(service, verdict.change, verdict.holds, by, verdict.proof)
        async with self._database.transaction() as connection:
            await self.record(connection, use, now)

    async def record(self, connection: AsyncConnection, use: ProvenKindUse, now: datetime) -> None:
        """Record and announce a use within the caller's transaction; a repeated one changes nothing."""
        if not await idempotency.is_first(self._database, connection, use.key, now):
            return
        entry = audit.AuditEntry(
            use.by,
            "gate.passed_by_kind",
            use.subject,
            f"{use.change.kind}, proven by {use.proof.text}",
            use.service.name,
            after={
                "kind": use.change.kind,
                "proof": use.proof.text,
                "change": use.change.id,
                "holds": [hold.id for hold in use.holds],
            },
        )
        await audit.record(connection, entry, now)
        await enqueue(connection, self._announce(use), now)
