"""What a feature implements to have something done when it is due, and what it is given to do it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.tasks import records
from bot.tasks.task import DueTask, PlannedTask, RetryRule, TaskState


class TaskTakenError(Exception):
    """Somebody else did, moved or cancelled the task meanwhile: what this attempt wrote is rolled back."""


class TryLaterError(Exception):
    """The task cannot be done yet, through no failure: another system asks to wait, a channel is missing."""

    def __init__(self, after: timedelta, reason: str = "") -> None:
        super().__init__(reason)
        self.after = after


class GiveUpError(Exception):
    """The task can never be done; the text says why."""


class TaskAttempt:
    """One attempt at a task.

    A handler does its writes within `completing()`, which marks the task as done in the same transaction:
    a crash leaves both undone, and of two replicas one succeeds. What it does outside of the database, before
    that, must bear to be done again. A handler that returns without `completing` is taken to have nothing
    to write.
    """

    def __init__(self, database: Database, task: DueTask, now: datetime) -> None:
        self._database = database
        self.task = task
        self.now = now
        self.is_settled = False
        self._due_again_at: datetime | None = None

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the task was planned with."""
        return self.task.payload

    @asynccontextmanager
    async def completing(self) -> AsyncIterator[AsyncConnection]:
        """Open the transaction that ends the task as done, or sets when it is due again."""
        async with self._transaction() as connection:
            yield connection
            if self._due_again_at is None:
                await records.finish(connection, self.task, TaskState.DONE, self.now)
            else:
                await records.set_due_again(connection, self.task, self._due_again_at)
        self.is_settled = True

    def repeat(self, at: datetime) -> None:
        """Let the task be due again at that time, once the block of `completing` ends without an error."""
        self._due_again_at = at

    @asynccontextmanager
    async def continuing(
        self, payload: Mapping[str, Any], *, after: timedelta = timedelta()
    ) -> AsyncIterator[AsyncConnection]:
        """Open the transaction of a part of long work; the task goes on `after` that time."""
        async with self._transaction() as connection:
            yield connection
            await records.put_off(connection, self.task, self.now + after, payload=dict(payload))
        self.is_settled = True

    async def plan(self, connection: AsyncConnection, task: PlannedTask) -> bool:
        """Plan another task, such as the next of a series, in the same transaction."""
        return await records.plan(self._database, connection, task, self.now)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.transaction() as connection:
            if not await records.lock(connection, self.task):
                raise TaskTakenError
            yield connection


class TaskHandler(Protocol):
    """Does the tasks of one kind."""

    @property
    def kind(self) -> str:
        """The kind of its tasks, such as `digest`."""
        ...

    @property
    def rule(self) -> RetryRule:
        """How a task that fails is tried again."""
        ...

    async def run(self, attempt: TaskAttempt) -> None:
        """Do the task. Any exception is a failure of this attempt, save those of this module."""
        ...

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Write what follows from giving the task up, in the transaction that records it."""
        ...


class EndsSilently:
    """For a handler whose tasks need no last word: its rule gives none up, or nobody misses one."""

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Write nothing."""
