"""Takes the steps of ramps: asks the rules in `ramp.py` for the next move and carries it out.

A ramp is advanced when its next step is due and after each evaluation of its service, by one loop only.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from bot.clock import Clock
from bot.flags.backend import MAY_COME_BACK, BackendOutcomeUnknownError, FlagConflictError, FlagError
from bot.flags.change import Restore, SetExposure
from bot.flags.change_readings import ChangeReadings
from bot.flags.change_request import ChangeCause, ChangeRequest, FlagChangeError, change_name
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import RampPaused, RampResumed, RevertFailed
from bot.flags.flag import FlagState, exposure_in_words
from bot.flags.ownership import owners
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
from bot.store.database import Database
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)

_WORTH_RETRYING = (FlagConflictError, BackendOutcomeUnknownError)
_RETRY_AFTER = timedelta(seconds=15)


class RampRunner:
    """Advances ramps by what `readings` shows of their services."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        writer: RampWriter,
        status_reader: StatusReader,
        *,
        database: Database,
        clock: Clock,
        readings: ChangeReadings,
    ) -> None:
        self._flag_changes = flag_changes
        self._writer = writer
        self._status_reader = status_reader
        self._database = database
        self._clock = clock
        self._readings = readings
        self._failures = ItemFailures("ramp_failed")

    async def tick(self, evaluated: Collection[str]) -> None:
        """Advance every ramp that is due, and those whose service was just `evaluated`."""
        now = self._clock.now()
        async with self._database.reading() as connection:
            running = await ramp_records.running(connection)
        for stored in running:
            services = {service.name for service in owners(self._status_reader.catalog, stored.ramp.flag)}
            waits = stored.retry_at is not None and now < stored.retry_at
            is_due = stored.ramp.begun or stored.is_due(now)
            if waits or not (is_due or not services.isdisjoint(evaluated)):
                continue
            with self._failures.isolate(stored.id) as may_be_tried:
                if may_be_tried:
                    await self._advance_or_retry_later(stored, now)

    async def _advance_or_retry_later(self, stored: StoredRamp, now: datetime) -> None:
        try:
            await self._advance(stored, now)
        except (FlagError, FlagChangeError) as error:
            log.warning("ramp_step_failed", flag=stored.ramp.flag, error=str(error))
            await self._retry_later(stored, error, now)

    async def _advance(self, stored: StoredRamp, now: datetime) -> None:
        ramp = stored.ramp
        services = owners(self._status_reader.catalog, ramp.flag)
        burns = await self._readings.since(services, ramp.taken_at, ramp.flag)
        if burns is None:
            return
        verdict = await self._verdict([service.name for service in services], ramp)
        if verdict is None:
            # The services may come back; until then nothing shows whether a step hurts.
            why = f"no service in the policies names {ramp.flag} among its flags"
            await self._carry_out(stored, Paused(PauseCause.MISSING_DATA, why), now)
            return
        state = await self._flag_changes.backend.read(ramp.flag, ramp.environment)
        is_moved = state.version != ramp.version and not ramp.begun
        if is_moved and await self._flag_changes.is_being_changed(ramp.flag, ramp.environment):
            # By Governor itself: what it records then ends the ramp.
            return
        await self._carry_out(stored, decide_move(ramp, state, verdict, burns, now), now)

    async def _carry_out(self, stored: StoredRamp, move: Move, now: datetime) -> None:
        match move:
            case WaitUntil() | TakeStep() if stored.announced_pause is not None:
                resumed = RampResumed(GOVERNOR, stored.progress())
                await self._writer.store_pause(stored, stored.ramp.held_by, None, resumed)
            case WaitUntil():
                pass
            case TakeStep():
                await self._take_step(stored, move, now)
            case RecordStepTaken(after):
                await self._flag_changes.reconcile_step(stored.id, after)
            case Paused():
                await self._pause(stored, move)
            case RevertRamp(evidence, to):
                await self._revert(stored, evidence.words, to)
            case FinishRamp(undecided):
                await self._writer.finish(stored, now, undecided)
            case AbandonRamp(state):
                await self._flag_changes.reconcile_step(stored.id, None)
                why = f"somebody else changed the flag, it is {exposure_in_words(state)} now"
                await self._writer.end(stored, RampState.STOPPED, GOVERNOR, why)
            case _:
                assert_never(move)

    async def _pause(self, stored: StoredRamp, pause: Paused) -> None:
        """Announce a pause with another cause than the last; nothing while a person holds the ramp anyway."""
        is_announced = stored.announced_pause is not None and stored.announced_pause[0] == pause.cause
        if stored.ramp.held_by is None and not is_announced:
            event = RampPaused(GOVERNOR, pause.why, stored.progress(), resumes_alone=True)
            await self._writer.store_pause(stored, None, (pause.cause, pause.why), event)

    async def _take_step(self, stored: StoredRamp, step: TakeStep, now: datetime) -> None:
        ramp, number = stored.ramp, stored.ramp.taken + 1
        shown = "; ".join(filter(None, (step.undecided, step.compared)))
        doubt = f" (after the step before: {shown})" if shown else ""
        asked_for = f"step {number} of {len(ramp.steps)}{doubt} of the ramp asked for by {stored.by}"
        await self._flag_changes.reconcile_step(stored.id, None)
        request = ChangeRequest(
            ramp.flag,
            ramp.environment,
            SetExposure(step.share),
            GOVERNOR,
            f"{asked_for}: {stored.reason}" if stored.reason else asked_for,
            f"ramp:{stored.id}:{number}:{now.timestamp():.6f}",
            cause=ChangeCause.RAMP,
            version=step.version,
            approved_by=stored.approved_by,
            ramp_id=stored.id,
        )
        await self._flag_changes.execute(request)

    async def _revert(self, stored: StoredRamp, evidence: str, to: FlagState) -> None:
        ramp = stored.ramp
        await self._flag_changes.reconcile_step(stored.id, None)
        request = ChangeRequest(
            ramp.flag,
            ramp.environment,
            Restore(to),
            GOVERNOR,
            evidence,
            f"ramp:{stored.id}:back",
            cause=ChangeCause.GUARD,
            version=ramp.version,
            ramp_id=stored.id,
            service=ramp.service,
        )
        try:
            await self._flag_changes.execute(request)
        except FlagError as error:
            if error.retryable or isinstance(error, MAY_COME_BACK):
                raise
            failure = RevertFailed(ChangeCause.GUARD, to, evidence, str(error), will_retry=False)
            await self._writer.stop_unreverted(stored, failure)

    async def _retry_later(
        self, stored: StoredRamp, error: FlagError | FlagChangeError, now: datetime
    ) -> None:
        """Postpone the ramp, or stop it where trying again cannot help."""
        if isinstance(error, MAY_COME_BACK):
            await self._carry_out(stored, Paused(PauseCause.MISSING_DATA, str(error)), now)
            await self._writer.postpone(stored, now + _RETRY_AFTER)
            return
        # After a conflict the rules tell somebody else's change from this ramp's own.
        if isinstance(error, FlagError) and not (error.retryable or isinstance(error, _WORTH_RETRYING)):
            await self._writer.end(stored, RampState.STOPPED, GOVERNOR, str(error))
        else:
            await self._writer.postpone(stored, now + _RETRY_AFTER)

    async def _verdict(self, services: Sequence[str], ramp: Ramp) -> Verdict | None:
        """Return the first refusal among the services' verdicts, else the last; None without a service."""
        verdict = None
        for name in services:
            verdict = await self._status_reader.verdict(
                name,
                Change(id=change_name(ramp.flag), environment=ramp.environment),
                is_deployment=False,
            )
            if not verdict.allow:
                break
        return verdict
