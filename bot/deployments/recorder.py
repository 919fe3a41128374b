"""Records deployments and their audit entries, each outcome once however often it is reported.

A deployment to production that the gate would have refused is announced, too.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.deployments import records
from bot.deployments.actor import Actor
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.exemptions.kind_proofs import KindProofs
from bot.freezes.exemptions.proven_kinds import ProvenKinds, ProvenKindUse
from bot.freezes.exemptions.uses import ExemptionUses
from bot.freezes.gate.begun import begin
from bot.freezes.hold import Hold
from bot.freezes.kind_proof import KindProof
from bot.freezes.past_verdict import verdict_at
from bot.freezes.verdict import Change, UnreadyLaunch
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue


@dataclass(frozen=True, slots=True)
class GateBypass:
    """A deployment that the gate would have refused when it began.

    It bypassed the holds of then, or it was the service's first to production and its `launch` checklist
    was not complete, or both.
    """

    service: Service
    deployment: Deployment
    holds: tuple[Hold, ...]
    launch: UnreadyLaunch | None = None


Announce = Callable[[GateBypass], Sequence[OutboxMessage]]
"""Returns the messages that announce a bypass; pure, so that it can run within the transaction."""

ReadUnready = Callable[[AsyncConnection, Service, Deployment], Awaitable[UnreadyLaunch | None]]
"""Returns what kept a service from its first production deployment when this one began."""


async def nothing_required(_: AsyncConnection, __: Service, ___: Deployment) -> None:
    """Require nothing of a service's first production deployment."""


@dataclass(frozen=True, slots=True)
class _AskedChange:
    """What the gate of a service would be asked about, and whether its kind is proven."""

    service: Service
    change: Change
    proof: KindProof | None
    unproven: str


class DeploymentRecorder:
    """Records deployments."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        announce: Announce,
        proven_kinds: ProvenKinds,
        undo_detector: UndoDetector,
        *,
        changes: ChangesPlanner,
        read_unready: ReadUnready = nothing_required,
        kind_proofs: KindProofs | None = None,
    ) -> None:
        self._database = database
        self._current = current
        self._announce = announce
        self._proven_kinds = proven_kinds
        self._uses = ExemptionUses(database)
        self._kind_proofs = kind_proofs or KindProofs()
        self._undo_detector = undo_detector
        self._changes = changes
        self._read_unready = read_unready

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
        changes = {service.name: await self._change_of(deployment, service) for service in services}
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
                await self._report_bypass(connection, deployment, changes[service.name], by, now)
                await self._use_exemption(connection, deployment, service, now)
                await self._undo_detector.examine(
                    connection, service.name, deployment.id, now, kind=deployment.kind
                )
        return recorded

    async def _report_bypass(
        self,
        connection: AsyncConnection,
        deployment: Deployment,
        asked: _AskedChange,
        by: str,
        now: datetime,
    ) -> None:
        """Audit and announce the deployment if the gate would have refused it when it began.

        One that passed only by its kind is told as the gate tells it.
        """
        if deployment.state is not DeploymentState.SUCCEEDED:
            return
        environment = PRODUCTION if deployment.is_production else deployment.environment.casefold()
        if environment == PRODUCTION and not deployment.is_production:
            # It only has that name: whoever deploys declared that it is not production.
            return
        service, change = asked.service, asked.change
        launch = await self._read_unready(connection, service, deployment)
        at = deployment.started_at
        verdict = await verdict_at(
            connection,
            service,
            change,
            at,
            deployment.is_called,
            launch=launch,
            proof=asked.proof,
            unproven=asked.unproven,
        )
        if verdict.allow:
            if verdict.proof is not None:
                use = ProvenKindUse(service, change, verdict.holds, by, verdict.proof)
                await self._proven_kinds.record(connection, use, now)
            return
        # The checklist is the last of the reasons: where it is the only one, the holds let the change pass.
        is_held = verdict.launch is None or verdict.reasons[0] != verdict.launch.reason
        holds = verdict.holds if is_held else ()
        entry = audit.AuditEntry(
            by,
            "freeze.bypassed" if is_held else "readiness.bypassed",
            deployment.subject,
            "; ".join(verdict.reasons),
            service.name,
            after={"deployment": deployment.id, "holds": [hold.id for hold in holds]},
        )
        await audit.record(connection, entry, now)
        bypass = GateBypass(service, deployment, holds, verdict.launch)
        await enqueue(connection, self._announce(bypass), now)

    async def _use_exemption(
        self, connection: AsyncConnection, deployment: Deployment, service: Service, now: datetime
    ) -> None:
        """Note that the change takes traffic in production, and use up the exemption that let it ship."""
        if deployment.state is DeploymentState.SUCCEEDED and deployment.is_production:
            await begin(
                self._database,
                connection,
                service.name,
                deployment.change or deployment.commit,
                told_by="deployment",
                at=deployment.started_at,
                anew=True,
            )
            await self._uses.use(
                connection,
                service,
                _named(deployment, PRODUCTION),
                deployment.is_called,
                used_for=deployment.id,
                at=deployment.started_at,
                now=now,
            )

    async def _change_of(self, deployment: Deployment, service: Service) -> _AskedChange:
        """Return what the gate would be asked about, and whether its kind is proven."""
        environment = PRODUCTION if deployment.is_production else deployment.environment.casefold()
        change = _named(deployment, environment)
        return _AskedChange(service, change, *await self._kind_proofs.verify(service.name, change))


def _named(deployment: Deployment, environment: str) -> Change:
    return Change(
        deployment.change or deployment.commit,
        deployment.kind,
        environment,
        commit=deployment.commit,
        proof=deployment.proof,
        by_agent=deployment.actor is Actor.AGENT,
    )
