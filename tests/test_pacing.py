"""Other tasks run in the course of a long calculation."""

import asyncio
import time

from bot.pacing import Pacer


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
