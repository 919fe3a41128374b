"""Changes of flags, carried out: planned, judged, approved where that is needed, applied, and read back.

    order ── plan ──┬── nothing to do
                    ├── raises, and a service is frozen ──────────── Barred
                    ├── raises, in a protected environment ── asked ─┬─ declined, void
                    │                                                │ approved by another person
                    └── written down as `sending` ◄──────────────────┘
                        └── applied on the planned version ── read back ── recorded and told at once

A crash after `sending` leaves a row that `settle` finds: it looks at the flag, and either records what came
about or finishes it. The flag system's version check sees to it that nothing is done twice.
"""

import asyncio
import time
from collections.abc import Callable
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
from bot.flags.change import Difference, Direction, Kill, Restore
from bot.flags.change_request import (
    ApprovalPending,
    ChangeApplied,
    ChangeCause,
    ChangeRequest,
    FlagMovedError,
    FrozenError,
    NothingToUndoError,
    NotPendingError,
    Outcome,
    OwnApprovalError,
    Unchanged,
    UnconfirmedChangeError,
    change_name,
)
from bot.flags.changes.recorder import ChangeRecorder
from bot.flags.flag import FlagState, subject
from bot.flags.ownership import channels, is_protected, owners
from bot.flags.records import changes
from bot.flags.records.changes import ChangeState, StoredChange
from bot.freezes.status import StatusReader
from bot.freezes.verdict import Change
from bot.store import audit

log = structlog.get_logger(__name__)

READ_BACK_DELAYS_S = (0.0, 0.1, 0.3, 0.6, 1.0, 2.0, 3.0)
"""How long to wait before each look at a flag that was just changed, in seconds."""
APPROVAL_LIFETIME = timedelta(hours=24)
_SAME_SHARE = 1e-6
_MAY_BE_ON_ITS_WAY = timedelta(seconds=15)
_CHANGED_MEANWHILE = "the flag was changed meanwhile, or the change did not arrive whole"


