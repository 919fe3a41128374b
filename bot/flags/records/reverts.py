"""The reverts that the bot may have to carry out: recorded states of flags, and when they are restored.

A revert is valid for one version of the flag: it ends when anybody changes the flag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.flag import FlagState, state_as_json, state_from_json
from bot.flags.guard import Guard, GuardWatch
from bot.store.database import Database
from bot.store.tables.flags import flag_promises as rows
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask

TIMED_REVERT: Final = "timed revert"
"""The kind of the tasks that revert flags whose time is over."""
TIMED_REVERT_WARNING: Final = "timed revert warning"
"""The kind of the tasks that announce that before."""


class RevertKind(StrEnum):
    """When the state is to be restored."""

    WATCH = "watch"
    """If the service burns too fast within the guard's time."""
    TIMER = "timer"
    """When the time is over for which the flag was turned on."""
    LOWERED = "lowered"
    """When the service, whose budget was exhausted, is open again."""


@dataclass(frozen=True, slots=True)
class PendingRevert:
    """A recorded state and when to restore it. `until` ends a watch and a timer, `warn_at` announces that.

    `absent_since` is since when there has been no such flag or no way to it.
    """

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
    absent_since: datetime | None = None

    def is_postponed(self, now: datetime) -> bool:
        """Return whether it failed and is not yet to be tried again."""
        return self.retry_at is not None and now < self.retry_at

    @property
    def guard_watch(self) -> GuardWatch:
        """The same as the guard's rules read it; raises ValueError for a revert of another kind."""
        if self.guard is None:
            raise ValueError(f"revert {self.id} is not a watch")
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


async def insert(database: Database, connection: AsyncConnection, revert: PendingRevert) -> None:
    """Insert a new revert, and plan the tasks of a timer."""
    guard = revert.guard
    statement = rows.insert().values(
        kind=str(revert.kind),
        flag=revert.state.flag,
        environment=revert.state.environment,
        service=revert.service,
        state=state_as_json(revert.state),
        version=revert.version,
        by=revert.by,
        since=revert.since,
        until=revert.until,
        warn_at=revert.warn_at,
        guard_burn=guard.burn if guard else None,
        guard_watch=guard.watch.total_seconds() if guard else None,
        baseline=dict(revert.baseline or {}),
    )
    id_ = (await connection.execute(statement.returning(rows.c.id))).scalar_one()
    if revert.kind is not RevertKind.TIMER:
        return
    key = str(id_)
    for kind, at in ((TIMED_REVERT_WARNING, revert.warn_at), (TIMED_REVERT, revert.until)):
        if at is not None:
            await tasks.schedule(database, connection, PlannedTask(kind, key, at), revert.since)


async def read_open(connection: AsyncConnection, id_: int) -> PendingRevert | None:
    """Return a revert that has not ended."""
    query = select(rows).where(rows.c.id == id_, rows.c.ended_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _revert_of(row)


async def open_reverts(
    connection: AsyncConnection, kind: RevertKind, service: str | None = None
) -> Sequence[PendingRevert]:
    """Return the reverts of a kind that have not ended, oldest first."""
    query = select(rows).where(rows.c.ended_at.is_(None), rows.c.kind == kind).order_by(rows.c.id)
    if service is not None:
        query = query.where(rows.c.service == service)
    return [_revert_of(row) for row in await connection.execute(query)]


async def end(connection: AsyncConnection, revert: PendingRevert, outcome: str, now: datetime) -> bool:
    """End a revert; return whether it had not ended before."""
    ended = await connection.execute(
        update(rows)
        .where(rows.c.id == revert.id, rows.c.ended_at.is_(None))
        .values(ended_at=now, outcome=outcome)
    )
    return ended.rowcount == 1


async def end_others(
    connection: AsyncConnection, state: FlagState, done: int | None, now: datetime
) -> Sequence[RevertKind]:
    """End every revert of the flag, because the bot has changed it; return the kinds of the superseded ones.

    `done` is the revert that this change has carried out.
    """
    of_flag = (rows.c.flag == state.flag) & (rows.c.environment == state.environment)
    is_open = rows.c.ended_at.is_(None) & of_flag
    ended = (await connection.execute(select(rows.c.id, rows.c.kind).where(is_open))).all()
    for id_, _ in ended:
        outcome = "kept" if id_ == done else "superseded"
        await connection.execute(update(rows).where(rows.c.id == id_).values(ended_at=now, outcome=outcome))
    return [RevertKind(kind) for id_, kind in ended if id_ != done]


async def postpone(
    connection: AsyncConnection,
    revert: PendingRevert,
    problem: str,
    until: datetime,
    absent_since: datetime | None = None,
) -> bool:
    """Store that the revert failed and when to try again; return whether this problem is new."""
    failure = {"problem": problem, "retry_at": until, "absent_since": absent_since}
    await connection.execute(update(rows).where(rows.c.id == revert.id).values(failure))
    return revert.problem != problem


async def failing(connection: AsyncConnection) -> Sequence[PendingRevert]:
    """Return the reverts that were tried and are tried again, oldest first."""
    query = select(rows).where(rows.c.ended_at.is_(None), rows.c.problem.is_not(None)).order_by(rows.c.id)
    return [_revert_of(row) for row in await connection.execute(query)]


async def mark_warned(connection: AsyncConnection, revert: PendingRevert) -> bool:
    """Store that the end of a timer was announced; return whether it was not before."""
    marked = await connection.execute(
        update(rows).where(rows.c.id == revert.id, rows.c.warn_at.is_not(None)).values(warn_at=None)
    )
    return marked.rowcount == 1


def _revert_of(row: Row[Any]) -> PendingRevert:
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
        absent_since=row.absent_since,
    )
