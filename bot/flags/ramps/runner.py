"""Takes the steps of ramps: asks the rules in `ramp.py` for the next move and carries it out.

A ramp is moved when its next step is due and after each evaluation of its service, by one loop only.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from bot.flags.backend import BackendOutcomeUnknownError, FlagConflictError, FlagError
from bot.flags.change import Restore, SetExposure
from bot.flags.change_request import ChangeCause, ChangeRequest, FlagChangeError, change_name
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import RampPaused, RampResumed, RevertFailed
from bot.flags.flag import FlagState, exposure_in_words
from bot.flags.ownership import LatestBudgets, owners, readings
from bot.flags.ramp import (
    AbandonRamp,
    FinishRamp,
    Move,
    PauseCause,
    Paused,
    Ramp,
    RecordStepTaken,
    RevertRamp,
    TakeStep,
    WaitUntil,
    decide_move,
)
from bot.flags.ramps.writer import RampWriter
from bot.flags.records import ramps as ramp_records
from bot.flags.records.ramps import RampState, StoredRamp
from bot.freezes.hold import GOVERNOR
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change, Verdict

log = structlog.get_logger(__name__)

_PASSING = (FlagConflictError, BackendOutcomeUnknownError)
_RETRY = timedelta(seconds=15)


class RampRunner:
    """Moves ramps. `latest` answers the budgets as of a service's last evaluation."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        keeper: RampWriter,
        status_reader: StatusReader,
        latest: LatestBudgets,
    ) -> None:
        self._flag_changes = flag_changes
        self._keeper = keeper
        self._status_reader = status_reader
        self._latest = latest

    async def tick(self, evaluated: Collection[str]) -> None:
        """Move every ramp that is due, and those whose service was just `evaluated`."""
        now = self._keeper.clock.now()
        async with self._keeper.database.reading() as connection:
            kept = await ramp_records.running(connection)
        for one in kept:
            is_due = one.ramp.next_share is not None and one.progress().due_at <= now and one.told is None
            services = {service.name for service in owners(self._status_reader.catalog, one.ramp.flag)}
            waits = one.retry_at is not None and now < one.retry_at
            if not waits and (is_due or one.ramp.begun or not services.isdisjoint(evaluated)):
                await self._move_safely(one, now)

    async def _move_safely(self, kept: StoredRamp, now: datetime) -> None:
        try:
            await self._move(kept, now)
        except (FlagError, FlagChangeError) as error:
            log.warning("ramp_step_failed", flag=kept.ramp.flag, error=str(error))
            await self._stumble(kept, error, now)

    async def _move(self, kept: StoredRamp, now: datetime) -> None:
        ramp = kept.ramp
        services = owners(self._status_reader.catalog, ramp.flag)
        burns = readings(services, self._latest)
        if burns is None:
            return
        verdict = await self._verdict([service.name for service in services], ramp)
        if verdict is None:
            await self._keeper.end(kept, RampState.STOPPED, GOVERNOR, "no service names the flag any more")
            return
        state = await self._flag_changes.backend.read(ramp.flag, ramp.environment)
        await self._carry_out(kept, decide_move(ramp, state, verdict, burns, now), now)

    async def _carry_out(self, kept: StoredRamp, move: Move, now: datetime) -> None:
        match move:
            case WaitUntil() | TakeStep() if kept.told is not None:
                await self._keeper.steer(
                    kept, kept.ramp.held_by, None, RampResumed(GOVERNOR, kept.progress())
                )
            case WaitUntil():
                pass
            case TakeStep(share, version):
                await self._take(kept, share, version, now)
            case RecordStepTaken(after):
                await self._flag_changes.settle_step(kept.id, after)
            case Paused(cause, why):
                if kept.told is None or kept.told[0] != cause:
                    goes_on = cause is not PauseCause.PERSON
                    held = RampPaused(GOVERNOR, why, kept.progress(), goes_on)
                    await self._keeper.steer(kept, kept.ramp.held_by, (cause, why), held)
            case RevertRamp(evidence, to):
                await self._go_back(kept, evidence.words, to)
            case FinishRamp():
                async with self._keeper.database.transaction() as connection:
                    done, running = RampState.DONE, RampState.RUNNING
                    await ramp_records.transition(connection, kept.id, to=done, since=running, now=now)
            case AbandonRamp(found):
                await self._flag_changes.settle_step(kept.id, None)
                why = f"somebody else changed the flag, it is {exposure_in_words(found)} now"
                await self._keeper.end(kept, RampState.STOPPED, GOVERNOR, why)
            case _:
                assert_never(move)

    async def _take(self, kept: StoredRamp, share: float, version: str, now: datetime) -> None:
        ramp = kept.ramp
        await self._flag_changes.settle_step(kept.id, None)
        order = ChangeRequest(
            ramp.flag,
            ramp.environment,
            SetExposure(share),
            GOVERNOR,
            f"step {ramp.taken + 1} of {len(ramp.steps)} of the ramp asked for by {kept.by}: {kept.reason}",
            f"ramp:{kept.id}:{ramp.taken + 1}:{now.timestamp():.6f}",
            cause=ChangeCause.RAMP,
            version=version,
            approved_by=kept.approved_by,
            ramp=kept.id,
        )
        await self._flag_changes.order(order)

    async def _go_back(self, kept: StoredRamp, evidence: str, to: FlagState) -> None:
        ramp = kept.ramp
        order = ChangeRequest(
            ramp.flag,
            ramp.environment,
            Restore(to),
            GOVERNOR,
            evidence,
            f"ramp:{kept.id}:back",
            cause=ChangeCause.GUARD,
            version=ramp.version,
            ramp=kept.id,
            service=ramp.service,
        )
        try:
            await self._flag_changes.order(order)
        except FlagError as error:
            if error.retryable:
                raise
            await self._cannot_go_back(kept, to, evidence, str(error))

    async def _cannot_go_back(self, kept: StoredRamp, to: FlagState, evidence: str, why: str) -> None:
        now, ramp, keeper = self._keeper.clock.now(), kept.ramp, self._keeper
        async with keeper.database.transaction() as connection:
            await ramp_records.transition(
                connection, kept.id, to=RampState.STOPPED, since=RampState.RUNNING, now=now
            )
            left = RevertFailed(ChangeCause.GUARD, to, evidence, why, tries_again=False)
            await keeper.teller.tell(connection, left, ramp.flag, ramp.environment, now)

    async def _stumble(self, kept: StoredRamp, error: FlagError | FlagChangeError, now: datetime) -> None:
        """Try again later, or stop where trying again cannot help."""
        # A conflict is looked at again: the rules tell somebody else's change from this ramp's own.
        if isinstance(error, FlagError) and not (error.retryable or isinstance(error, _PASSING)):
            await self._keeper.end(kept, RampState.STOPPED, GOVERNOR, str(error))
            return
        async with self._keeper.database.transaction() as connection:
            await ramp_records.postpone(connection, kept.id, now + _RETRY)

    async def _verdict(self, services: Sequence[str], ramp: Ramp) -> Verdict | None:
        """Return the first no among the services' verdicts, else a yes; None where there is no service."""
        verdict = None
        for name in services:
            verdict = await self._status_reader.verdict(name, Change(id=change_name(ramp.flag)))
            if not verdict.allow:
                break
        return verdict
