"""The stored ramps, so that they go on where they were after a restart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.change_request import ChangeCause, ChangeInProgressError, DuplicateChangeError
from bot.flags.events import RampProgress
from bot.flags.flag import FlagState, state_as_json, state_from_json
from bot.flags.guard import Guard
from bot.flags.ramp import PauseCause, Ramp
from bot.flags.records.changes import ChangeState
from bot.store.database import Database
from bot.store.tables.flags import flag_changes
from bot.store.tables.flags import flag_ramps as rows


class RampState(StrEnum):
    """How far a ramp has come; from `done` on it has ended."""

    PENDING = "asked"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    REVERTED = "back"
    DECLINED = "declined"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class StoredRamp:
    """A ramp as it is stored. `announced_pause` is the cause and reason that were announced last, if any."""

    id: int
    ramp: Ramp
    state: RampState
    by: str
    reason: str
    approved_by: str | None
    created_at: datetime
    announced_pause: tuple[str, str] | None = None
    retry_at: datetime | None = None

    def progress(self) -> RampProgress:
        """Return how far it has come."""
        ramp = self.ramp
        due = self.created_at if ramp.taken_at is None else ramp.taken_at + ramp.every
        return RampProgress(ramp.taken, len(ramp.steps), ramp.next_share, due)

    def is_due(self, now: datetime) -> bool:
        """Return whether the next step is due and nothing is known to pause it."""
        is_paused = self.announced_pause is not None
        return not is_paused and self.ramp.next_share is not None and self.progress().due_at <= now


async def insert(
    connection: AsyncConnection,
    database: Database,
    ramp: Ramp,
    *,
    state: RampState,
    by: str,
    reason: str,
    request_id: str,
    now: datetime,
) -> int:
    """Insert a new ramp; raises `DuplicateChangeError`, `ChangeInProgressError` while the flag has one."""
    values = {
        "request": request_id,
        "flag": ramp.flag,
        "environment": ramp.environment,
        "service": ramp.service,
        "steps": list(ramp.steps),
        "taken": 0,
        "every": ramp.every.total_seconds(),
        "guard_burn": ramp.guard.burn,
        "guard_watch": ramp.guard.watch.total_seconds(),
        "state": str(state),
        "before": state_as_json(ramp.before),
        "version": ramp.version,
        "by": by,
        "reason": reason,
        "created_at": now,
    }
    statement = database.insert(rows).values(values).on_conflict_do_nothing().returning(rows.c.id)
    id_ = (await connection.execute(statement)).scalar_one_or_none()
    if id_ is not None:
        return int(id_)
    repeated = await connection.execute(select(rows.c.id).where(rows.c.request == request_id))
    if repeated.first() is not None:
        raise DuplicateChangeError(f"this request gave {ramp.flag} a ramp before")
    raise ChangeInProgressError(f"there is a ramp of {ramp.flag} in {ramp.environment} already")


async def find(connection: AsyncConnection, id_: int) -> StoredRamp | None:
    """Return the ramp with that number."""
    row = (await connection.execute(select(rows).where(rows.c.id == id_))).one_or_none()
    return None if row is None else await _ramp_of(connection, row)


async def find_active(connection: AsyncConnection, flag: str, environment: str) -> StoredRamp | None:
    """Return the ramp of the flag that has not ended."""
    query = select(rows).where(
        rows.c.flag == flag, rows.c.environment == environment, rows.c.ended_at.is_(None)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else await _ramp_of(connection, row)


async def running(connection: AsyncConnection) -> Sequence[StoredRamp]:
    """Return every ramp that takes steps or waits to, oldest first."""
    query = select(rows).where(rows.c.state == RampState.RUNNING).order_by(rows.c.id)
    return [await _ramp_of(connection, row) for row in await connection.execute(query)]


async def transition(
    connection: AsyncConnection, id_: int, *, to: RampState, since: RampState, now: datetime, **values: Any
) -> bool:
    """Let a ramp go from state `since` to state `to`; return whether it was in the first."""
    if to is not RampState.RUNNING:
        values["ended_at"] = now
    changed = await connection.execute(
        update(rows).where(rows.c.id == id_, rows.c.state == since).values(state=str(to), **values)
    )
    return changed.rowcount == 1


async def take_step(connection: AsyncConnection, id_: int, after: FlagState, now: datetime) -> StoredRamp:
    """Store that the next step was taken, and return the ramp as it is then."""
    stored = await find(connection, id_)
    if stored is None:
        raise LookupError(f"there is no ramp {id_}")
    ramp = stored.ramp.take_step(after, now)
    values = {"taken": ramp.taken, "taken_at": now, "version": ramp.version, "retry_at": None}
    no_pause = {"hold_cause": None, "hold_why": None}
    await connection.execute(update(rows).where(rows.c.id == id_).values(**values, **no_pause))
    return replace(stored, ramp=ramp, announced_pause=None)


async def store_pause(connection: AsyncConnection, id_: int, pause: tuple[PauseCause, str] | None) -> None:
    """Store which pause was announced; None: the ramp is not paused any more."""
    cause, why = pause or (None, None)
    await connection.execute(
        update(rows).where(rows.c.id == id_).values(hold_cause=cause and str(cause), hold_why=why)
    )


async def set_holder(connection: AsyncConnection, id_: int, person: str | None, *, since: str | None) -> bool:
    """Store who holds the ramp, None for nobody; return whether it was held by `since` until now."""
    of_ramp = (rows.c.id == id_) & rows.c.held_by.is_not_distinct_from(since)
    changed = await connection.execute(update(rows).where(of_ramp).values(held_by=person))
    return changed.rowcount == 1


async def postpone(connection: AsyncConnection, id_: int, until: datetime) -> None:
    """Let the ramp wait until it tries again what did not work."""
    await connection.execute(update(rows).where(rows.c.id == id_).values(retry_at=until))


async def end_active(connection: AsyncConnection, state: FlagState, now: datetime) -> bool:
    """End the flag's ramp because the flag was changed by other means; return whether there was one."""
    of_flag = (rows.c.flag == state.flag) & (rows.c.environment == state.environment)
    ended = await connection.execute(
        update(rows)
        .where(of_flag, rows.c.ended_at.is_(None))
        .values(state=str(RampState.STOPPED), ended_at=now)
    )
    return ended.rowcount > 0


async def _ramp_of(connection: AsyncConnection, row: Row[Any]) -> StoredRamp:
    of_step = (flag_changes.c.ramp_id == row.id) & (flag_changes.c.cause == ChangeCause.RAMP)
    is_being_taken = select(exists().where(of_step, flag_changes.c.state == ChangeState.SENDING))
    ramp = Ramp(
        row.flag,
        row.environment,
        row.service,
        tuple(row.steps),
        timedelta(seconds=row.every),
        Guard(row.guard_burn, timedelta(seconds=row.guard_watch)),
        state_from_json(row.before),
        row.version,
        taken=row.taken,
        taken_at=row.taken_at,
        begun=bool((await connection.execute(is_being_taken)).scalar_one()),
        held_by=row.held_by,
    )
    announced_pause = (row.hold_cause, row.hold_why) if row.hold_cause else None
    return StoredRamp(
        row.id,
        ramp,
        RampState(row.state),
        row.by,
        row.reason,
        row.approved_by,
        row.created_at,
        announced_pause,
        row.retry_at,
    )
