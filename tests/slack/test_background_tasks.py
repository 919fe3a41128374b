"""Background tasks are limited, reported on failure, and drained."""

import asyncio

from bot.slack.background_tasks import BackgroundTasks


async def nothing(_error_id: str, _error: Exception) -> None:
    raise AssertionError("there was nothing to report_failure for")


async def test_failing_task_is_reported_and_touches_no_other() -> None:
    tasks, reported, done = BackgroundTasks(), [], asyncio.Event()

    async def fails() -> None:
        raise RuntimeError("no")

    async def report_failure(error_id: str, _error: Exception) -> None:
        reported.append(error_id)

    async def succeeds() -> None:
        done.set()

    tasks.start("fails", fails, report_failure)
    tasks.start("succeeds", succeeds, nothing)
    assert await tasks.drain(5) == 0
    assert done.is_set()
    assert len(reported) == 1
    assert len(reported[0]) == 8


async def test_no_more_than_the_limit_run_at_once() -> None:
    tasks, running, most = BackgroundTasks(most_at_once=3), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    for _ in range(20):
        tasks.start("work", work, nothing)
    await tasks.drain(5)
    assert most == 3
    assert len(tasks) == 0


async def test_drain_waits_for_what_ends_and_cancels_what_does_not() -> None:
    tasks, forever = BackgroundTasks(), asyncio.Event()

    async def hangs() -> None:
        await forever.wait()

    tasks.start("hangs", hangs, nothing)
    await asyncio.sleep(0)
    assert await tasks.drain(0.01) == 1
    assert len(tasks) == 0


async def test_task_past_its_deadline_is_cancelled_and_reported() -> None:
    tasks, reported = BackgroundTasks(deadline_s=0.01), []

    async def report_failure(error_id: str, _error: Exception) -> None:
        reported.append(error_id)

    async def hangs() -> None:
        await asyncio.Event().wait()

    tasks.start("hangs", hangs, report_failure)
    await tasks.drain(5)
    assert reported
