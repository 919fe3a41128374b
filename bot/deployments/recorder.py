"""Records deployments and their audit entries, each outcome once however often it is reported.

A deployment to production that the gate would have refused is announced, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.deployments import records
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.declared_kinds import DeclaredKinds, DeclaredKindUse
from bot.freezes.hold import Hold
from bot.freezes.past_verdict import verdict_at
from bot.freezes.verdict import Change
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue


@dataclass(frozen=True, slots=True)
class FreezeBypass:
    """A deployment to an environment that a freeze bars, in spite of the holds of when it began."""

    service: Service
    deployment: Deployment
    holds: tuple[Hold, ...]


Announce = Callable[[FreezeBypass], Sequence[OutboxMessage]]
"""Returns the messages that announce a bypass; pure, so that it can run within the transaction."""


class DeploymentRecorder:
    """Records deployments."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        announce: Announce,
        declared_kinds: DeclaredKinds,
        undo_detector: UndoDetector,
        *,
        changes: ChangesPlanner,
    ) -> None:
        self._database = database
        self._current = current
        self._announce = announce
        self._declared_kinds = declared_kinds
        self._undo_detector = undo_detector
        self._changes = changes

    def services_of(self, repository: str) -> Sequence[Service]:
        """Return the services that are built from the repository; GitHub ignores the case of its name."""
        folded = repository.casefold()
        return [
            service
            for service in self._current.catalog.services.values()
            if service.repository is not None and service.repository.casefold() == folded
        ]

    async def record(
        self, deployment: Deployment, services: Sequence[Service], by: str, now: datetime
    ) -> list[str]:
        """Store the outcome for each service; return those for which it is new. `by` reported it."""
        recorded: list[str] = []
        async with self._database.transaction() as connection:
            for service in services:
                if not await records.add(self._database, connection, service.name, deployment):
                    continue
                recorded.append(service.name)
                entry = audit.AuditEntry(
                    by,
                    f"deployment.{deployment.state}",
                    deployment.subject,
                    deployment.reason,
                    service.name,
                    after={
                        "deployment": deployment.id,
                        "commit": deployment.commit,
                        "finished_at": deployment.finished_at.isoformat(),
                    },
                )
                await audit.record(connection, entry, now)
                await self._changes.plan(connection, service.name, [deployment.id], now)
                await self._report_bypass(connection, deployment, service, by, now)
                await self._undo_detector.examine(
                    connection, service.name, deployment.id, now, kind=deployment.kind
                )
        return recorded

    async def _report_bypass(
        self, connection: AsyncConnection, deployment: Deployment, service: Service, by: str, now: datetime
    ) -> None:
        """Audit and announce the deployment if the gate would have refused it when it began.

        One that passed only by the kind that it declares is told as the gate tells it.
        """
        if deployment.state is not DeploymentState.SUCCEEDED:
            return
        environment = PRODUCTION if deployment.is_production else deployment.environment.casefold()
        if environment == PRODUCTION and not deployment.is_production:
            # It only has that name: whoever deploys declared that it is not production.
            return
        change = Change(deployment.change or deployment.commit, deployment.kind, environment)
        at = deployment.started_at
        verdict = await verdict_at(connection, service, change, at, deployment.is_called)
        if verdict.allow:
            if verdict.declared_kind is not None:
                use = DeclaredKindUse(service, change, verdict.holds, by)
                await self._declared_kinds.record(connection, use, now)
            return
        entry = audit.AuditEntry(
            by,
            "freeze.bypassed",
            deployment.subject,
            "; ".join(verdict.reasons),
            service.name,
            after={"deployment": deployment.id, "holds": [hold.id for hold in verdict.holds]},
        )
        await audit.record(connection, entry, now)
        await enqueue(connection, self._announce(FreezeBypass(service, deployment, verdict.holds)), now)
