"""Tasks are done when they are due, once, and those that fail are tried again by their rule."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from bot.store import audit
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.handler import GiveUpError, TaskAttempt, TryLaterError
from bot.tasks.runner import LATE_AFTER, TaskRunner
from bot.tasks.task import DueTask, PlannedTask, RetryRule, TaskState
from tests.support.clock import HOUR, MINUTE, NOW, StoppedClock
from tests.support.stores import rows_of_audit

SECOND = timedelta(seconds=1)


async def write(connection: AsyncConnection, text: str, now: datetime) -> None:
    await audit.record(connection, audit.AuditEntry("governor", "test", text, ""), now)


class Noting:
    """Notes each task in the audit log, in the transaction that completes it."""

    def __init__(
        self,
        kind: str = "note",
        rule: RetryRule | None = None,
        before: Callable[[TaskAttempt], Awaitable[None]] | None = None,
    ) -> None:
        self.kind = kind
        self.rule = rule or RetryRule()
        self._before = before

    async def run(self, attempt: TaskAttempt) -> None:
        if self._before is not None:
            await self._before(attempt)
        async with attempt.completing() as connection:
            await write(connection, attempt.task.key, attempt.now)

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        await write(connection, f"gave up {task.key}: {error}", now)


async def plan(database: Database, key: str, due_at: datetime = NOW, kind: str = "note") -> bool:
    async with database.transaction() as connection:
        return await records.plan(database, connection, PlannedTask(kind, key, due_at, {"of": key}), NOW)


async def state(database: Database, key: str) -> tuple[TaskState, int, str | None]:
    async with database.reading() as connection:
        found = await records.read(connection, "note", key)
    assert found is not None
    return found[1], found[0].attempts, found[0].error


def runner(database: Database, clock: StoppedClock, *handlers: Noting) -> TaskRunner:
    runner = TaskRunner(database, clock)
    runner.register(handlers)
    return runner


def seconds_of(clock: StoppedClock) -> Callable[[], float]:
    """Return a monotonic clock that stands still with another."""

    def now_s() -> float:
        return (clock.time - NOW).total_seconds()

    return now_s


async def test_a_task_is_done_when_it_is_due_and_once(database: Database) -> None:
    clock = StoppedClock()
    tasks = runner(database, clock, Noting())
    assert await plan(database, "later", NOW + HOUR)
    assert await plan(database, "now")
    assert not await plan(database, "now", NOW + HOUR), "a key is planned once"
    assert await tasks.tick()
    assert not await tasks.tick()
    assert await rows_of_audit(database) == ["now"]
    clock.time += HOUR
    await tasks.tick()
    assert await rows_of_audit(database) == ["now", "later"]
    assert not await plan(database, "now"), "what is done is not planned again"


async def test_two_runners_do_a_task_once(database: Database) -> None:
    clock = StoppedClock()
    second = runner(database, clock, Noting())

    async def let_the_other_one_first(_: TaskAttempt) -> None:
        await second.tick()

    await plan(database, "once")
    await runner(database, clock, Noting(before=let_the_other_one_first)).tick()
    assert await rows_of_audit(database) == ["once"]


async def test_what_was_written_goes_with_the_error(database: Database) -> None:
    clock = StoppedClock()

    class Failing(Noting):
        async def run(self, attempt: TaskAttempt) -> None:
            async with attempt.completing() as connection:
                await write(connection, "half", attempt.now)
                raise ValueError("no")

    await plan(database, "a")
    await runner(database, clock, Failing()).tick()
    assert await rows_of_audit(database) == []
    assert await state(database, "a") == (TaskState.PENDING, 1, "ValueError: no")


async def test_a_task_that_fails_delays_none_and_is_tried_ever_later(database: Database) -> None:
    clock = StoppedClock()
    tries: list[timedelta] = []

    async def fail(attempt: TaskAttempt) -> None:
        if attempt.task.key == "bad":
            tries.append(attempt.now - NOW)
            raise ValueError("no")

    rule = RetryRule(SECOND, 4 * SECOND, most_attempts=5)
    tasks = runner(database, clock, Noting(rule=rule, before=fail))
    await plan(database, "bad")
    await plan(database, "good")
    for _ in range(30):
        await tasks.tick()
        clock.time += SECOND
    assert [wait.total_seconds() for wait in tries] == [0, 1, 3, 7, 11]
    assert await rows_of_audit(database) == ["good", "gave up bad: ValueError: no"]
    assert await state(database, "bad") == (TaskState.GIVEN_UP, 5, "ValueError: no")


async def test_a_task_is_given_up_by_time_or_by_its_handler(database: Database) -> None:
    clock = StoppedClock()

    async def fail(attempt: TaskAttempt) -> None:
        if attempt.task.key == "never":
            raise GiveUpError("there is no such channel")
        raise ValueError("no")

    rule = RetryRule(MINUTE, MINUTE, give_up_after=HOUR)
    tasks = runner(database, clock, Noting(rule=rule, before=fail))
    await plan(database, "hour")
    await plan(database, "never")
    await tasks.tick()
    assert await rows_of_audit(database) == ["gave up never: there is no such channel"]
    clock.time += 59 * MINUTE
    await tasks.tick()
    assert (await state(database, "hour"))[0] is TaskState.PENDING
    clock.time += MINUTE
    await tasks.tick()
    assert (await state(database, "hour"))[0] is TaskState.GIVEN_UP


async def test_waiting_is_no_failure(database: Database) -> None:
    clock = StoppedClock()

    async def wait(attempt: TaskAttempt) -> None:
        if attempt.now < NOW + MINUTE:
            raise TryLaterError(MINUTE, "rate limited")

    tasks = runner(database, clock, Noting(rule=RetryRule(most_attempts=1), before=wait))
    await plan(database, "a")
    await tasks.tick()
    assert await state(database, "a") == (TaskState.PENDING, 0, None)
    clock.time += MINUTE
    await tasks.tick()
    assert await rows_of_audit(database) == ["a"]


async def test_long_work_goes_on_where_it_was(database: Database) -> None:
    clock = StoppedClock()

    class Counting(Noting):
        async def run(self, attempt: TaskAttempt) -> None:
            page = attempt.payload.get("page", 0)
            if page == 2:
                return
            async with attempt.continuing({"page": page + 1}) as connection:
                await write(connection, f"page {page}", attempt.now)

    tasks = runner(database, clock, Counting())
    await plan(database, "import")
    while await tasks.tick():
        pass
    assert await rows_of_audit(database) == ["page 0", "page 1"]
    assert (await state(database, "import"))[0] is TaskState.DONE


@pytest.mark.parametrize("change", ["move", "cancel"])
async def test_what_changes_while_a_task_is_tried_counts(database: Database, change: str) -> None:
    clock = StoppedClock()

    async def change_it(attempt: TaskAttempt) -> None:
        async with database.transaction() as connection:
            if change == "move":
                assert await records.move(connection, "note", attempt.task.key, NOW + HOUR)
            else:
                assert await records.cancel(connection, "note", attempt.task.key, NOW)

    await plan(database, "a")
    await runner(database, clock, Noting(before=change_it)).tick()
    assert await rows_of_audit(database) == []
    assert (await state(database, "a"))[0] is (TaskState.PENDING if change == "move" else TaskState.CANCELLED)


async def test_late_tasks_are_counted(database: Database) -> None:
    clock = StoppedClock()
    tasks = runner(database, clock, Noting())
    await plan(database, "a")
    clock.time += LATE_AFTER + SECOND
    assert await tasks.late() == {"note": 1}
    await tasks.tick()
    assert await tasks.late() == {}


async def test_each_kind_has_one_handler(database: Database) -> None:
    with pytest.raises(ValueError, match="a handler for note"):
        runner(database, StoppedClock(), Noting(), Noting())


async def test_an_error_that_no_database_takes_as_it_is_counts_all_the_same(database: Database) -> None:
    async def fail(_: TaskAttempt) -> None:
        raise ValueError("it answers \x00 and \ud800")

    await plan(database, "a")
    # A report of the tests cannot hold such a text: it is not printed.
    with capture_logs():
        await runner(database, StoppedClock(), Noting(before=fail)).tick()
    assert await state(database, "a") == (TaskState.PENDING, 1, "ValueError: it answers  and \ufffd")


class WithoutWrites:
    """Lets every commit of a database fail, as on a full disk, until `is_full` is false."""

    def __init__(self, database: Database) -> None:
        self.is_full = True
        event.listen(database.engine.sync_engine, "commit", self._fail)

    def _fail(self, _connection: object) -> None:
        if self.is_full:
            raise OperationalError("COMMIT", {}, ConnectionError("the server is gone"))


class Effects(Noting):
    """Counts what it does outside of the database, before it writes."""

    times = 0

    async def run(self, attempt: TaskAttempt) -> None:
        self.times += 1
        await super().run(attempt)


@pytest.mark.parametrize("tasks", [1, 100])
async def test_what_is_done_outside_is_repeated_ever_later_while_nothing_can_be_written(
    database: Database, tasks: int
) -> None:
    clock, effects = StoppedClock(), Effects()
    runner = TaskRunner(database, clock, now_s=seconds_of(clock))
    runner.register([effects])
    async with database.transaction() as connection:
        for number in range(tasks):
            await records.plan(database, connection, PlannedTask("note", f"{number}", NOW), NOW)
    disk = WithoutWrites(database)
    tries: list[float] = []
    for _ in range(400):
        await runner.tick()
        if effects.times > len(tries):
            tries.append((clock.time - NOW).total_seconds())
        clock.time += SECOND
    assert tries == [0, 1, 3, 7, 15, 31, 63, *range(123, 400, 60)]
    disk.is_full = False
    clock.time += MINUTE
    await runner.tick()
    assert len(await rows_of_audit(database)) == tasks
    assert not await runner.tick()


async def test_tasks_that_find_no_disk_wake_nobody(database: Database) -> None:
    effects = Effects()
    runner = TaskRunner(database, StoppedClock())
    runner.register([effects])
    async with database.transaction() as connection:
        for number in range(100):
            await records.plan(database, connection, PlannedTask("note", f"{number}", NOW), NOW)
    WithoutWrites(database)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await runner.run()
    assert effects.times == 1


async def test_a_task_whose_outcome_cannot_be_recorded_is_tried_ever_later_and_delays_none(
    database: Database,
) -> None:
    clock = StoppedClock()
    tries: list[float] = []

    class NoLastWord(Noting):
        async def given_up(self, _connection: AsyncConnection, *_: object) -> None:
            raise KeyError("channels")

    async def fail(attempt: TaskAttempt) -> None:
        if attempt.task.key == "bad":
            tries.append((clock.time - NOW).total_seconds())
            raise GiveUpError("there is no such channel")

    handler = NoLastWord(before=fail)
    runner = TaskRunner(database, clock, now_s=seconds_of(clock))
    runner.register([handler])
    await plan(database, "bad")
    await plan(database, "good")
    for _ in range(10):
        await runner.tick()
        clock.time += SECOND
    assert tries == [0, 1, 3, 7]
    assert await rows_of_audit(database) == ["good"]


async def test_a_task_may_be_due_again(database: Database) -> None:
    clock = StoppedClock()

    class Repeating(Noting):
        async def run(self, attempt: TaskAttempt) -> None:
            async with attempt.completing() as connection:
                await write(connection, f"{(attempt.now - NOW) / HOUR:g}", attempt.now)
                if attempt.now < NOW + 2 * HOUR:
                    attempt.repeat(attempt.now + HOUR)

    tasks = runner(database, clock, Repeating())
    await plan(database, "hourly")
    for _ in range(10):
        await tasks.tick()
        clock.time += HOUR / 2
    assert await rows_of_audit(database) == ["0", "1", "2"]
    assert (await state(database, "hourly"))[0] is TaskState.DONE


async def test_a_task_may_be_scheduled_anew_also_when_it_is_over(database: Database) -> None:
    clock = StoppedClock()
    tasks = runner(database, clock, Noting())
    for at in (HOUR, MINUTE, 2 * HOUR):
        async with database.transaction() as connection:
            await records.schedule(database, connection, PlannedTask("note", "a", NOW + at), NOW)
        if at == HOUR:
            continue
        await tasks.tick()
        clock.time = NOW + at
        await tasks.tick()
    assert await rows_of_audit(database) == ["a", "a"]
