"""States that the bot may have to bring back, as they are kept: the promise beside the change it belongs to.

A promise holds for one version of the flag. Whoever touches the flag takes it over, and the promise ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.flag import FlagState, state_as_json, state_from_json
from bot.flags.guard import Guard, GuardWatch
from bot.store.tables.flags import flag_promises as rows


class RevertKind(StrEnum):
    """When the state is to come back."""

    WATCH = "watch"
    """If the service burns too fast within the guard's time."""
    TIMER = "timer"
    """When the time is over for which the flag was turned on."""
    LOWERED = "lowered"
    """When the service, whose budget was exhausted, is open again."""


@dataclass(frozen=True, slots=True)
class PendingRevert:
    """A recorded state and when it comes back. `until` ends a watch and a timer, `warn_at` announces that."""

    kind: RevertKind
    state: FlagState
    version: str
    by: str
    since: datetime
    id: int = 0
    service: str | None = None
    until: datetime | None = None
    warn_at: datetime | None = None
    guard: Guard | None = None
    baseline: Mapping[str, float] | None = None
    problem: str | None = None
    retry_at: datetime | None = None

    def waits(self, now: datetime) -> bool:
        """Return whether it could not be kept and is not yet to be tried again."""
        return self.retry_at is not None and now < self.retry_at

    @property
    def watch(self) -> GuardWatch:
        """The same, as the guard's rules read it; raises ValueError for a promise of another kind."""
        if self.guard is None:
            raise ValueError(f"promise {self.id} is no watch")
        state = self.state
        return GuardWatch(
            state.flag,
            state.environment,
            self.service or "",
            state,
            self.version,
            self.since,
            self.guard,
            self.baseline or {},
        )


async def insert(connection: AsyncConnection, promise: PendingRevert) -> None:
    """Write a promise down."""
    guard = promise.guard
    await connection.execute(
        rows.insert().values(
            kind=str(promise.kind),
            flag=promise.state.flag,
            environment=promise.state.environment,
            service=promise.service,
            state=state_as_json(promise.state),
            version=promise.version,
            by=promise.by,
            since=promise.since,
            until=promise.until,
            warn_at=promise.warn_at,
            guard_burn=guard.burn if guard else None,
            guard_watch=guard.watch.total_seconds() if guard else None,
            baseline=dict(promise.baseline or {}),
        )
    )


async def open_reverts(
    connection: AsyncConnection, kind: RevertKind, service: str | None = None
) -> Sequence[PendingRevert]:
    """Return the promises of a kind that have not ended, oldest first."""
    query = select(rows).where(rows.c.ended_at.is_(None), rows.c.kind == kind).order_by(rows.c.id)
    if service is not None:
        query = query.where(rows.c.service == service)
    return [_promise(row) for row in await connection.execute(query)]


async def end(connection: AsyncConnection, promise: PendingRevert, outcome: str, now: datetime) -> bool:
    """End a promise; return whether it had not ended before."""
    ended = await connection.execute(
        update(rows)
        .where(rows.c.id == promise.id, rows.c.ended_at.is_(None))
        .values(ended_at=now, outcome=outcome)
    )
    return ended.rowcount == 1


async def end_others(
    connection: AsyncConnection, state: FlagState, kept: int | None, now: datetime
) -> Sequence[RevertKind]:
    """End every promise on the flag because the bot has changed it; return the kinds of those that ended.

    `kept` is the promise that this change has kept.
    """
    of_flag = (rows.c.flag == state.flag) & (rows.c.environment == state.environment)
    mine = rows.c.ended_at.is_(None) & of_flag
    found = (await connection.execute(select(rows.c.id, rows.c.kind).where(mine))).all()
    for id_, _ in found:
        outcome = "kept" if id_ == kept else "superseded"
        await connection.execute(update(rows).where(rows.c.id == id_).values(ended_at=now, outcome=outcome))
    return [RevertKind(kind) for id_, kind in found if id_ != kept]


async def postpone(
    connection: AsyncConnection, promise: PendingRevert, problem: str, until: datetime
) -> bool:
    """Write down that it could not be kept yet; return whether this problem is new."""
    await connection.execute(
        update(rows).where(rows.c.id == promise.id).values(problem=problem, retry_at=until)
    )
    return promise.problem != problem


async def mark_warned(connection: AsyncConnection, promise: PendingRevert) -> bool:
    """Write down that its end was announced; return whether it was not before."""
    done = await connection.execute(
        update(rows).where(rows.c.id == promise.id, rows.c.warn_at.is_not(None)).values(warn_at=None)
    )
    return done.rowcount == 1


def _promise(row: Row[Any]) -> PendingRevert:
    guard = None
    if row.guard_burn is not None:
        guard = Guard(row.guard_burn, timedelta(seconds=row.guard_watch))
    return PendingRevert(
        RevertKind(row.kind),
        state_from_json(row.state),
        row.version,
        row.by,
        row.since,
        id=row.id,
        service=row.service,
        until=row.until,
        warn_at=row.warn_at,
        guard=guard,
        baseline=row.baseline,
        problem=row.problem,
        retry_at=row.retry_at,
    )
