"""Work after the acknowledgement is bounded, answered for and drained."""

import asyncio

from bot.slack.background_tasks import BackgroundTasks


async def nothing(_error_id: str) -> None:
    raise AssertionError("there was nothing to apologise for")


async def test_failing_job_is_apologised_for_and_touches_no_other() -> None:
    jobs, told, done = BackgroundTasks(), [], asyncio.Event()

    async def fails() -> None:
        raise RuntimeError("no")

    async def apologise(error_id: str) -> None:
        told.append(error_id)

    async def succeeds() -> None:
        done.set()

    jobs.start("fails", fails, apologise)
    jobs.start("succeeds", succeeds, nothing)
    assert await jobs.drain(5) == 0
    assert done.is_set()
    assert len(told) == 1
    assert len(told[0]) == 8


async def test_no_more_than_the_limit_run_at_once() -> None:
    jobs, running, most = BackgroundTasks(most_at_once=3), 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    for _ in range(20):
        jobs.start("work", work, nothing)
    await jobs.drain(5)
    assert most == 3
    assert len(jobs) == 0


async def test_drain_waits_for_what_ends_and_cancels_what_does_not() -> None:
    jobs, forever = BackgroundTasks(), asyncio.Event()

    async def hangs() -> None:
        await forever.wait()

    jobs.start("hangs", hangs, nothing)
    await asyncio.sleep(0)
    assert await jobs.drain(0.01) == 1
    assert len(jobs) == 0


async def test_job_past_its_deadline_is_given_up_with_an_apology() -> None:
    jobs, told = BackgroundTasks(deadline_s=0.01), []

    async def apologise(error_id: str) -> None:
        told.append(error_id)

    async def hangs() -> None:
        await asyncio.Event().wait()

    jobs.start("hangs", hangs, apologise)
    await jobs.drain(5)
    assert told
