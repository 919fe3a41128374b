"""Digests as due tasks: each channel has one task for its next digest, which plans the one after it.

What is due and was sent is told apart by the task's key, which names the period: no restart, replica, moved
time or changed zone brings a second one. Where a channel's digest is switched off, or the channel is in the
policies no more, its task runs out.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.digests import DigestKind
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.threads import end_threads
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import DueTask, PlannedTask, RetryRule
from bot.teams.digests import pauses
from bot.teams.digests.schedule import DigestSchedule, DueDigest, is_too_late, schedules

DIGEST: Final = "digest"
_PERIODS_AHEAD = 3

Compose = Callable[[DigestSchedule, datetime], Awaitable[Sequence[OutboxMessage]]]
"""Returns the messages of a digest as of a moment; none where there is nothing to say."""


class DigestPlanner:
    """Plans each channel's next digest, and moves those that the policies have moved."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def follow(self, catalog: Catalog, now: datetime) -> None:
        """Let the planned digests be those of the policies; repeated, it changes nothing."""
        wanted = {(each.kind.value, each.channel): each for each in schedules(catalog)}
        async with self._database.reading() as connection:
            pending = await records.read_pending(connection, DIGEST)
        planned = {(task.payload["kind"], task.payload["channel"]): task for task in pending}
        for key, schedule in wanted.items():
            task = planned.get(key)
            if task is None:
                await self._plan(schedule, now)
            elif task.due_at > now:
                await self._move(schedule, task, now)

    async def _plan(self, schedule: DigestSchedule, now: datetime) -> None:
        """Plan the first digest that is yet to come; one that was sent, in a period that lasts, stays."""
        due = schedule.next_after(now)
        async with self._database.transaction() as connection:
            for _ in range(_PERIODS_AHEAD):
                if await records.plan(self._database, connection, planned_task(schedule, due), now):
                    return
                due = schedule.next_after(due.at, period=due.period)

    async def _move(self, schedule: DigestSchedule, task: DueTask, now: datetime) -> None:
        due = schedule.in_period(task.payload["period"], task.due_at)
        if due is not None and due.at != task.due_at and due.at > now:
            async with self._database.transaction() as connection:
                await records.move(connection, DIGEST, task.key, due.at)


class DigestHandler(EndsSilently):
    """Sends a digest that is due, once, and plans the next. `compose` writes it."""

    kind: Final = DIGEST
    rule: Final = RetryRule()

    def __init__(self, current: CurrentCatalog, compose: Compose) -> None:
        self._current = current
        self._compose = compose

    async def run(self, attempt: TaskAttempt) -> None:
        """Send the digest, unless it is not wanted any more, its channel is paused or there is no news."""
        task, now = attempt.task, attempt.now
        schedule = self._schedule(task)
        messages: Sequence[OutboxMessage] = ()
        if schedule is not None and _is_wanted(schedule, task, now):
            messages = await self._compose(schedule, now)
        async with attempt.completing() as connection:
            if schedule is None:
                return
            if messages and not await pauses.is_paused(connection, schedule.channel, now):
                await send(connection, messages, now)
            following = schedule.next_after(now, period=task.payload["period"])
            await attempt.plan(connection, planned_task(schedule, following))

    def _schedule(self, task: DueTask) -> DigestSchedule | None:
        kind, channel = DigestKind(task.payload["kind"]), task.payload["channel"]
        found = schedules(self._current.catalog)
        return next((each for each in found if each.kind is kind and each.channel == channel), None)


def _is_wanted(schedule: DigestSchedule, task: DueTask, now: datetime) -> bool:
    return _is_scheduled(schedule, task) and not is_too_late(schedule.kind, task.due_at, now)


def _is_scheduled(schedule: DigestSchedule, task: DueTask) -> bool:
    """Return whether the policies have not taken out the day of a digest since it was planned."""
    return schedule.in_period(task.payload["period"], task.due_at) is not None


def comes_at(schedule: DigestSchedule, task: DueTask | None, now: datetime) -> datetime:
    """Return when the next digest comes; `task` is the one that is planned, if there is one."""
    if task is None:
        return schedule.next_after(now).at
    if _is_scheduled(schedule, task):
        return task.due_at
    return schedule.next_after(now, period=task.payload["period"]).at


def planned_task(schedule: DigestSchedule, due: DueDigest) -> PlannedTask:
    """Return the task of a digest."""
    payload = {"kind": schedule.kind.value, "channel": schedule.channel, "period": due.period}
    return PlannedTask(DIGEST, f"{schedule.kind.value} {schedule.channel} {due.period}", due.at, payload)


async def send(connection: AsyncConnection, messages: Sequence[OutboxMessage], now: datetime) -> None:
    """Put a digest into the outbox; its thread takes no further messages."""
    await enqueue(connection, messages, now)
    for subject in {message.thread for message in messages if message.thread is not None}:
        await end_threads(connection, subject, now)
