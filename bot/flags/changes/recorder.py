"""Stores the outcome of a change, what follows from it, and its announcement, in one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.flags.backend import ChangePlan
from bot.flags.change import Difference, Direction, Kill, TurnOff
from bot.flags.change_request import (
    ChangeApplied,
    ChangeCause,
    ChangeInProgressError,
    ChangeRequest,
    DuplicateChangeError,
    Unchanged,
)
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import (
    ApprovalDeclined,
    ApprovalRequested,
    ChangeFailed,
    FlagChanged,
    LoweredFlag,
    RampProgress,
    RampStopped,
)
from bot.flags.flag import FlagState, state_as_json, subject
from bot.flags.ownership import LatestBudgets, baseline, guard_of, is_protected, owners, readings
from bot.flags.records import changes, reverts
from bot.flags.records import ramps as ramp_records
from bot.flags.records.changes import ChangeState, StoredChange
from bot.flags.records.history import CHANGES, history
from bot.flags.records.ramps import RampState
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.records.sightings import record_seen
from bot.store import audit
from bot.store.database import Database

_LONGEST_WARNING = timedelta(minutes=10)
_MOST_BEFORE = 20
"""How many changes of a flag before it was undone may have done what it was undone for."""


OnLowered = Callable[[AsyncConnection, LoweredFlag, datetime], Awaitable[None]]
"""Hears of a flag that was undone, within the transaction."""


class ChangeRecorder:
    """Stores what happens to changes. `latest` returns a service's budgets as of its last evaluation."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        publisher: EventPublisher,
        clock: Clock,
        latest: LatestBudgets,
        *,
        on_lowered: OnLowered | None = None,
    ) -> None:
        self._database = database
        self._current = current
        self._publisher = publisher
        self._clock = clock
        self._latest = latest
        self._on_lowered = on_lowered

    async def request_approval(self, request: ChangeRequest, plan: ChangePlan) -> int:
        """Store and announce a change that waits for another person; return its number."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            id_ = await changes.insert(
                connection, self._database, request, plan, state=ChangeState.PENDING, now=now
            )
            event = ApprovalRequested(f"change:{id_}", plan.difference.words, request.by, request.reason)
            await self._publisher.publish(connection, event, request.flag, request.environment, now)
        return id_

    async def begin(self, request: ChangeRequest, plan: ChangePlan) -> StoredChange:
        """Store a change that is about to be sent."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            id_ = await changes.insert(
                connection, self._database, request, plan, state=ChangeState.SENDING, now=now
            )
        return StoredChange(id_, request, ChangeState.SENDING, plan.version, plan.difference, now)

    async def close(self, stored: StoredChange, to: ChangeState, entry: audit.AuditEntry) -> bool:
        """End a pending change; return whether it was still pending."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            was_pending = await changes.transition(
                connection, stored.id, to=to, since=ChangeState.PENDING, settled_at=now, problem=entry.reason
            )
            if was_pending:
                await audit.record(connection, entry, now)
        return was_pending

    async def decline(self, stored: StoredChange, by: str, comment: str) -> bool:
        """End a pending change that a person declines, and announce it; return whether it was pending."""
        now, request = self._clock.now(), stored.request
        async with self._database.transaction() as connection:
            was_pending = await changes.transition(
                connection,
                stored.id,
                to=ChangeState.DECLINED,
                since=ChangeState.PENDING,
                settled_at=now,
                problem=comment or "declined",
            )
            if was_pending:
                event = ApprovalDeclined(stored.difference.words, by, request.by, comment)
                await self._publisher.publish(connection, event, request.flag, request.environment, now)
        return was_pending

    async def approve(self, stored: StoredChange, by: str, comment: str) -> StoredChange | None:
        """Store that an approved change is about to be sent; return None if it is no longer pending.

        Raises `ChangeInProgressError` while another change of the flag is being sent.
        """
        sending, pending, now = ChangeState.SENDING, ChangeState.PENDING, self._clock.now()
        try:
            async with self._database.transaction() as connection:
                was_pending = await changes.transition(
                    connection,
                    stored.id,
                    to=sending,
                    since=pending,
                    approved_by=by,
                    approval_comment=comment or None,
                    created_at=now,
                )
        except IntegrityError as error:
            request = stored.request
            raise ChangeInProgressError.of(request.flag, request.environment) from error
        approved = replace(stored.request, approved_by=by, approval_comment=comment)
        return replace(stored, request=approved, state=sending, created_at=now) if was_pending else None

    async def record_unchanged(self, request: ChangeRequest, state: FlagState) -> Unchanged:
        """Let the flag stay as it is, as a person wants it; return what will not move it any more.

        A flag that is to be on stays on after its time. One that is to be off does not come back with the
        budget, and its ramp ends.
        """
        if request.is_by_governor or request.keep_for is not None:
            return Unchanged(state)
        is_to_be_off = isinstance(request.change, TurnOff | Kill)
        kinds = (RevertKind.TIMER, RevertKind.LOWERED) if is_to_be_off else (RevertKind.TIMER,)
        now, flag = self._clock.now(), (request.flag, request.environment)
        async with self._database.transaction() as connection:
            ended_ramp = is_to_be_off and await self._stop_ramp(connection, request, now)
            pending = [each for kind in kinds for each in await reverts.open_reverts(connection, kind)]
            cancelled = [each for each in pending if (each.state.flag, each.state.environment) == flag]
            for revert in cancelled:
                await reverts.end(connection, revert, "kept off" if is_to_be_off else "kept on", now)
                before = {"until": revert.until.isoformat() if revert.until else None}
                action = "flag.kept_off" if is_to_be_off else "flag.kept_on"
                entry = audit.AuditEntry(request.by, action, subject(*flag), request.reason, before=before)
                await audit.record(connection, entry, now)
        return Unchanged(state, bool(cancelled), ended_ramp)

    async def _stop_ramp(self, connection: AsyncConnection, request: ChangeRequest, now: datetime) -> bool:
        """End the flag's ramp and announce it; return whether there was one."""
        stored = await ramp_records.find_active(connection, request.flag, request.environment)
        if stored is None or not await ramp_records.transition(
            connection, stored.id, to=RampState.STOPPED, since=stored.state, now=now
        ):
            return False
        stopped = RampStopped(request.by, "the flag stays off", stored.progress())
        await self._publisher.publish(connection, stopped, request.flag, request.environment, now)
        return True

    async def record_failure(self, stored: StoredChange, why: str, *, announce: bool = False) -> None:
        """Record that the change did not happen; `announce` it where nobody waits for an answer."""
        now, request = self._clock.now(), stored.request
        async with self._database.transaction() as connection:
            was_sending = await changes.transition(
                connection,
                stored.id,
                to=ChangeState.FAILED,
                since=ChangeState.SENDING,
                settled_at=now,
                problem=why,
            )
            if was_sending and announce:
                event = ChangeFailed(stored.difference.words, request.by, why)
                await self._publisher.publish(connection, event, request.flag, request.environment, now)

    async def record_applied(
        self, stored: StoredChange, difference: Difference, seen_after: timedelta | None
    ) -> ChangeApplied:
        """Record the change as it came about and what follows from it, and announce it.

        Raises `DuplicateChangeError` if somebody else has recorded it.
        """
        now, request, after = self._clock.now(), stored.request, difference.after
        async with self._database.transaction() as connection:
            was_sending = await changes.transition(
                connection,
                stored.id,
                to=ChangeState.DONE,
                since=ChangeState.SENDING,
                settled_at=now,
                before=state_as_json(difference.before),
                after=state_as_json(after),
            )
            if not was_sending:
                raise DuplicateChangeError(f"this request changed {request.flag} before")
            ended = await reverts.end_others(connection, after, request.revert_id, now)
            progress, ended_ramp = await self._update_ramp(connection, request, after, now)
            had_timer = RevertKind.TIMER in ended
            until = await self._store_timed_reverts(connection, request, difference, now, had_timer=had_timer)
            watched_until = None
            if progress is None:
                # A ramp that goes on watches its own steps.
                watched_until = await self._store_watch(connection, request, difference, now)
            await record_seen(connection, self._database, after, now)
            await self._tell_lowered(connection, request, difference, now)
            applied = ChangeApplied(difference, seen_after, until, watched_until)
            event = FlagChanged(request, applied, progress, ended_ramp, had_timer)
            await self._publisher.publish(connection, event, request.flag, request.environment, now)
        return applied

    async def _tell_lowered(
        self, connection: AsyncConnection, request: ChangeRequest, difference: Difference, now: datetime
    ) -> None:
        """Tell that the guard rolled a flag back where it is protected, or that a person switched it off."""
        by_guard = request.cause is ChangeCause.GUARD
        is_kill = request.cause is ChangeCause.PERSON and difference.after.is_off
        catalog = self._current.catalog
        if self._on_lowered is None or difference.direction is not Direction.LOWERS:
            return
        if not (by_guard or is_kill) or not is_protected(catalog, request.environment):
            return
        flag = (request.flag, request.environment)
        before = await history(connection, *flag, limit=_MOST_BEFORE, actions=CHANGES)
        for service in owners(catalog, request.flag):
            times = tuple(row.at for row in before)
            lowered = LoweredFlag(service.name, subject(*flag), request.by, by_guard, times)
            await self._on_lowered(connection, lowered, now)

    async def _update_ramp(
        self, connection: AsyncConnection, request: ChangeRequest, after: FlagState, now: datetime
    ) -> tuple[RampProgress | None, bool]:
        """Take the ramp's step or end it; return its progress, and whether another's ramp ended."""
        if request.ramp_id is None:
            return None, await ramp_records.end_active(connection, after, now)
        if request.cause is ChangeCause.RAMP:
            stored = await ramp_records.take_step(connection, request.ramp_id, after, now)
            return (stored.progress() if stored.state is RampState.RUNNING else None), False
        await ramp_records.transition(
            connection, request.ramp_id, to=RampState.REVERTED, since=RampState.RUNNING, now=now
        )
        return None, False

    async def _store_timed_reverts(
        self,
        connection: AsyncConnection,
        request: ChangeRequest,
        difference: Difference,
        now: datetime,
        *,
        had_timer: bool,
    ) -> datetime | None:
        """Store the reverts of a change for a time or until recovery; return when the time is over.

        A flag that was on for a time does not come back with the budget: it would stay on for good.
        """
        before, version = difference.before, difference.after.version
        until = None
        if request.keep_for:
            until = now + request.keep_for
            warn_at = until - min(_LONGEST_WARNING, request.keep_for / 4)
            timer = PendingRevert(
                RevertKind.TIMER, before, version, request.by, now, until=until, warn_at=warn_at
            )
            await reverts.insert(self._database, connection, timer)
        if request.cause is ChangeCause.EXHAUSTED and not had_timer:
            lowered = PendingRevert(
                RevertKind.LOWERED, before, version, request.by, now, service=request.service
            )
            await reverts.insert(self._database, connection, lowered)
        return until

    async def _store_watch(
        self, connection: AsyncConnection, request: ChangeRequest, difference: Difference, now: datetime
    ) -> datetime | None:
        """Store the guard's watch over an increase in a protected environment; return when it ends."""
        catalog = self._current.catalog
        services = [service for service in owners(catalog, request.flag) if service.slos]
        raises = difference.direction is Direction.RAISES and is_protected(catalog, request.environment)
        if not services or not raises:
            return None
        guard = guard_of(services)
        watched_until = now + guard.watch
        watch = PendingRevert(
            RevertKind.WATCH,
            difference.before,
            difference.after.version,
            request.by,
            now,
            service=services[0].name,
            until=watched_until,
            guard=guard,
            baseline=baseline(readings(services, self._latest)),
        )
        await reverts.insert(self._database, connection, watch)
        return watched_until
