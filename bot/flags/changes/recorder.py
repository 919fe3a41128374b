"""Writes down what became of a change, what follows from it, and what is told: in one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.flags.backend import ChangePlan
from bot.flags.change import Difference, Direction
from bot.flags.change_request import (
    ChangeApplied,
    ChangeCause,
    ChangeInProgressError,
    ChangeRequest,
    DuplicateChangeError,
)
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import ApprovalRequested, ChangeFailed, FlagChanged, FlagEvent, RampProgress
from bot.flags.flag import FlagState, state_as_json, subject
from bot.flags.ownership import LatestBudgets, baseline, guard_of, is_protected, owners, readings
from bot.flags.records import changes
from bot.flags.records import ramps as ramp_records
from bot.flags.records import reverts as promises
from bot.flags.records.changes import ChangeState, StoredChange
from bot.flags.records.ramps import RampState
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.records.sightings import record_seen
from bot.store import audit
from bot.store.database import Database

_MOST_WARNING = timedelta(minutes=10)


class ChangeRecorder:
    """Keeps changes. `latest` answers the budgets as of a service's last evaluation."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        teller: EventPublisher,
        clock: Clock,
        latest: LatestBudgets,
    ) -> None:
        self.database = database
        self.current = current
        self.teller = teller
        self.clock = clock
        self.latest = latest

    async def ask(self, order: ChangeRequest, plan: ChangePlan) -> int:
        """Write a change down that waits for another person, and show it; return its number."""
        now = self.clock.now()
        async with self.database.transaction() as connection:
            id_ = await changes.insert(
                connection, self.database, order, plan, state=ChangeState.ASKED, now=now
            )
            asked = ApprovalRequested(f"change:{id_}", plan.difference.words, order.by, order.reason)
            await self.teller.tell(connection, asked, order.flag, order.environment, now)
        return id_

    async def begin(self, order: ChangeRequest, plan: ChangePlan) -> StoredChange:
        """Write down that a change is about to be sent."""
        now = self.clock.now()
        async with self.database.transaction() as connection:
            id_ = await changes.insert(
                connection, self.database, order, plan, state=ChangeState.SENDING, now=now
            )
        return StoredChange(id_, order, ChangeState.SENDING, plan.version, plan.difference, now)

    async def close(self, kept: StoredChange, to: ChangeState, entry: audit.AuditEntry) -> bool:
        """End a change that waits for approval; return whether it still waited."""
        now = self.clock.now()
        async with self.database.transaction() as connection:
            was_open = await changes.transition(
                connection, kept.id, to=to, since=ChangeState.ASKED, settled_at=now, problem=entry.reason
            )
            if was_open:
                await audit.record(connection, entry, now)
        return was_open

    async def approve(self, kept: StoredChange, by: str) -> StoredChange | None:
        """Write down that an approved change is about to be sent; None where it does not wait any more.

        Raises `ChangeInProgressError` while another change of the flag is being sent.
        """
        sending, asked, now = ChangeState.SENDING, ChangeState.ASKED, self.clock.now()
        try:
            async with self.database.transaction() as connection:
                was_open = await changes.transition(
                    connection, kept.id, to=sending, since=asked, approved_by=by, created_at=now
                )
        except IntegrityError as error:
            order = kept.order
            raise ChangeInProgressError(
                f"another change of {order.flag} in {order.environment} is on its way"
            ) from error
        approved = replace(kept.order, approved_by=by)
        return replace(kept, order=approved, state=sending, created_at=now) if was_open else None

    async def keep_on(self, order: ChangeRequest) -> bool:
        """Let what was turned on for a time stay on; return whether there was such a time."""
        now = self.clock.now()
        async with self.database.transaction() as connection:
            timers = [
                one
                for one in await promises.open_reverts(connection, RevertKind.TIMER)
                if (one.state.flag, one.state.environment) == (order.flag, order.environment)
            ]
            for timer in timers:
                await promises.end(connection, timer, "kept on", now)
                before = {"until": timer.until.isoformat() if timer.until else None}
                what = subject(order.flag, order.environment)
                await audit.record(
                    connection,
                    audit.AuditEntry(order.by, "flag.kept_on", what, order.reason, before=before),
                    now,
                )
        return bool(timers)

    async def failed(self, kept: StoredChange, why: str, *, tell: bool = False) -> None:
        """Write down that nothing came of it; `tell` the channel where nobody waits for an answer."""
        now, order = self.clock.now(), kept.order
        async with self.database.transaction() as connection:
            moved = await changes.transition(
                connection,
                kept.id,
                to=ChangeState.FAILED,
                since=ChangeState.SENDING,
                settled_at=now,
                problem=why,
            )
            if moved and tell:
                not_done = ChangeFailed(kept.difference.words, order.by, why)
                await self.teller.tell(connection, not_done, order.flag, order.environment, now)

    async def done(
        self, kept: StoredChange, difference: Difference, seen_after: timedelta | None
    ) -> ChangeApplied:
        """Record what came about and what follows; raises `DuplicateChangeError` if somebody else did."""
        now, order = self.clock.now(), kept.order
        after = difference.after
        async with self.database.transaction() as connection:
            moved = await changes.transition(
                connection,
                kept.id,
                to=ChangeState.DONE,
                since=ChangeState.SENDING,
                settled_at=now,
                before=state_as_json(difference.before),
                after=state_as_json(after),
            )
            if not moved:
                raise DuplicateChangeError(f"this request changed {order.flag} before")
            ended = await promises.end_others(connection, after, order.promise, now)
            progress, ended_ramp = await self._ramp(connection, order, after, now)
            live = await self._promise(connection, order, difference, seen_after, now)
            await record_seen(connection, self.database, after, now)
            event: FlagEvent = FlagChanged(order, live, progress, ended_ramp, RevertKind.TIMER in ended)
            await self.teller.tell(connection, event, order.flag, order.environment, now)
        return live

    async def _ramp(
        self, connection: AsyncConnection, order: ChangeRequest, after: FlagState, now: datetime
    ) -> tuple[RampProgress | None, bool]:
        """Take the ramp's step or let it end; return how far it is, and whether another's ramp ended."""
        if order.ramp is None:
            return None, await ramp_records.end_active(connection, after, now)
        if order.cause is ChangeCause.RAMP:
            return (await ramp_records.take_step(connection, order.ramp, after, now)).progress(), False
        await ramp_records.transition(
            connection, order.ramp, to=RampState.WENT_BACK, since=RampState.RUNNING, now=now
        )
        return None, False

    async def _promise(
        self,
        connection: AsyncConnection,
        order: ChangeRequest,
        difference: Difference,
        seen_after: timedelta | None,
        now: datetime,
    ) -> ChangeApplied:
        """Keep what the change may have to be taken back to."""
        until = now + order.keep_for if order.keep_for else None
        back: dict[str, Any] = {"version": difference.after.version, "by": order.by, "since": now}
        if until is not None and order.keep_for is not None:
            warn_at = until - min(_MOST_WARNING, order.keep_for / 4)
            timer = PendingRevert(RevertKind.TIMER, difference.before, **back, until=until, warn_at=warn_at)
            await promises.insert(connection, timer)
        if order.cause is ChangeCause.EXHAUSTED:
            lowered = PendingRevert(RevertKind.LOWERED, difference.before, **back, service=order.service)
            await promises.insert(connection, lowered)
        watched_until = None
        catalog = self.current.catalog
        services = [one for one in owners(catalog, order.flag) if one.slos]
        raises = difference.direction is Direction.RAISES and is_protected(catalog, order.environment)
        if services and raises and order.cause is not ChangeCause.RAMP:
            guard = guard_of(services)
            watched_until = now + guard.watch
            known = baseline(readings(services, self.latest))
            watch = PendingRevert(
                RevertKind.WATCH,
                difference.before,
                **back,
                service=services[0].name,
                until=watched_until,
                guard=guard,
                baseline=known,
            )
            await promises.insert(connection, watch)
        return ChangeApplied(difference, seen_after, until, watched_until)
