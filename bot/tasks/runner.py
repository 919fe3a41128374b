"""Does tasks when they are due: one loop for all kinds, each kind on one replica at a time.

A task that fails is tried again ever later by its handler's rule and delays none of the others. So is one
whose outcome cannot be recorded. Where the database is away, a whole kind waits ever longer: what its tasks
do outside of the database is done again each time. Tasks are planned by whoever has something to be done, in
its own transaction (`bot/tasks/records.py`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

import structlog

from bot.clock import Clock, wait_until_set
from bot.store.database import Database
from bot.store.health.errors import is_away
from bot.store.item_failures import ItemFailures
from bot.store.leases import Leases
from bot.store.signals import Topic
from bot.tasks import records
from bot.tasks.handler import GiveUpError, TaskAttempt, TaskHandler, TaskTakenError, TryLaterError
from bot.tasks.records import Overdue
from bot.tasks.task import DueTask, TaskState
from bot.tracing.spans import span

log = structlog.get_logger(__name__)

_POLL_S = 1.0
_AT_ONCE = 100
LATE_AFTER: Final = timedelta(minutes=5)
"""How long after its time a task may be done before `/readyz` says that it is late."""


CountAttempt = Callable[[str, str], None]
"""Takes the kind of a task that was attempted and the outcome: done, taken, later, failed or given_up."""


class TaskRunner:
    """Does the tasks of its handlers' kinds. `run` works until cancelled; new tasks wake it.

    `count` is told of every attempt. `now_s` is a monotonic clock, in seconds.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        leases: Leases | None = None,
        *,
        count: CountAttempt = lambda _kind, _outcome: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        # Kinds whose tasks found the database away, and single tasks whose outcome it did not take.
        self._waiting_kinds = ItemFailures("task_not_recorded", now_s=now_s)
        self._unrecorded = ItemFailures("task_not_recorded", now_s=now_s)
        self._database = database
        self._clock = clock
        self._leases = leases
        self._handlers: dict[str, TaskHandler] = {}
        self._busy: set[str] = set()
        self._planned = asyncio.Event()
        database.signals.subscribe([Topic.TASKS], self._planned.set)

    def register(self, handlers: Iterable[TaskHandler]) -> None:
        """Add handlers, each for a kind of its own."""
        for handler in handlers:
            if handler.kind in self._handlers:
                raise ValueError(f"there is a handler for {handler.kind} already")
            self._handlers[handler.kind] = handler

    @property
    def handlers(self) -> Mapping[str, TaskHandler]:
        """The handlers by the kinds of their tasks: a copy."""
        return dict(self._handlers)

    async def run(self) -> None:
        """Do tasks until cancelled. Long work of one kind delays no other kind."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._planned.clear()
                try:
                    for kind, tasks in (await self._read_due()).items():
                        group.create_task(self._do_all(kind, tasks), name=f"tasks {kind}")
                except Exception:
                    # A loop's tick is a boundary: the next one tries again.
                    log.exception("tasks_not_read")
                await self._rest()

    async def tick(self) -> bool:
        """Do what is due, kinds side by side, each in order; return whether there was anything."""
        due = await self._read_due()
        async with asyncio.TaskGroup() as group:
            for kind, tasks in due.items():
                group.create_task(self._do_all(kind, tasks), name=f"tasks {kind}")
        return bool(due)

    async def late(self) -> Mapping[str, int]:
        """Return by kind how many tasks are late."""
        async with self._database.reading() as connection:
            return await records.count_late(connection, self._clock.now(), LATE_AFTER)

    async def overdue(self) -> Mapping[str, Overdue]:
        """Return by kind the tasks whose time has come, for each of this program's kinds."""
        async with self._database.reading() as connection:
            found = await records.count_overdue(connection, self._clock.now())
        return {kind: Overdue() for kind in self._handlers} | found

    async def _rest(self) -> None:
        await wait_until_set(self._planned, _POLL_S)

    async def _read_due(self) -> dict[str, list[DueTask]]:
        """Return what is due by kind, of this replica's kinds that are not at work; they are from now on."""
        own, now = await self._own_kinds(), self._clock.now()
        due: dict[str, list[DueTask]] = {}
        async with self._database.reading() as connection:
            for kind in sorted(own & await records.kinds_due(connection, now) - self._busy):
                if self._waiting_kinds.is_due(kind):
                    due[kind] = list(await records.read_due(connection, kind, now, _AT_ONCE))
        self._busy.update(due)
        return due

    async def _own_kinds(self) -> frozenset[str]:
        if self._leases is None:
            return frozenset(self._handlers)
        names = {_lease(kind): kind for kind in self._handlers}
        return frozenset(names[name] for name in await self._leases.share(list(names)))

    def _is_ours(self, kind: str) -> bool:
        """Return whether the kind is still this replica's, which took its tasks a while ago."""
        return self._leases is None or self._leases.left_s(_lease(kind)) > 0

    async def _do_all(self, kind: str, tasks: list[DueTask]) -> None:
        """Do tasks of a kind in order; where the database is away, all of them wait for it, ever longer."""
        try:
            has_tried = await self._do_each(kind, tasks)
        except Exception as error:
            # The boundary between kinds. What was done outside of the database is done again at the next try.
            self._waiting_kinds.record(kind, type(error).__name__)
            log.exception("task_not_recorded", kind=kind)
        else:
            self._waiting_kinds.forget(kind)
            if has_tried and len(tasks) == _AT_ONCE:
                self._planned.set()
        finally:
            self._busy.discard(kind)

    async def _do_each(self, kind: str, tasks: list[DueTask]) -> bool:
        """Do tasks in order; return whether any was due. Raises the error of a database that is away."""
        has_tried = False
        for task in tasks:
            if not self._is_ours(kind):
                break
            with self._unrecorded.isolate(f"{kind} {task.key}") as is_due:
                if is_due:
                    has_tried = True
                    with span(f"task {kind}"):
                        await self._do(self._handlers[kind], task)
        return has_tried

    async def _do(self, handler: TaskHandler, task: DueTask) -> None:
        attempt = TaskAttempt(self._database, task, self._clock.now())
        try:
            await handler.run(attempt)
            if not attempt.is_settled:
                async with attempt.completing():
                    pass
            self._count(task.kind, "done")
        except TaskTakenError:
            self._count(task.kind, "taken")
            log.info("task_taken", kind=task.kind, key=task.key)
        except TryLaterError as later:
            self._count(task.kind, "later")
            async with self._database.transaction() as connection:
                await records.put_off(connection, task, self._clock.now() + later.after)
        except GiveUpError as error:
            await self._give_up(handler, task, str(error))
        except Exception as error:
            # The boundary between tasks: the error of one must not end those of others.
            if is_away(error):
                raise
            log.exception("task_failed", kind=task.kind, key=task.key, attempts=task.attempts + 1)
            await self._failed(handler, task, f"{type(error).__name__}: {error}")

    async def _failed(self, handler: TaskHandler, task: DueTask, error: str) -> None:
        now, attempts = self._clock.now(), task.attempts + 1
        if handler.rule.is_given_up(attempts, task.due_at, now):
            await self._give_up(handler, task, error)
            return
        self._count(task.kind, "failed")
        async with self._database.transaction() as connection:
            await records.put_off(connection, task, now + handler.rule.wait(attempts), error=error)

    async def _give_up(self, handler: TaskHandler, task: DueTask, error: str) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await records.lock(connection, task):
                return
            await handler.given_up(connection, task, error, now)
            await records.finish(connection, task, TaskState.GIVEN_UP, now, error=error)
        self._count(task.kind, "given_up")
        log.warning("task_given_up", kind=task.kind, key=task.key, attempts=task.attempts + 1, error=error)


def _lease(kind: str) -> str:
    return f"tasks {kind}"
