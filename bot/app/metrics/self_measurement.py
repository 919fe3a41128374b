"""What the bot measures of itself besides its work: the event loop, what is due, the database's size."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from bot.budgets.evaluator import Evaluator
from bot.catalog.current import CurrentCatalog
from bot.metrics import Metrics
from bot.slack.background_tasks import BackgroundTasks
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.write_probe import WriteProbe
from bot.tasks.runner import TaskRunner

_EVERY_S = 0.25
_SQLITE_SIZE = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
_POSTGRESQL_SIZE = select(func.pg_database_size(func.current_database()))


class SelfMeasurement:
    """Sets metrics that nothing else sets while it works."""

    def __init__(self, metrics: Metrics, database: Database, tasks: TaskRunner) -> None:
        self._metrics = metrics
        self._database = database
        self._tasks = tasks
        self._kinds: set[str] = set()

    async def watch_event_loop(self) -> None:
        """Observe how late the event loop goes on, until cancelled."""
        loop, observe = asyncio.get_running_loop(), self._metrics.event_loop_lag.observe
        while True:
            before_s = loop.time()
            await asyncio.sleep(_EVERY_S)
            observe(max(0.0, loop.time() - before_s - _EVERY_S))

    async def measure(self) -> None:
        """Count what is due, and ask how large the database is."""
        overdue = await self._tasks.overdue()
        for kind, tasks in overdue.items():
            self._metrics.due_tasks.labels(kind).set(tasks.tasks)
            self._metrics.due_task_age.labels(kind).set(tasks.oldest_for.total_seconds())
        for kind in self._kinds - overdue.keys():
            self._metrics.due_tasks.remove(kind)
            self._metrics.due_task_age.remove(kind)
        self._kinds = set(overdue)
        async with self._database.reading() as connection:
            size = _SQLITE_SIZE if self._database.is_sqlite else _POSTGRESQL_SIZE
            self._metrics.database_size.set((await connection.execute(size)).scalar_one())


def show_live(
    metrics: Metrics,
    *,
    probe: WriteProbe,
    leases: Leases,
    evaluator: Evaluator,
    current: CurrentCatalog,
    jobs: BackgroundTasks,
) -> None:
    """Let gauges be read from the parts that know them, each time they are asked for."""
    metrics.database_writable.set_function(lambda: 0 if probe.problem else 1)
    metrics.replicas.set_function(lambda: leases.replicas)
    metrics.last_evaluation.set_function(lambda: _timestamp(evaluator.last_tick))
    metrics.evaluation_interval.set_function(lambda: _seconds(current.workspace.evaluate_every))
    metrics.running_jobs.set_function(lambda: len(jobs))


def _timestamp(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()


def _seconds(length: timedelta) -> float:
    return length.total_seconds()
