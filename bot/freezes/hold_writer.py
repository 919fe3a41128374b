"""Writes what happens to a service's holds: the end of a hold, the audit row and the announcements.

Everything is written on the caller's connection, so that it is committed together with the change itself.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.freezes.audit_entries import entry_of
from bot.freezes.burn import burn_of, ends_burn
from bot.freezes.hold import GOVERNOR, Hold, HoldKind, holds_in_force
from bot.freezes.records import read_holds
from bot.freezes.transition import (
    NO_BACKGROUND,
    Background,
    BudgetExhausted,
    BurnEnded,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    Transition,
)
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.tables.core import holds as hold_rows
from bot.store.threads import end_threads
from bot.store.told_messages import enqueue_end_of_hold
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask

REPLACED = "replaced by a new hold"
HOLD_EXPIRY = "hold expiry"
"""The kind of the tasks that end holds."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TransitionContext:
    """A transition with what its announcement needs: the service, the other holds in force, and the time."""

    transition: Transition | BurnEnded
    service: Service
    other_holds: tuple[Hold, ...]
    now: datetime
    background: Background = NO_BACKGROUND


Announce = Callable[[TransitionContext], Sequence[OutboxMessage]]
"""Returns the messages that announce a transition; pure, because it runs within the transaction."""


Follow = Callable[[AsyncConnection, Service, Sequence[Hold], datetime], Awaitable[None]]
"""Writes what follows where the holds in force on a service, which it is given, may have changed."""


async def nothing_follows(
    _connection: AsyncConnection, _service: Service, _in_force: Sequence[Hold], _now: datetime
) -> None:
    """Write nothing."""


class HoldWriter:
    """Writes transitions; `announce` returns their messages, `follow` writes what else follows."""

    def __init__(self, database: Database, announce: Announce, follow: Follow = nothing_follows) -> None:
        self._database = database
        self._announce = announce
        self._follow = follow

    async def insert(self, connection: AsyncConnection, hold: Hold, request: str | None) -> Hold:
        """Write a new hold, plan its end if it has one, and return it with its number."""
        values = {
            "service": hold.service,
            "kind": str(hold.kind),
            "observed": hold.observed,
            "reason": hold.reason,
            "by": hold.by,
            "since": hold.since,
            "until": hold.until,
            "request": request,
        }
        placed = await connection.execute(insert(hold_rows).values(values).returning(hold_rows.c.id))
        hold = replace(hold, id=placed.scalar_one())
        await self.plan_expiry(connection, hold, hold.since)
        return hold

    async def place_own(
        self, connection: AsyncConnection, service: Service, hold: Hold, named: str, now: datetime
    ) -> None:
        """Put on a hold of the bot's own that is found by `named`, and tell of it."""
        hold = await self.insert(connection, hold, None)
        # Its own number keeps the request apart from those of holds that ended.
        is_it = hold_rows.c.id == hold.id
        await connection.execute(update(hold_rows).where(is_it).values(request=f"{named} {hold.id}"))
        await self.record(connection, service, HoldPlaced(hold), now)

    async def plan_expiry(self, connection: AsyncConnection, hold: Hold, now: datetime) -> None:
        """Plan the end of a hold that has just been placed, if it has one."""
        if hold.until is not None:
            task = PlannedTask(HOLD_EXPIRY, str(hold.id), hold.until, {"service": hold.service})
            await tasks.schedule(self._database, connection, task, now)

    async def end(
        self, connection: AsyncConnection, hold: Hold, *, by: str, reason: str, now: datetime
    ) -> None:
        """End the hold, unless it has ended already, and have its announcements edited."""
        ended = await connection.execute(
            update(hold_rows)
            .where(hold_rows.c.id == hold.id, hold_rows.c.lifted_at.is_(None))
            .values(lifted_at=now, lifted_by=by, lift_reason=reason)
        )
        if ended.rowcount:
            await enqueue_end_of_hold(connection, hold.id, now)

    async def switch(
        self,
        connection: AsyncConnection,
        switch: EnforcementBegan | EnforcementEnded,
        reason: str,
        now: datetime,
    ) -> None:
        """End the hold and place the same anew, real or only observed: each row is one or the other."""
        hold = switch.hold
        stored = (await connection.execute(select(hold_rows).where(hold_rows.c.id == hold.id))).one()
        await self.end(connection, hold, by=GOVERNOR, reason=reason, now=now)
        is_real = isinstance(switch, EnforcementBegan)
        cause = switch.cause if isinstance(switch, EnforcementBegan) else None
        mode = "enforced" if is_real else "observed"
        statement = insert(hold_rows).values(
            service=hold.service,
            kind=str(hold.kind),
            reason=hold.reason if cause is None else entry_of(cause, hold.service).reason,
            by=hold.by,
            since=now,
            until=hold.until,
            slo=hold.slo if cause is None else cause.budget.slo.name,
            observed=not is_real,
            # Found by its beginning; never the same as before.
            request=stored.request and f"{stored.request.split(' ')[0]} {mode} {hold.id}",
        )
        id_ = (await connection.execute(statement.returning(hold_rows.c.id))).scalar_one()
        await self.plan_expiry(connection, replace(hold, id=id_), now)

    async def record(
        self,
        connection: AsyncConnection,
        service: Service,
        transition: Transition,
        now: datetime,
        background: Background = NO_BACKGROUND,
    ) -> None:
        """Write the audit row and the messages of a transition that the connection already shows."""
        await audit.record(connection, entry_of(transition, service.name), now)
        await self._tell(connection, service, transition, now, background)

    async def record_replaced(self, connection: AsyncConnection, placed: HoldPlaced, now: datetime) -> None:
        """End the holds that a new one replaces, with an audit row for each; the new one tells of them."""
        for hold in placed.replaced:
            await self._end_recorded(connection, HoldLifted(hold, placed.hold.by, REPLACED), now)

    async def record_ends(
        self,
        connection: AsyncConnection,
        service: Service,
        ends: Sequence[HoldLifted | HoldExpired],
        now: datetime,
    ) -> None:
        """End holds that one act or moment ends: an audit row for each, one announcement of them all."""
        for transition in ends:
            await self._end_recorded(connection, transition, now)
        # Holds that only observed opened nothing.
        real = [transition for transition in ends if not transition.hold.observed]
        if real:
            together = tuple(transition.hold for transition in real[1:])
            await self._tell(connection, service, replace(real[0], together=together), now)

    async def _end_recorded(
        self, connection: AsyncConnection, transition: HoldLifted | HoldExpired, now: datetime
    ) -> None:
        """End a hold and write the audit row of its end."""
        entry = entry_of(transition, transition.hold.service)
        await self.end(connection, transition.hold, by=entry.actor, reason=entry.reason, now=now)
        await audit.record(connection, entry, now)

    async def _tell(
        self,
        connection: AsyncConnection,
        service: Service,
        transition: Transition,
        now: datetime,
        background: Background = NO_BACKGROUND,
    ) -> None:
        in_force = holds_in_force(await read_holds(connection, service.name), now)
        others = _other_holds(transition, in_force)
        context = TransitionContext(transition, service, others, now, background)
        placed = _placed(transition, in_force, others)
        messages = [replace(message, hold_id=placed) for message in self._announce(context)]
        await enqueue(connection, messages, now)
        if ends_burn(transition):
            await end_threads(connection, burn_of(service.name), now)
        await self._follow(connection, service, in_force, now)

    async def record_burn_ended(
        self, connection: AsyncConnection, service: Service, budget: Budget, now: datetime
    ) -> None:
        """Let the head of a burn's thread say that the burn is over."""
        others = holds_in_force(await read_holds(connection, service.name), now)
        context = TransitionContext(BurnEnded(budget), service, others, now)
        await enqueue(connection, self._announce(context), now)


