"""Shows canaries, and pauses, aborts and promotes them: asked for, done, recorded and announced."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.canaries.canary import (
    Canary,
    CanaryAction,
    CanaryBackend,
    CanaryError,
    CanaryFrozenError,
    CanaryStateError,
    DuplicateActionError,
    change_name,
)
from bot.catalog.catalog import Service
from bot.catalog.clusters import CanarySettings, ClusterSettings
from bot.clock import Clock
from bot.freezes.gate.begun import BegunChange
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from bot.store import audit, idempotency
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue

_AT_ONCE = 8
_DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class CanarySteered:
    """What a person did with a canary, as it was before."""

    canary: Canary
    action: CanaryAction
    by: str
    reason: str
    channel: str


@dataclass(frozen=True, slots=True)
class CanaryReading:
    """A canary as it was read, or why it could not be."""

    settings: CanarySettings
    cluster: ClusterSettings
    canary: Canary | None
    problem: str = ""


Announce = Callable[[CanarySteered], Sequence[OutboxMessage]]
"""Returns the messages that tell of it; pure, because it runs within the transaction."""


class CanaryControl:
    """Reads and steers the canaries that the policies in force name."""

    def __init__(
        self,
        backend: CanaryBackend,
        status_reader: StatusReader,
        database: Database,
        clock: Clock,
        announce: Announce,
    ) -> None:
        self._backend = backend
        self._status_reader = status_reader
        self._database = database
        self._clock = clock
        self._announce = announce

    def named(self, services: Collection[str]) -> Sequence[tuple[ClusterSettings, CanarySettings]]:
        """Return the canaries of some services, as the policies name them."""
        return [
            (cluster, settings)
            for cluster in self._status_reader.catalog.workspace.gates.clusters
            for settings in cluster.canaries
            if settings.service in services
        ]

    async def read(self, services: Collection[str]) -> Sequence[CanaryReading]:
        """Return the canaries of some services as they are now; one that cannot be read hides no other."""
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(cluster: ClusterSettings, settings: CanarySettings) -> CanaryReading:
            async with turns:
                try:
                    return CanaryReading(settings, cluster, await self._backend.read(cluster, settings))
                except CanaryError as error:
                    return CanaryReading(settings, cluster, None, str(error))

        return await asyncio.gather(*(one(*each) for each in self.named(services)))

    async def steer(
        self,
        cluster: ClusterSettings,
        settings: CanarySettings,
        action: CanaryAction,
        *,
        by: str,
        reason: str,
        request: str,
    ) -> Canary:
        """Do it, record and announce it; return the canary as it was before. Raises `CanaryError`.

        A promotion is asked for as an increase of a flag is: the verdict decides. Pausing and aborting are
        always allowed.
        """
        service = self._status_reader.find(settings.service)
        canary = await self._backend.read(cluster, settings)
        if action.raises:
            await self._require_verdict(service, canary)
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await idempotency.is_first(self._database, connection, f"canary {request}", now):
                raise DuplicateActionError("this was done already")
            await audit.record(connection, _entry("canary.asked", canary, action, by, reason), now)
        try:
            await self._backend.carry_out(canary, action)
        except CanaryError as error:
            await self._record_failure(canary, action, by, str(error))
            raise
        steered = CanarySteered(canary, action, by, reason, service.channel)
        stopped = "canary.paused" if action is CanaryAction.PAUSE else "canary.aborted"
        is_promoted = action in {CanaryAction.PROMOTE, CanaryAction.PROMOTE_FULLY}
        done = "canary.promoted" if is_promoted else stopped
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await audit.record(connection, _entry(done, canary, action, by, reason), now)
            await enqueue(connection, self._announce(steered), now)
        return canary

    async def _require_verdict(self, service: Service, canary: Canary) -> None:
        """Raise `CanaryFrozenError` where the service is frozen, or the guard finds that it does harm.

        An exemption may name the canary, or the digest of its image.
        """
        if not canary.is_under_way:
            raise CanaryStateError(f"{canary.name} is {canary.phase}: there is nothing to promote")
        environment = canary.cluster.environment
        digests = [image.rpartition("@")[2] for image in canary.images if f"@{_DIGEST}" in image]
        verdicts = [
            await self._status_reader.verdict(
                service.name, Change(name, environment=environment), is_deployment=False
            )
            for name in (change_name(canary), *digests)
        ]
        back = [verdict for verdict in verdicts if verdict.answer is VerdictAnswer.BACK]
        if back:
            raise CanaryFrozenError(canary, back[0])
        if not any(verdict.allow for verdict in verdicts):
            raise CanaryFrozenError(canary, verdicts[0])
        failure = await self._failure(service, canary, self._clock.now())
        if failure is not None:
            raise CanaryFrozenError(canary, _back(verdicts[0], failure))

    async def _failure(self, service: Service, canary: Canary, now: datetime) -> str | None:
        """Return what the guard finds against the change since the canary began, while it is watched."""
        watch = service.error_budget_policy.guard.watch_for
        if canary.started_at is None or now >= canary.started_at + watch:
            return None
        begun = BegunChange(service.name, change_name(canary), canary.started_at)
        failure = await self._status_reader.find_guard_failure(service, begun)
        return None if failure is None else failure.reason

    async def _record_failure(self, canary: Canary, action: CanaryAction, by: str, why: str) -> None:
        async with self._database.transaction() as connection:
            entry = _entry("canary.not_done", canary, action, by, why)
            await audit.record(connection, entry, self._clock.now())


def _back(verdict: Verdict, reason: str) -> Verdict:
    return Verdict(
        VerdictAnswer.BACK,
        verdict.service,
        verdict.change,
        (reason,),
        (),
        None,
        verdict.budget,
        verdict.as_of,
    )


def _entry(action_name: str, canary: Canary, action: CanaryAction, by: str, reason: str) -> audit.AuditEntry:
    before = {"phase": str(canary.phase), "weight": canary.weight, "step": canary.step}
    after = {"asked": str(action), "cluster": canary.cluster.name, "images": list(canary.images[:10])}
    return audit.AuditEntry(
        by, action_name, f"canary {canary.name}", reason, canary.settings.service, before, after
    )
