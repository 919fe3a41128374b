"""The stored changes of flags: from the request to the outcome.

A row goes asked -> sending -> done, or ends as declined, void or failed. From `sending` on, the change may
be in the flag system: after a restart the flag is read to find out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.backend import ChangePlan
from bot.flags.change import Difference, change_as_json, change_from_json
from bot.flags.change_request import ChangeCause, ChangeInProgressError, ChangeRequest, DuplicateChangeError
from bot.flags.flag import state_as_json, state_from_json
from bot.store.database import Database
from bot.store.tables.flags import flag_changes as rows


class ChangeState(StrEnum):
    """How far a change has come."""

    PENDING = "asked"
    SENDING = "sending"
    DONE = "done"
    DECLINED = "declined"
    VOID = "void"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change as it is stored. `difference` is the planned one until it is done, then the actual one."""

    id: int
    request: ChangeRequest
    state: ChangeState
    version: str
    difference: Difference
    created_at: datetime


async def insert(
    connection: AsyncConnection,
    database: Database,
    request: ChangeRequest,
    plan: ChangePlan,
    *,
    state: ChangeState,
    now: datetime,
) -> int:
    """Insert a new change; raises `DuplicateChangeError`, `ChangeInProgressError` while one is being sent."""
    values = {
        "request": request.request_id,
        "flag": request.flag,
        "environment": request.environment,
        "state": str(state),
        "cause": str(request.cause),
        "change": change_as_json(request.change),
        "version": plan.version,
        "before": state_as_json(plan.difference.before),
        "after": state_as_json(plan.difference.after),
        "by": request.by,
        "approved_by": request.approved_by,
        "approval_comment": request.approval_comment or None,
        "reason": request.reason,
        "keep_for": request.keep_for.total_seconds() if request.keep_for else None,
        "ramp_id": request.ramp_id,
        "promise_id": request.revert_id,
        "service": request.service,
        "created_at": now,
    }
    statement = database.insert(rows).values(values).on_conflict_do_nothing().returning(rows.c.id)
    id_ = (await connection.execute(statement)).scalar_one_or_none()
    if id_ is not None:
        return int(id_)
    repeated = await connection.execute(select(rows.c.id).where(rows.c.request == request.request_id))
    if repeated.first() is not None:
        raise DuplicateChangeError(f"this request changed {request.flag} before")
    raise ChangeInProgressError.of(request.flag, request.environment)


async def transition(
    connection: AsyncConnection, id_: int, *, to: ChangeState, since: ChangeState, **values: Any
) -> bool:
    """Let a change go from state `since` to state `to`; return whether it was in the first.

    A change that failed releases its request's id: the same request may be tried again.
    """
    if to is ChangeState.FAILED:
        values["request"] = None
    changed = await connection.execute(
        update(rows).where(rows.c.id == id_, rows.c.state == since).values(state=str(to), **values)
    )
    return changed.rowcount == 1


async def find(connection: AsyncConnection, id_: int) -> StoredChange | None:
    """Return the change with that number."""
    row = (await connection.execute(select(rows).where(rows.c.id == id_))).one_or_none()
    return None if row is None else _change_of(row)


async def in_flight(connection: AsyncConnection) -> Sequence[StoredChange]:
    """Return the changes that were sent and have no recorded outcome, oldest first."""
    query = select(rows).where(rows.c.state == ChangeState.SENDING).order_by(rows.c.id)
    return [_change_of(row) for row in await connection.execute(query)]


async def pending(
    connection: AsyncConnection, flag: str, environment: str, since: datetime
) -> Sequence[StoredChange]:
    """Return the changes of the flag that wait for approval, asked for after `since`, oldest first."""
    query = select(rows).where(
        rows.c.flag == flag,
        rows.c.environment == environment,
        rows.c.state == ChangeState.PENDING,
        rows.c.created_at > since,
    )
    return [_change_of(row) for row in await connection.execute(query.order_by(rows.c.id))]


async def last_done(connection: AsyncConnection, flag: str, environment: str) -> StoredChange | None:
    """Return the bot's last change of the flag."""
    done = (rows.c.flag == flag) & (rows.c.environment == environment) & (rows.c.state == ChangeState.DONE)
    query = select(rows).where(done).order_by(rows.c.settled_at.desc(), rows.c.id.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _change_of(row)


def _change_of(row: Row[Any]) -> StoredChange:
    request = ChangeRequest(
        row.flag,
        row.environment,
        change_from_json(row.change),
        row.by,
        row.reason,
        row.request or "",
        cause=ChangeCause(row.cause),
        version=row.version,
        approved_by=row.approved_by,
        approval_comment=row.approval_comment or "",
        keep_for=timedelta(seconds=row.keep_for) if row.keep_for else None,
        ramp_id=row.ramp_id,
        revert_id=row.promise_id,
        service=row.service,
    )
    difference = Difference(state_from_json(row.before), state_from_json(row.after))
    return StoredChange(row.id, request, ChangeState(row.state), row.version, difference, row.created_at)
