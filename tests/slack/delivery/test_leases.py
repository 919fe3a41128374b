"""The dispatcher among replicas: it posts only while the channel is certainly its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from bot.clock import SystemClock
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.store.database import Database
from bot.store.leases import Leases, LeaseTiming
from tests.support.delivery import BRISK, Delivery, open_delivery
from tests.support.servers import running_postgresql


class FadingLeases(Leases):
    """Leases that are lost after so many checks, as when the process was halted in between."""

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
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


async def run_with(
    delivery: Delivery, leases: Leases, timing: DeliveryTiming = BRISK
) -> tuple[OutboxDispatcher, asyncio.Task[None]]:
    dispatcher = OutboxDispatcher(
        delivery.database,
        delivery.client,
        SystemClock(),
        registry=CollectorRegistry(),
        timing=timing,
        leases=leases,
    )
    return dispatcher, asyncio.create_task(dispatcher.run())


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_nothing_is_posted_after_the_lease_was_lost(delivery: Delivery, looks: int) -> None:
    await delivery.write("#checkout", "one", "two")
    leases = FadingLeases(delivery.database, looks)
    dispatcher, running = await run_with(delivery, leases)
    async with asyncio.timeout(10):
        await leases.are_gone.wait()
    await dispatcher.drain(5)
    await running
    assert delivery.texts("#checkout") == []
    # After the third look the message is claimed already: its successor must find out that it is not there.
    assert await delivery.states() == ["sending" if looks == 3 else "waiting", "waiting"]
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]


async def test_two_dispatchers_keep_order_and_rate_limit_between_them(tmp_path: Path) -> None:
    timing = LeaseTiming(beat_s=0.05, holds_s=0.5, dead_after_s=0.8)
    texts = [f"message {number}" for number in range(12)]
    async with (
        running_postgresql() as postgresql,
        open_delivery(tmp_path, url=await postgresql.new_database()) as delivery,
        Database(delivery.database.url) as other_database,
    ):
        replicas = [Leases(database, timing) for database in (delivery.database, other_database)]
        beats = []
        dispatchers = []
        for leases in replicas:
            await leases.join()
            beats.append(asyncio.create_task(leases.run()))
            dispatchers.append(await run_with(delivery, leases))
        for number, text in enumerate(texts):
            await delivery.write("#checkout", text)
            dispatchers[number % 2][0].notify()
            await asyncio.sleep(0.02)
            if number == 6:
                # One of them is gone without a word; the other takes over what it held.
                dispatchers[0][1].cancel()
                beats[0].cancel()
        await delivery.until_done()
        await dispatchers[1][0].drain(5)
        for task in (*beats, *(running for _, running in dispatchers)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert delivery.texts("#checkout") == texts


@pytest.mark.parametrize("channels", [["#checkout"] * 4, ["#checkout", "#search", "#payments", "#releases"]])
async def test_what_one_replica_may_not_send_any_more_another_does(
    tmp_path: Path, channels: Sequence[str]
) -> None:
    # Each of the two may send half of it, and then nothing for as long as the test takes.
    timing = replace(BRISK, most_a_minute=len(channels), minute_s=1e9)
    async with (
        running_postgresql() as postgresql,
        open_delivery(tmp_path, url=await postgresql.new_database()) as delivery,
        Database(delivery.database.url) as other_database,
    ):
        replicas = [Leases(database) for database in (delivery.database, other_database)]
        for leases in replicas:
            await leases.join()
        beats = [asyncio.create_task(leases.run()) for leases in replicas]
        async with asyncio.timeout(10):
            while replicas[0].replicas < 2:  # noqa: ASYNC110 - leases announce no change
                await asyncio.sleep(0.02)
        for channel in channels:
            await delivery.write(channel, "told")
        dispatchers = [await run_with(delivery, leases, timing) for leases in replicas]
        await delivery.until_done()
        for dispatcher, running in dispatchers:
            await dispatcher.drain(5)
            await running
        for task in beats:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        told = [text for channel in dict.fromkeys(channels) for text in delivery.texts(channel)]
        assert told == ["told"] * len(channels)
