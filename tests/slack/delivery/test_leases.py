"""The courier among replicas: it posts only while the channel is certainly its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bot.clock import SystemClock
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.store.database import Database
from bot.store.leases import Leases, LeaseTiming
from tests.support.delivery import BRISK, Post, post_office
from tests.support.servers import running_postgresql


class FadingLeases(Leases):
    """Leases that are lost after so many looks at them, as when the process was halted in between."""

    def __init__(self, database: Database, looks: int) -> None:
        super().__init__(database)
        self._looks = looks
        self.are_gone = asyncio.Event()

    def left_s(self, name: str) -> float:
        if self._looks == 0:
            self.are_gone.set()
            return 0.0
        self._looks -= 1
        return super().left_s(name)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with post_office(tmp_path) as post:
        yield post


async def run_with(post: Post, leases: Leases) -> tuple[OutboxDispatcher, asyncio.Task[None]]:
    dispatcher = OutboxDispatcher(
        post.database, post.client, SystemClock(), registry=CollectorRegistry(), timing=BRISK, leases=leases
    )
    return dispatcher, asyncio.create_task(dispatcher.run())


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_nothing_is_posted_after_the_lease_was_lost(post: Post, looks: int) -> None:
    await post.write("#checkout", "one", "two")
    leases = FadingLeases(post.database, looks)
    dispatcher, running = await run_with(post, leases)
    async with asyncio.timeout(10):
        await leases.are_gone.wait()
    await dispatcher.drain(5)
    await running
    assert post.texts("#checkout") == []
    # After the third look the message is claimed already: its successor must find out that it is not there.
    assert await post.states() == ["sending" if looks == 3 else "waiting", "waiting"]
    async with post.dispatcher():
        await post.until_done()
    assert post.texts("#checkout") == ["one", "two"]


async def test_two_couriers_keep_order_and_pace_between_them(tmp_path: Path) -> None:
    timing = LeaseTiming(beat_s=0.05, holds_s=0.5, dead_after_s=0.8)
    texts = [f"message {number}" for number in range(12)]
    async with (
        running_postgresql() as postgresql,
        post_office(tmp_path, url=await postgresql.new_database()) as post,
        Database(post.database.url) as other_database,
    ):
        replicas = [Leases(database, timing) for database in (post.database, other_database)]
        beats = []
        couriers = []
        for leases in replicas:
            await leases.join()
            beats.append(asyncio.create_task(leases.run()))
            couriers.append(await run_with(post, leases))
        for number, text in enumerate(texts):
            await post.write("#checkout", text)
            couriers[number % 2][0].wake()
            await asyncio.sleep(0.02)
            if number == 6:
                # One of them is gone without a word; the other takes over what it held.
                couriers[0][1].cancel()
                beats[0].cancel()
        await post.until_done()
        await couriers[1][0].drain(5)
        for task in (*beats, *(running for _, running in couriers)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert post.texts("#checkout") == texts
