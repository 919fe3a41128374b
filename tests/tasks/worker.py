"""A process that does tasks until it is killed: `python -m tests.tasks.worker DATABASE_URL`.

A task of the kind `series` notes itself and plans the next one, up to the number in its payload; it writes
twice, with a pause between, so that a kill often falls into its transaction.
"""

import asyncio
import sys
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import SystemClock
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.outbox import OutboxMessage, enqueue
from bot.tasks.handler import TaskAttempt
from bot.tasks.runner import TaskRunner
from bot.tasks.task import DueTask, PlannedTask, RetryRule

KINDS = ("series a", "series b", "series c")


class Series:
    """Notes a task, and plans the next."""

    rule = RetryRule()

    def __init__(self, kind: str) -> None:
        self.kind = kind

    async def run(self, attempt: TaskAttempt) -> None:
        number, last = int(attempt.payload["number"]), int(attempt.payload["last"])
        async with attempt.completing() as connection:
            await enqueue(connection, [OutboxMessage("#a", self.kind, f"{number} begins")], attempt.now)
            await asyncio.sleep(0.005)
            await enqueue(connection, [OutboxMessage("#a", self.kind, f"{number} ends")], attempt.now)
            if number < last:
                await attempt.plan(connection, task(self.kind, number + 1, last, attempt.now))

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        raise AssertionError(f"{task.key} was given up at {now}: {error} ({connection})")


def task(kind: str, number: int, last: int, due_at: datetime) -> PlannedTask:
    """Return the task with this number of a series."""
    return PlannedTask(kind, str(number), due_at, {"number": number, "last": last})


async def main(url: str) -> None:
    """Do tasks until killed."""
    async with Database(url) as database:
        leases = Leases(database)
        await leases.join()
        runner = TaskRunner(database, SystemClock(), leases)
        runner.register(Series(kind) for kind in KINDS)
        async with asyncio.TaskGroup() as group:
            group.create_task(leases.run())
            group.create_task(database.signals.listen())
            group.create_task(runner.run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