def name_in_request(request: str | None, prefix: str) -> str:
    """Return what a hold of the bot's own was placed for, by its request; empty where it has no prefix.

    Earlier versions lost the name when they changed whether a hold is observed.
    """
    if request is None or not request.startswith(prefix):
        return ""
    return request.removeprefix(prefix).partition(" ")[0]


def log_transitions(service: str, transitions: Iterable[Transition]) -> None:
    """Log transitions of the service that were committed."""
    for transition in transitions:
        log.info("transition_committed", service=service, kind=type(transition).__name__)


def _other_holds(transition: Transition, in_force: Sequence[Hold]) -> tuple[Hold, ...]:
    """Return the holds in force besides the one that the transition has just placed."""
    if isinstance(transition, EnforcementBegan):
        # Its own hold was placed anew.
        same = transition.hold.kind, transition.hold.by
        own = [hold for hold in in_force if (hold.kind, hold.by) == same][-1:]
        return tuple(hold for hold in in_force if hold not in own)
    if isinstance(transition, BudgetExhausted | DataMissing):
        return tuple(hold for hold in in_force if hold.kind is not HoldKind.BUDGET)
    placed = transition.hold.id if isinstance(transition, HoldPlaced) else None
    return tuple(hold for hold in in_force if hold.id != placed)


def _placed(transition: Transition, in_force: Sequence[Hold], others: Sequence[Hold]) -> int | None:
    """Return the number of the hold that the transition has just placed, if it stops changes."""
    if not isinstance(transition, HoldPlaced | BudgetExhausted | DataMissing | EnforcementBegan):
        return None
    return next((hold.id for hold in in_force if hold not in others), None)
