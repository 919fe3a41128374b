"""Tasks on two replicas through halts, crashes and failing commits: each is done once, and none is lost."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.leases import Leases, LeaseTiming
from bot.store.tables.core import audit as audit_rows
from bot.store.tables.replicas import replicas as replica_rows
from bot.store.tables.tasks import due_tasks
from bot.tasks import records
from bot.tasks.handler import GiveUpError, TaskAttempt, TryLaterError
from bot.tasks.runner import TaskRunner
from bot.tasks.task import DueTask, PlannedTask, RetryRule, TaskState
from tests.durability.databases import Fault, FaultyDatabase, as_if_shared
from tests.durability.machines import AWAY, AsyncMachine, effort
from tests.support.clock import NOW, StoppedClock
from tests.support.stores import create_tables

KEYS = ("a", "b", "c")
KIND = "note"
LEASE = f"tasks {KIND}"
REPLICAS = 2
TIMING = LeaseTiming()
OUTCOMES: tuple[Exception | None, ...] = (
    None, None, ValueError("no"), TryLaterError(timedelta(seconds=2)), GiveUpError("never"),
)  # fmt: skip

replica = st.integers(0, REPLICAS - 1)
keys = st.sampled_from(KEYS)


async def note(connection: AsyncConnection, text: str) -> None:
    await audit.record(connection, AuditEntry("governor", "test", text, ""), NOW)


class Worker:
    """A replica: its leases and runner, and the effect outside of the database that it is at, if any."""

    kind = KIND
    rule = RetryRule(timedelta(seconds=1), timedelta(seconds=4))

    def __init__(self, database: FaultyDatabase, clock: StoppedClock) -> None:
        self._clock = clock
        self.halted_s = 0.0
        self.leases = Leases(as_if_shared(database), TIMING, now_s=self._now_s)
        self.runner = TaskRunner(database, clock, self.leases, now_s=self._now_s)
        self.runner.register([self])
        self.ticking: asyncio.Task[bool] | None = None
        self.at: str | None = None
        self.was_late = False
        self._outcome: asyncio.Future[Exception | None] | None = None
        self._moved = asyncio.Event()

    @property
    def holds(self) -> bool:
        return self.leases.left_s(LEASE) > 0

    async def run(self, attempt: TaskAttempt) -> None:
        self.was_late |= not self.holds
        self._outcome = asyncio.get_running_loop().create_future()
        self.at = attempt.task.key
        self._moved.set()
        outcome = await self._outcome
        if outcome is not None:
            raise outcome
        async with attempt.completing() as connection:
            await note(connection, f"done {attempt.task.key}")

    async def given_up(self, connection: AsyncConnection, task: DueTask, _error: str, _now: object) -> None:
        await note(connection, f"gave up {task.key}")

    async def tick(self) -> None:
        """Begin to do what is due, up to the first effect."""
        self.ticking = asyncio.create_task(self.runner.tick())
        await self._until_moved()

    async def finish(self, outcome: Exception | None) -> None:
        """Let the effect end, and go on to the next."""
        assert self._outcome is not None
        self.at = None
        self._moved.clear()
        self._outcome.set_result(outcome)
        await self._until_moved()

    async def crash(self) -> None:
        if self.ticking is not None:
            self.ticking.cancel()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await self.ticking

    async def _until_moved(self) -> None:
        assert self.ticking is not None
        moved = asyncio.create_task(self._moved.wait())
        await asyncio.wait([self.ticking, moved], return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
        if self.ticking.done():
            self._moved.clear()
            with suppress(*AWAY):
                await self.ticking
            self.ticking = None

    def _now_s(self) -> float:
        return (self._clock.time - NOW).total_seconds() + self.halted_s + 1_000


class TaskMachine(AsyncMachine):
    """Two replicas, a table of tasks, and whoever plans, moves and cancels them."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.clock = StoppedClock()
        self.database = FaultyDatabase(url)
        self.planned: set[str] = set()
        self.run(self._clear())
        self.workers = [Worker(self.database, self.clock) for _ in range(REPLICAS)]
        for number, key in enumerate(KEYS[:2]):
            self.plan(key, 0)
            self.run(self._beat(number))

    async def _clear(self) -> None:
        async with self.database.transaction() as connection:
            for table in (replica_rows, due_tasks, audit_rows):
                await connection.execute(delete(table))

    @rule(key=keys, after=st.integers(0, 3))
    def plan(self, key: str, after: int) -> None:
        async def plan() -> None:
            task = PlannedTask(KIND, key, self.clock.time + timedelta(seconds=after))
            # Whoever is told that it failed plans it again.
            for _ in range(4):
                try:
                    async with self.database.transaction() as connection:
                        await records.plan(self.database, connection, task, self.clock.time)
                except AWAY:
                    continue
                self.planned.add(key)
                return

        self.run(plan())

    @rule(key=keys, moves=st.booleans())
    def change(self, key: str, moves: bool) -> None:
        async def change() -> None:
            with suppress(*AWAY):
                async with self.database.transaction() as connection:
                    if moves:
                        await records.move(connection, KIND, key, self.clock.time + timedelta(seconds=1))
                    else:
                        await records.cancel(connection, KIND, key, self.clock.time)

        self.run(change())

    async def _beat(self, by: int) -> None:
        with suppress(*AWAY):
            await self.workers[by].leases.join()

    @rule(by=replica, outcome=st.sampled_from(OUTCOMES))
    def work(self, by: int, outcome: Exception | None) -> None:
        """Begin to do what is due, or end what is being done."""
        worker = self.workers[by]
        if worker.at is not None:
            self.run(worker.finish(outcome))
        elif worker.ticking is None:
            self.run(worker.tick())

    @rule(by=replica)
    def halt(self, by: int) -> None:
        """Let its leases end; the other one sees its beat stand still."""
        self.workers[by].halted_s += TIMING.holds_s
        for _ in range(9):
            self.clock.time += timedelta(seconds=1)
            self.run(self._beat(1 - by))

    @rule(by=replica)
    def crash(self, by: int) -> None:
        self.run(self.workers[by].crash())
        self.workers[by] = Worker(self.database, self.clock)

    @rule(seconds=st.integers(1, 3))
    def let_time_pass(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.time += timedelta(seconds=1)
            for by in range(REPLICAS):
                self.run(self._beat(by))

    @rule(fault=st.sampled_from(Fault))
    def fail(self, fault: Fault) -> None:
        self.database.fail(fault)

    @invariant()
    def each_is_done_once_or_still_to_be_done(self) -> None:
        states, notes = self.run(self._read())
        assert self.planned <= set(states), "a task is lost"
        for key, state in states.items():
            done, gave_up = notes.get(f"done {key}", 0), notes.get(f"gave up {key}", 0)
            expected = {TaskState.DONE: (1, 0), TaskState.GIVEN_UP: (0, 1)}.get(state, (0, 0))
            assert (done, gave_up) == expected, (key, state)

    @invariant()
    def one_does_a_task_within_its_lease(self) -> None:
        assert not any(worker.was_late for worker in self.workers), "one was begun after the lease's end"
        assert sum(worker.at is not None and worker.holds for worker in self.workers) <= 1

    async def _read(self) -> tuple[dict[str, TaskState], dict[str, int]]:
        faults, self.database._faults[:] = list(self.database._faults), []
        async with self.database.reading() as connection:
            tasks = await connection.execute(select(due_tasks.c.key, due_tasks.c.state))
            states = {key: TaskState(state) for key, state in tasks}
            rows = await connection.execute(
                select(audit_rows.c.subject, func.count().label("notes")).group_by(audit_rows.c.subject)
            )
            notes = {row.subject: row.notes for row in rows}
        self.database._faults[:] = faults
        return states, notes

    async def end(self) -> None:
        """One replica goes on alone: everything is done."""
        self.database.recover()
        for worker in self.workers:
            await worker.crash()
        survivor = Worker(self.database, self.clock)
        for _ in range(16):
            self.clock.time += timedelta(seconds=1)
            await survivor.leases.join()
            await survivor.tick()
            while survivor.at is not None:
                await survivor.finish(None)
        states, _ = await self._read()
        assert TaskState.PENDING not in states.values()

    async def close(self) -> None:
        for worker in self.workers:
            await worker.crash()
        await self.database.__aexit__()


@pytest.fixture
async def address(url: str) -> str:
    """The address of a database with all tables."""
    async with FaultyDatabase(url) as database:
        await create_tables(database)
    return url


def test_each_task_is_done_once_and_in_the_end(address: str) -> None:
    is_sqlite = address.startswith("sqlite")
    run_state_machine_as_test(
        partial(TaskMachine, address),  # type: ignore[arg-type]
        settings=effort(12 if is_sqlite else 2, 25),
    )