class ChangeExecutor:
    """Carries orders out. `backend` answers the flag system in force."""

    def __init__(
        self,
        backend: Callable[[], FlagBackend],
        recorder: ChangeRecorder,
        status_reader: StatusReader,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._recorder = recorder
        self._status_reader = status_reader
        self._clock = clock
        self._under_way: set[int] = set()

    @property
    def backend(self) -> FlagBackend:
        """The flag system in force."""
        return self._backend()

    @property
    def catalog(self) -> Catalog:
        """The policies in force."""
        return self._status_reader.catalog

    async def order(self, order: ChangeRequest) -> Outcome:
        """Carry the order out, or have it wait for another person; raises `ToggleError` and `FlagError`."""
        plan = await self.backend.plan(order.flag, order.environment, order.change)
        if order.version is not None and plan.version != order.version:
            raise FlagConflictError(order.flag, order.environment, plan.difference.before)
        if _is_as_wanted(plan.difference) and await self._is_enough(order, plan.version):
            stays = not order.is_by_governor and order.keep_for is None
            return Unchanged(plan.difference.before, stays and await self._recorder.keep_on(order))
        if plan.difference.direction is Direction.RAISES:
            await self.require_open(order.flag)
            if not order.is_by_governor and is_protected(self.catalog, order.environment):
                room = channels(self.catalog, owners(self.catalog, order.flag))[0]
                return ApprovalPending(await self._recorder.ask(order, plan), plan.difference, room)
        return await self._send(await self._recorder.begin(order, plan))

    async def _is_enough(self, order: ChangeRequest, version: str) -> bool:
        """Return whether a flag that is as wanted needs no order: a kill goes further than off, once."""
        if not isinstance(order.change, Kill):
            return True
        async with self._recorder.database.reading() as connection:
            last = await changes.last_done(connection, order.flag, order.environment)
        if last is None or not isinstance(last.order.change, Kill):
            return False
        return last.difference.after.version == version

    async def undo(self, order: ChangeRequest) -> Outcome:
        """Bring back what the flag was before the bot's last change, if that is still the last.

        `order.change` is not read.
        """
        async with self._recorder.database.reading() as connection:
            last = await changes.last_done(connection, order.flag, order.environment)
        if last is None:
            raise NothingToUndoError(f"Governor has not changed {order.flag} in {order.environment} yet")
        found = await self.backend.read(order.flag, order.environment)
        if found.version != last.difference.after.version:
            why = f"somebody has changed {order.flag} in {order.environment} since Governor's last change"
            raise NothingToUndoError(why)
        back = Restore(last.difference.before)
        return await self.order(replace(order, change=back, version=found.version))

    async def approve(self, id_: int, by: str) -> tuple[StoredChange, ChangeApplied]:
        """Carry out what waits, if it is still exactly what was shown; raises `ToggleError`, `FlagError`."""
        kept = await self._waiting(id_)
        if kept.order.by == by:
            raise OwnApprovalError("an increase needs another person's approval")
        order = kept.order
        plan = await self.backend.plan(order.flag, order.environment, order.change)
        if plan.version != kept.version or plan.difference.words != kept.difference.words:
            await self._close(kept, ChangeState.VOID, by, "flag.void", "the flag moved since it was shown")
            raise FlagMovedError("the flag moved since this was shown", plan.difference.before)
        await self.require_open(order.flag)
        approved = await self._recorder.approve(kept, by)
        if approved is None:
            raise NotPendingError("somebody else was quicker")
        return approved, await self._send(approved)

    async def decline(self, id_: int, by: str) -> StoredChange:
        """End what waits; raises `NotPendingError`."""
        kept = await self._waiting(id_)
        if not await self._close(kept, ChangeState.DECLINED, by, "flag.declined", "declined"):
            raise NotPendingError("somebody else was quicker")
        return kept

    async def waiting(self, id_: int) -> StoredChange:
        """Return what waits for approval; raises `NotPendingError`."""
        return await self._waiting(id_)

    async def require_open(self, flag: str) -> None:
        """Ask the one verdict for each service of the flag; raises `FrozenError` at the first no."""
        for service in owners(self.catalog, flag):
            verdict = await self._status_reader.verdict(service.name, Change(id=change_name(flag)))
            if not verdict.allow:
                raise FrozenError(verdict, flag)

    async def settle(self) -> None:
        """Find out about every change that was sent and not recorded: after a crash, or without an answer.

        Those of ramps are left to the ramps. An increase that never arrived is dropped, for nobody knows
        whether it is still wanted; anything else is sent again.
        """
        async with self._recorder.database.reading() as connection:
            found = await changes.in_flight(connection)
        for kept in found:
            is_fresh = self._clock.now() - kept.created_at < _MAY_BE_ON_ITS_WAY
            if is_fresh or kept.id in self._under_way or kept.order.cause is ChangeCause.RAMP:
                continue
            try:
                await self._settle(kept)
            except FlagError as error:
                log.warning("flag_change_unsettled", flag=kept.order.flag, error=str(error))

    async def settle_step(self, ramp: int, after: FlagState | None) -> None:
        """Record what became of a ramp's step that was found begun: `after`, or nothing."""
        async with self._recorder.database.reading() as connection:
            found = await changes.in_flight(connection)
        for kept in found:
            if (
                kept.order.ramp != ramp
                or kept.order.cause is not ChangeCause.RAMP
                or kept.id in self._under_way
            ):
                continue
            if after is None:
                await self._recorder.failed(kept, "it never arrived")
            else:
                await self._recorder.done(kept, Difference(kept.difference.before, after), timedelta(0))

    async def _settle(self, kept: StoredChange) -> None:
        order = kept.order
        found = await self.backend.read(order.flag, order.environment)
        if found.version != kept.version:
            if _serves(found, kept.difference.after):
                await self._recorder.done(kept, Difference(kept.difference.before, found), timedelta(0))
            else:
                await self._recorder.failed(kept, _CHANGED_MEANWHILE, tell=True)
        elif kept.difference.direction is Direction.RAISES:
            why = "Governor was restarted before it was carried out, and changed nothing"
            await self._recorder.failed(kept, why, tell=True)
        else:
            await self._send(kept)

    async def _waiting(self, id_: int) -> StoredChange:
        async with self._recorder.database.reading() as connection:
            kept = await changes.find(connection, id_)
        if kept is None or kept.state is not ChangeState.ASKED:
            raise NotPendingError("this was decided already")
        if self._clock.now() - kept.created_at > APPROVAL_LIFETIME:
            raise NotPendingError("this was asked more than a day ago; ask again")
        return kept

    async def _close(self, kept: StoredChange, to: ChangeState, by: str, action: str, why: str) -> bool:
        order = kept.order
        services = owners(self.catalog, order.flag)
        what, service = subject(order.flag, order.environment), services[0].name if services else None
        shown = {"shown": kept.difference.words, "by": order.by}
        return await self._recorder.close(
            kept, to, audit.AuditEntry(by, action, what, why, service, None, shown)
        )

    async def _send(self, kept: StoredChange) -> ChangeApplied:
        """Apply a change that is written down as `sending`, look whether it is live, and record it."""
        order, began = kept.order, time.monotonic()
        self._under_way.add(kept.id)
        try:
            applied = await self._apply(kept)
            seen = await self._is_seen(applied.after)
            seen_after = timedelta(seconds=time.monotonic() - began) if seen else None
            difference = Difference(applied.before, applied.after)
            live = await self._recorder.done(kept, difference, seen_after)
        finally:
            self._under_way.discard(kept.id)
        log.info("flag_changed", flag=order.flag, environment=order.environment, cause=str(order.cause))
        return live

    async def _apply(self, kept: StoredChange) -> AppliedChange:
        order = kept.order
        note = f"{order.by} via Governor: {order.reason}"
        try:
            return await self.backend.apply(
                order.flag, order.environment, order.change, version=kept.version, note=note
            )
        except BackendOutcomeUnknownError as unknown:
            found = await self._look_after(kept)
            if found is None:
                why = "the flag system did not answer; Governor keeps looking, and tells what it finds"
                raise UnconfirmedChangeError(why) from unknown
            return AppliedChange(kept.difference.before, found)
        except FlagError as error:
            await self._recorder.failed(kept, str(error))
            raise

    async def _look_after(self, kept: StoredChange) -> FlagState | None:
        """Look for a change without an answer; None where nobody can tell yet. Raises `FlagError`."""
        order, found = kept.order, None
        for wait_s in READ_BACK_DELAYS_S[:5]:
            await asyncio.sleep(wait_s)
            try:
                found = await self.backend.read(order.flag, order.environment)
            except FlagError as error:
                log.info("flag_not_readable", flag=order.flag, error=str(error))
                continue
            if found.version != kept.version:
                break
        if found is None or found.version == kept.version:
            # It may still arrive: only `settle`, some time later, decides that it will not.
            return None
        if _serves(found, kept.difference.after):
            return found
        await self._recorder.failed(kept, _CHANGED_MEANWHILE)
        raise FlagConflictError(order.flag, order.environment, found)

    async def _is_seen(self, wanted: FlagState) -> bool:
        """Read the flag back until it shows what was written; return whether it did in time."""
        for wait_s in READ_BACK_DELAYS_S:
            await asyncio.sleep(wait_s)
            try:
                if _serves(await self.backend.read(wanted.flag, wanted.environment), wanted):
                    return True
            except FlagError as error:
                log.info("flag_not_readable", flag=wanted.flag, error=str(error))
        return False


def _serves(found: FlagState, wanted: FlagState) -> bool:
    """Return whether a state that was read serves the same people as the one that was wanted."""
    if found.exposure is None or wanted.exposure is None:
        return (found.enabled, found.shape, found.exposure) == (wanted.enabled, wanted.shape, wanted.exposure)
    return found.shape is wanted.shape and abs(found.exposure - wanted.exposure) < _SAME_SHARE


def _is_as_wanted(difference: Difference) -> bool:
    before, after = difference.before, difference.after
    return replace(before, version="", stale=False, url=None) == replace(
        after, version="", stale=False, url=None
    )
