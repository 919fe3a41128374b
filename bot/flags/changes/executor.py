"""Changes of flags, carried out: planned, judged, approved where that is needed, applied, and read back.

    request ── plan ──┬── nothing to do
                      ├── raises, and a service is frozen ──────────── FrozenError
                      ├── raises, in a protected environment ── PENDING ─┬─ declined, void
                      │                                                  │ approved by another person
                      └── stored as SENDING ◄────────────────────────────┘
                          └── applied on the planned version ── read back ── recorded and announced at once

Where the policy says so while there is spare (`spare_rules.py`), a raise needs no other person.

A crash after `SENDING` leaves a row that `reconcile` finds: it looks at the flag, and either records what
came about or finishes it. The flag system's version check prevents that anything is done twice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.catalog.catalog import Catalog
from bot.clock import Clock
from bot.flags.backend import (
    AppliedChange,
    BackendOutcomeUnknownError,
    FlagBackend,
    FlagConflictError,
    FlagError,
)
from bot.flags.change import Difference, Direction, Restore
from bot.flags.change_request import (
    ApprovalPending,
    ChangeApplied,
    ChangeCause,
    ChangeInProgressError,
    ChangeRequest,
    FlagChangeError,
    FlagMovedError,
    FrozenError,
    NothingToUndoError,
    NotPendingError,
    Outcome,
    OwnApprovalError,
    UnconfirmedChangeError,
    change_name,
)
from bot.flags.changes.recorder import ChangeRecorder
from bot.flags.changes.spare_rules import SpareRules
from bot.flags.flag import FlagState, is_same_state, subject
from bot.flags.ownership import channels, is_protected, owners
from bot.flags.records import changes
from bot.flags.records import ramps as ramp_records
from bot.flags.records.changes import ChangeState, StoredChange
from bot.flags.records.ramps import RampState
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change
from bot.store import audit
from bot.store.database import Database
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)

READ_BACK_DELAYS_S = (0.0, 0.1, 0.3, 0.6, 1.0, 2.0, 3.0)
"""How long to wait before each reading of a flag that was just changed, in seconds."""
APPROVAL_LIFETIME = timedelta(hours=24)
_SAME_SHARE = 1e-6
_MAY_STILL_ARRIVE = timedelta(seconds=15)
# A ramp looks by itself how far its step came, where it is evaluated.
_STEP_MAY_STILL_ARRIVE = timedelta(minutes=1)
_CHANGED_MEANWHILE = "the flag was changed meanwhile, or the change did not arrive whole"
_NEVER_ARRIVED = "it never arrived in the flag system, and nothing was changed"


class ChangeExecutor:
    """Carries requests out. `backend` returns the flag system in force."""

    def __init__(
        self,
        backend: Callable[[], FlagBackend],
        recorder: ChangeRecorder,
        database: Database,
        status_reader: StatusReader,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._recorder = recorder
        self._database = database
        self._status_reader = status_reader
        self.spare_rules = SpareRules(status_reader)
        self._clock = clock
        self._sending: set[int] = set()
        self._failures = ItemFailures("flag_change_reconciliation_failed")

    @property
    def backend(self) -> FlagBackend:
        """The flag system in force."""
        return self._backend()

    @property
    def catalog(self) -> Catalog:
        """The policies in force."""
        return self._status_reader.catalog

    async def execute(self, request: ChangeRequest) -> Outcome:
        """Carry the request out, or let it wait for approval; raises `FlagChangeError` and `FlagError`."""
        plan = await self.backend.plan(request.flag, request.environment, request.change)
        if request.version is not None and plan.version != request.version:
            if await self.is_being_changed(request.flag, request.environment):
                # Perhaps by this very request, sent before and not answered.
                raise ChangeInProgressError.of(request.flag, request.environment)
            raise FlagConflictError(request.flag, request.environment, plan.difference.before)
        if is_same_state(plan.difference.before, plan.difference.after):
            return await self._recorder.record_unchanged(request, plan.difference.before)
        if plan.difference.direction is Direction.RAISES:
            await self.require_unfrozen(request.flag, request.environment)
            if not request.is_by_governor and is_protected(self.catalog, request.environment):
                rule = await self.spare_rules.approval_rule(request.flag)
                if rule:
                    by_rule = replace(request, reason=f"{request.reason} ({rule})")
                    return await self._send(await self._recorder.begin(by_rule, plan))
                channel = channels(self.catalog, owners(self.catalog, request.flag))[0]
                id_ = await self._recorder.request_approval(request, plan)
                return ApprovalPending(id_, plan.difference, channel)
        return await self._send(await self._recorder.begin(request, plan))

    async def undo(self, request: ChangeRequest) -> Outcome:
        """Restore what the flag was before the bot's last change, if that is still the last.

        `request.change` is not read.
        """
        flag, environment = request.flag, request.environment
        async with self._database.reading() as connection:
            last = await changes.last_done(connection, flag, environment)
        if last is None:
            raise NothingToUndoError(f"Governor has not changed {flag} in {environment} yet")
        state = await self.backend.read(flag, environment)
        if state.version != last.difference.after.version:
            why = f"somebody has changed {flag} in {environment} since Governor's last change"
            raise NothingToUndoError(why)
        restore = Restore(last.difference.before)
        return await self.execute(replace(request, change=restore, version=state.version))

    async def approve(self, id_: int, by: str, comment: str = "") -> tuple[StoredChange, ChangeApplied]:
        """Carry out a pending change, if its difference is still the one that was shown.

        `comment` is what the person says to it, perhaps nothing.

        Raises `FlagChangeError` and `FlagError`.
        """
        pending = await self.pending(id_)
        request = pending.request
        if request.by == by:
            raise OwnApprovalError("an increase needs another person's approval")
        plan = await self.backend.plan(request.flag, request.environment, request.change)
        if plan.version != pending.version or plan.difference.words != pending.difference.words:
            why = "the flag changed since it was shown"
            await self._close(pending, ChangeState.VOID, by, "flag.void", why)
            raise FlagMovedError("the flag changed since this was shown", plan.difference.before)
        await self.require_unfrozen(request.flag, request.environment)
        approved = await self._recorder.approve(pending, by, comment)
        if approved is None:
            raise NotPendingError("somebody else was quicker")
        return approved, await self._send(approved)

    async def decline(self, id_: int, by: str, comment: str = "") -> StoredChange:
        """End a pending change, because of what `comment` says; raises `NotPendingError`."""
        pending = await self.pending(id_)
        if not await self._recorder.decline(pending, by, comment):
            raise NotPendingError("somebody else was quicker")
        return pending

    async def require_unfrozen(self, flag: str, environment: str) -> None:
        """Raise `FrozenError` if the verdict on a service of the flag forbids to raise it there."""
        for service in owners(self.catalog, flag):
            change = Change(id=change_name(flag), environment=environment)
            verdict = await self._status_reader.verdict(service.name, change, is_deployment=False)
            if not verdict.allow:
                raise FrozenError(verdict, flag)

    async def reconcile(self) -> None:
        """Find out about every change that was sent and not recorded: after a crash, or without an answer.

        An increase that never arrived is dropped, because nobody knows whether it is still wanted; anything
        else is sent again.
        """
        for stored in await self._in_flight():
            is_step = stored.request.cause is ChangeCause.RAMP
            patience = _STEP_MAY_STILL_ARRIVE if is_step else _MAY_STILL_ARRIVE
            is_fresh = self._clock.now() - stored.created_at < patience
            if is_fresh or stored.id in self._sending:
                continue
            with self._failures.isolate(stored.id) as is_due:
                if is_due:
                    await self._reconcile_or_log(stored)

    async def _reconcile_or_log(self, stored: StoredChange) -> None:
        try:
            await self._reconcile(stored)
        except (FlagError, FlagChangeError) as error:
            log.warning("flag_change_not_reconciled", flag=stored.request.flag, error=str(error))

    async def reconcile_step(self, ramp: int, after: FlagState | None) -> None:
        """Record the outcome of a ramp's step that was begun: the state `after` it, None if it failed."""
        for stored in await self._in_flight():
            is_step = stored.request.cause is ChangeCause.RAMP and stored.request.ramp_id == ramp
            if not is_step or stored.id in self._sending:
                continue
            if after is None:
                await self._recorder.record_failure(stored, _NEVER_ARRIVED)
            else:
                await self._record_found(stored, after)

    async def is_being_changed(self, flag: str, environment: str) -> bool:
        """Return whether a change of the flag was sent, and its outcome is not recorded yet."""
        return any(
            (stored.request.flag, stored.request.environment) == (flag, environment)
            for stored in await self._in_flight()
        )

    async def _in_flight(self) -> Sequence[StoredChange]:
        async with self._database.reading() as connection:
            return await changes.in_flight(connection)

    async def _reconcile(self, stored: StoredChange) -> None:
        request = stored.request
        state = await self.backend.read(request.flag, request.environment)
        # What Governor does by itself it tries again by itself, or tells why it does not.
        announce = not request.is_by_governor
        if state.version != stored.version:
            if _has_same_exposure(state, stored.difference.after):
                await self._record_found(stored, state)
            elif not await self._is_of_running_ramp(stored):
                await self._recorder.record_failure(stored, _CHANGED_MEANWHILE, announce=announce)
        elif stored.difference.direction is Direction.RAISES:
            await self._recorder.record_failure(stored, _NEVER_ARRIVED, announce=announce)
        else:
            await self._send(stored)

    async def _is_of_running_ramp(self, stored: StoredChange) -> bool:
        """Return whether it is a step of a ramp that itself tells a part of it from another's change."""
        request = stored.request
        if request.cause is not ChangeCause.RAMP or request.ramp_id is None:
            return False
        async with self._database.reading() as connection:
            ramp = await ramp_records.find(connection, request.ramp_id)
        return ramp is not None and ramp.state is RampState.RUNNING

    async def _record_found(self, stored: StoredChange, after: FlagState) -> None:
        """Record a change that turned out to have arrived."""
        difference = Difference(stored.difference.before, after)
        await self._recorder.record_applied(stored, difference, timedelta(0))

    async def pending(self, id_: int) -> StoredChange:
        """Return the change that waits for approval; raises `NotPendingError`."""
        async with self._database.reading() as connection:
            stored = await changes.find(connection, id_)
        if stored is None or stored.state is not ChangeState.PENDING:
            raise NotPendingError("this was decided already")
        if self._clock.now() - stored.created_at > APPROVAL_LIFETIME:
            raise NotPendingError("this was asked more than a day ago; ask again")
        return stored

    async def _close(self, stored: StoredChange, to: ChangeState, by: str, action: str, why: str) -> bool:
        request = stored.request
        services = owners(self.catalog, request.flag)
        service = services[0].name if services else None
        after = {"shown": stored.difference.words, "by": request.by}
        entry = audit.AuditEntry(
            by, action, subject(request.flag, request.environment), why, service, None, after
        )
        return await self._recorder.close(stored, to, entry)

    async def _send(self, stored: StoredChange) -> ChangeApplied:
        """Apply a change that is stored as `SENDING`, read it back, and record it."""
        request, began = stored.request, time.monotonic()
        self._sending.add(stored.id)
        try:
            backend_change = await self._apply(stored)
            seen = await self._is_seen(backend_change.after)
            seen_after = timedelta(seconds=time.monotonic() - began) if seen else None
            difference = Difference(backend_change.before, backend_change.after)
            applied = await self._recorder.record_applied(stored, difference, seen_after)
        finally:
            self._sending.discard(stored.id)
        log.info("flag_changed", flag=request.flag, environment=request.environment, cause=str(request.cause))
        return applied

    async def _apply(self, stored: StoredChange) -> AppliedChange:
        request = stored.request
        note = ": ".join(part for part in (f"{request.by} via Governor", request.reason) if part)
        try:
            return await self.backend.apply(
                request.flag, request.environment, request.change, version=stored.version, note=note
            )
        except BackendOutcomeUnknownError as unknown:
            state = await self._find_outcome(stored)
            if state is None:
                why = "the flag system did not answer; Governor keeps checking, and reports what it finds"
                raise UnconfirmedChangeError(why) from unknown
            return AppliedChange(stored.difference.before, state)
        except FlagError as error:
            await self._recorder.record_failure(stored, str(error))
            raise

    async def _find_outcome(self, stored: StoredChange) -> FlagState | None:
        """Return the flag after a change without an answer; None if that is unknown. Raises `FlagError`."""
        request, state = stored.request, None
        for delay_s in READ_BACK_DELAYS_S[:5]:
            await asyncio.sleep(delay_s)
            try:
                state = await self.backend.read(request.flag, request.environment)
            except FlagError as error:
                log.info("flag_not_read", flag=request.flag, error=str(error))
                continue
            if state.version != stored.version:
                break
        if state is None or state.version == stored.version:
            # It may still arrive: only `reconcile`, some time later, decides that it will not.
            return None
        if _has_same_exposure(state, stored.difference.after):
            return state
        if request.cause is ChangeCause.RAMP:
            # The ramp itself tells a part of its step from another's change.
            return None
        await self._recorder.record_failure(stored, _CHANGED_MEANWHILE)
        raise FlagConflictError(request.flag, request.environment, state)

    async def _is_seen(self, after: FlagState) -> bool:
        """Read the flag back until it shows what was written; return whether it did in time."""
        for delay_s in READ_BACK_DELAYS_S:
            await asyncio.sleep(delay_s)
            try:
                if _has_same_exposure(await self.backend.read(after.flag, after.environment), after):
                    return True
            except FlagError as error:
                log.info("flag_not_read", flag=after.flag, error=str(error))
        return False


def _has_same_exposure(state: FlagState, other: FlagState) -> bool:
    """Return whether the same people see the flag in both states."""
    if state.exposure is None or other.exposure is None:
        return (state.enabled, state.shape, state.exposure) == (other.enabled, other.shape, other.exposure)
    return state.shape is other.shape and abs(state.exposure - other.exposure) < _SAME_SHARE
