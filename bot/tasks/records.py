"""Tasks as rows. Functions run in their caller's transaction.

To plan a task, to move it and to take it back belong into the transaction of what calls for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.tasks import due_tasks
from bot.tasks.task import DueTask, PlannedTask, TaskState
from bot.texts import clean

_COLUMNS = due_tasks.c
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many tasks of a kind are due, and for how long the oldest has been."""

    tasks: int = 0
    oldest_for: timedelta = timedelta()


async def plan(database: Database, connection: AsyncConnection, task: PlannedTask, now: datetime) -> bool:
    """Store a task; return whether it is new. One of the same kind and key, also one that is over, stays."""
    insertion = database.insert(due_tasks).values(
        kind=task.kind,
        key=task.key,
        due_at=task.due_at,
        next_attempt_at=task.due_at,
        payload=dict(task.payload),
        state=TaskState.PENDING.value,
        attempts=0,
        created_at=now,
    )
    return (await connection.execute(insertion.on_conflict_do_nothing())).rowcount == 1


async def schedule(database: Database, connection: AsyncConnection, task: PlannedTask, now: datetime) -> None:
    """Plan a task, or set when it is due again, also where it is over: the key stands for one thing to do."""
    fresh = {
        "due_at": task.due_at,
        "next_attempt_at": task.due_at,
        "payload": dict(task.payload),
        "state": TaskState.PENDING.value,
        "attempts": 0,
        "error": None,
        "ended_at": None,
    }
    insertion = database.insert(due_tasks).values(kind=task.kind, key=task.key, created_at=now, **fresh)
    changed = fresh | {"version": _COLUMNS.version + 1}
    await connection.execute(insertion.on_conflict_do_update(index_elements=["kind", "key"], set_=changed))


async def move(connection: AsyncConnection, kind: str, key: str, due_at: datetime) -> bool:
    """Set when a pending task is due; return whether there is one. What failed before is forgotten."""
    values = {"due_at": due_at, "next_attempt_at": due_at, "attempts": 0, "error": None}
    return await _write(connection, _pending(kind, key), values)


async def cancel(connection: AsyncConnection, kind: str, key: str, now: datetime) -> bool:
    """End a pending task without doing it; return whether there was one."""
    return await _write(
        connection, _pending(kind, key), {"state": TaskState.CANCELLED.value, "ended_at": now}
    )


async def kinds_due(connection: AsyncConnection, now: datetime) -> frozenset[str]:
    """Return the kinds of which a task is to be tried now."""
    return frozenset(await connection.scalars(select(_COLUMNS.kind).where(_due(now)).distinct()))


async def read_due(connection: AsyncConnection, kind: str, now: datetime, limit: int) -> Sequence[DueTask]:
    """Return pending tasks of a kind that are to be tried now, those that wait longest first."""
    query = select(due_tasks).where(_due(now), _COLUMNS.kind == kind)
    query = query.order_by(_COLUMNS.next_attempt_at, _COLUMNS.id).limit(limit)
    return [_task(row) for row in await connection.execute(query)]


async def read_pending(connection: AsyncConnection, kind: str) -> Sequence[DueTask]:
    """Return all pending tasks of a kind, the one that is due first before the others."""
    is_pending = (_COLUMNS.state == TaskState.PENDING.value) & (_COLUMNS.kind == kind)
    query = select(due_tasks).where(is_pending).order_by(_COLUMNS.due_at, _COLUMNS.id)
    return [_task(row) for row in await connection.execute(query)]


async def read(connection: AsyncConnection, kind: str, key: str) -> tuple[DueTask, TaskState] | None:
    """Return the task with this key and what became of it; None if there never was one."""
    query = select(due_tasks).where(_COLUMNS.kind == kind, _COLUMNS.key == key)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (_task(row), TaskState(row.state))


async def count_late(connection: AsyncConnection, now: datetime, patience: timedelta) -> dict[str, int]:
    """Return by kind how many pending tasks should have been done longer ago than `patience`."""
    is_late = (_COLUMNS.state == TaskState.PENDING.value) & (_COLUMNS.due_at < now - patience)
    query = select(_COLUMNS.kind, func.count().label("tasks")).where(is_late).group_by(_COLUMNS.kind)
    return {row.kind: row.tasks for row in await connection.execute(query)}


async def count_overdue(connection: AsyncConnection, now: datetime) -> dict[str, Overdue]:
    """Return by kind how many pending tasks' time has come, and for how long at most."""
    is_due = (_COLUMNS.state == TaskState.PENDING.value) & (_COLUMNS.due_at <= now)
    oldest = func.min(_COLUMNS.due_at).label("oldest")
    query = select(_COLUMNS.kind, func.count().label("tasks"), oldest).where(is_due).group_by(_COLUMNS.kind)
    return {row.kind: Overdue(row.tasks, now - row.oldest) for row in await connection.execute(query)}


async def lock(connection: AsyncConnection, task: DueTask) -> bool:
    """Lock a task until the transaction ends; return whether it is still as it was read."""
    query = select(_COLUMNS.id).where(_unchanged(task)).with_for_update()
    return (await connection.execute(query)).first() is not None


async def finish(
    connection: AsyncConnection, task: DueTask, state: TaskState, now: datetime, *, error: str | None = None
) -> bool:
    """Record that a task is over; return whether it was still as it was read.

    With an `error` the last attempt counts as failed.
    """
    values = {"state": state.value, "ended_at": now} | _failure(task, error)
    return await _write(connection, _unchanged(task), values)


async def put_off(
    connection: AsyncConnection,
    task: DueTask,
    next_attempt_at: datetime,
    *,
    error: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> bool:
    """Try a task again later; return whether it was still as it was read.

    With an `error` the attempt counts as failed; a `payload` replaces the old one.
    """
    values = {"next_attempt_at": next_attempt_at} | _failure(task, error)
    if payload is not None:
        values["payload"] = dict(payload)
    return await _write(connection, _unchanged(task), values)


async def set_due_again(connection: AsyncConnection, task: DueTask, due_at: datetime) -> bool:
    """Let a task that was done be due again; return whether it was still as it was read."""
    values = {"due_at": due_at, "next_attempt_at": due_at, "attempts": 0, "error": None}
    return await _write(connection, _unchanged(task), values)


async def _write(connection: AsyncConnection, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    statement = update(due_tasks).where(which).values(**values, version=_COLUMNS.version + 1)
    return (await connection.execute(statement)).rowcount == 1


def _failure(task: DueTask, error: str | None) -> dict[str, Any]:
    return {} if error is None else {"error": clean(error)[:_LONGEST_ERROR], "attempts": task.attempts + 1}


def _pending(kind: str, key: str) -> ColumnElement[bool]:
    return (_COLUMNS.kind == kind) & (_COLUMNS.key == key) & (_COLUMNS.state == TaskState.PENDING.value)


def _due(now: datetime) -> ColumnElement[bool]:
    return (_COLUMNS.state == TaskState.PENDING.value) & (_COLUMNS.next_attempt_at <= now)


def _unchanged(task: DueTask) -> ColumnElement[bool]:
    """Return the condition that nobody has written to the task since it was read."""
    return (_COLUMNS.id == task.id) & (_COLUMNS.version == task.version)


def _task(row: Row[Any]) -> DueTask:
    return DueTask(row.id, row.kind, row.key, row.due_at, row.payload, row.attempts, row.error, row.version)
