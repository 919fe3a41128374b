"""Other tasks run in the course of a long calculation."""

import asyncio
import time

from bot.pacing import Pacer


def calculate_for_milliseconds() -> None:
    began = time.perf_counter()
    while time.perf_counter() - began < 0.004:
        pass


async def test_another_task_has_its_turn_before_the_calculation_is_over() -> None:
    turns = 0

    async def wait() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(wait())
    pace, began = Pacer(), time.perf_counter()
    while turns < 3:
        await pace()
        assert time.perf_counter() - began < 60, "nobody else had a turn"
    waiting.cancel()


async def test_the_event_loop_goes_round_a_few_times_between_two_parts_of_many_calculations() -> None:
    ran = 0

    async def calculate() -> None:
        nonlocal ran
        pace = Pacer()
        for _ in range(5):
            calculate_for_milliseconds()
            await pace()
            ran += 1

    calculations = [asyncio.create_task(calculate()) for _ in range(8)]
    await asyncio.sleep(0)
    seen = []
    while not all(each.done() for each in calculations):
        before = ran
        await asyncio.sleep(0)
        seen.append(ran - before)
    assert ran == 8 * 5
    assert max(seen) == 1
    # A request is received and answered in a few rounds: hardly more than one part delays it.
    assert all(sum(seen[first : first + 4]) <= 1 for first in range(len(seen)))


async def test_a_calculation_that_is_cancelled_keeps_no_other_waiting() -> None:
    async def calculate() -> None:
        pace = Pacer()
        for _ in range(20):
            calculate_for_milliseconds()
            await pace()

    first, second = asyncio.create_task(calculate()), asyncio.create_task(calculate())
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(30):
        await second
    assert first.cancelled()
