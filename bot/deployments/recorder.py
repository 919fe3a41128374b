"""Keeps deployments, each outcome once however often it is told, and puts them into the audit log.

One that went to production although the gate would have refused it is told, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.deployments import records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.hold import Hold
from bot.freezes.past_verdict import verdict_at
from bot.freezes.verdict import Change
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue


@dataclass(frozen=True, slots=True)
class FreezeBypass:
    """A deployment that went to production past the holds that lay on the service as it began."""

    service: Service
    deployment: Deployment
    holds: tuple[Hold, ...]


Announce = Callable[[FreezeBypass], Sequence[OutboxMessage]]
"""Writes the messages that tell a bypass; pure, so that it can run within the transaction."""


class DeploymentRecorder:
    """The one way to tell of deployments."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        announce: Announce,
    ) -> None:
        self._database = database
        self._current = current
        self._announce = announce

    def services_of(self, repository: str) -> Sequence[Service]:
        """Return the services that are built from the repository; GitHub's names know no case."""
        wanted = repository.casefold()
        return [
            service
            for service in self._current.catalog.services.values()
            if service.repository is not None and service.repository.casefold() == wanted
        ]

    async def record(
        self, deployment: Deployment, services: Sequence[Service], by: str, now: datetime
    ) -> list[str]:
        """Keep the outcome for each of the services; answer those for which it is new. `by` tells it."""
        new: list[str] = []
        async with self._database.transaction() as connection:
            for service in services:
                if not await records.add(self._database, connection, service.name, deployment):
                    continue
                new.append(service.name)
                deed = audit.AuditEntry(
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
                await audit.record(connection, deed, now)
                await self._look_for_bypass(connection, deployment, service, by, now)
        return new

    async def _look_for_bypass(
        self, connection: AsyncConnection, deployment: Deployment, service: Service, by: str, now: datetime
    ) -> None:
        """Audit and tell it if the gate would have refused the deployment as it began."""
        if deployment.state is not DeploymentState.SUCCEEDED or not deployment.is_production:
            return
        change = Change(deployment.change or deployment.commit, deployment.kind)
        at = deployment.started_at
        verdict = await verdict_at(connection, service, change, at, deployment.is_called)
        if verdict.allow:
            return
        deed = audit.AuditEntry(
            by,
            "freeze.bypassed",
            deployment.subject,
            "; ".join(verdict.reasons),
            service.name,
            after={"deployment": deployment.id, "holds": [hold.id for hold in verdict.holds]},
        )
        await audit.record(connection, deed, now)
        await enqueue(connection, self._announce(FreezeBypass(service, deployment, verdict.holds)), now)
