"""Replicas that run the real channel queue on the real outbox and leases, one step at a time.

Each stops before whatever takes time: before it sleeps, reads, writes or asks Slack. `Replicas.proceed` lets
one go on to its next stop, so that every interleaving can be chosen, and repeated. The dispatcher around the
queues is left out; what it does with leases is done here the same way.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Row, select

from bot.slack.delivery.channel_queue import ChannelQueue
from bot.slack.delivery.context import DeliveryContext, DeliveryTiming, ShuttingDownError
from bot.slack.delivery.rate_limits import ChannelRateLimit, DeliveryMetrics, WorkspaceRateLimit
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.slack.webapi.user_groups import UserGroups
from bot.store.leases import Leases, LeaseTiming
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.tables.core import outbox
from bot.store.tables.replicas import leases as lease_rows
from bot.store.tables.replicas import replicas as replica_rows
from tests.durability.channel import CHANNEL, SteppedChannel, SteppedClient
from tests.durability.databases import FaultyDatabase, as_if_shared
from tests.support.clock import StoppedClock

LEASE = f"lane {CHANNEL}"
# Lengths that nothing real can reach while a test computes: time passes only where a test says so.
TIMING = LeaseTiming(beat_s=1_000, holds_s=5_000, dead_after_s=7_000)
DELIVERY = DeliveryTiming(call_timeout_s=10_000, backoff_s=0.01, backoff_limit_s=0.02)


@dataclass
class Stop:
    """Where a replica waits for leave: `sleep`, `read`, `write`, or a method of Slack."""

    at: str
    asked: Mapping[str, Any]
    go: asyncio.Future[Mapping[str, Any]]


class SteppedReplica:
    """One process: its leases, its clock, and the channel's queue while it has the lease."""

    def __init__(self, url: str, registry: CollectorRegistry) -> None:
        self.stop: Stop | None = None
        self.jumped_s = 0.0
        self.queue: asyncio.Task[None] | None = None
        self.database = FaultyDatabase(url, self._pass)
        self._plain = FaultyDatabase(url)
        self._moved = asyncio.Event()
        self._clock = StoppedClock()
        self._client = SteppedClient(self._ask)
        self._registry = registry
        self.leases = Leases(as_if_shared(self._plain), TIMING, now_s=self._now_s)

    async def close(self) -> None:
        """End the process as a power cut would: nothing is handed back."""
        await self.crash()
        await self.database.__aexit__()
        await self._plain.__aexit__()

    @property
    def holds(self) -> bool:
        """Whether it counts on the channel's lease."""
        return self.leases.left_s(LEASE) > 0

    @property
    def is_working(self) -> bool:
        """Whether its queue runs."""
        return self.queue is not None and not self.queue.done()

    def halt(self) -> None:
        """Let its clock pass the end of what it holds, without a beat."""
        self.jumped_s += TIMING.holds_s + 1

    async def crash(self) -> None:
        """Lose everything that is not in the database."""
        if self.queue is not None:
            self.queue.cancel()
            with suppress(asyncio.CancelledError, ShuttingDownError):
                await self.queue
        self.queue = self.stop = None
        self.leases = Leases(as_if_shared(self._plain), TIMING, now_s=self._now_s)

    async def take(self) -> bool:
        """Take the channel's lease, if it is free, and begin to work."""
        if self.is_working or LEASE not in await self.leases.take([LEASE]):
            return False
        queue = ChannelQueue(CHANNEL, self._context(), is_taken_over=True)
        self.queue = asyncio.create_task(self._run(queue))
        await self.until_stopped()
        return True

    async def release(self) -> None:
        """Hand the lease back, as at the end of a queue."""
        await self.leases.release([LEASE])

    async def proceed(self, answer: Mapping[str, Any] | Exception | None = None) -> None:
        """Go on to the next stop, with this answer from what was waited for."""
        stop = self.stop
        assert stop is not None, "the replica waits for nothing"
        self.stop = None
        self._moved.clear()
        if isinstance(answer, Exception):
            stop.go.set_exception(answer)
        else:
            stop.go.set_result(answer or {})
        await self.until_stopped()

    async def until_stopped(self) -> None:
        """Wait until the queue stops or ends."""
        assert self.queue is not None
        moved = asyncio.create_task(self._moved.wait())
        await asyncio.wait([self.queue, moved], return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()

    async def _run(self, queue: ChannelQueue) -> None:
        with suppress(ShuttingDownError):
            await queue.run()

    async def _pass(self, at: str) -> None:
        await self._wait(at, {})

    async def _sleep(self, seconds: float) -> None:
        await self._wait("sleep", {"seconds": seconds})

    async def _ask(self, method: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._wait(method, asked)

    async def _wait(self, at: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        self.stop = Stop(at, asked, asyncio.get_running_loop().create_future())
        self._moved.set()
        return await self.stop.go

    def _now_s(self) -> float:
        return 1_000_000 + self.jumped_s

    def _context(self) -> DeliveryContext:
        client = self._client
        return DeliveryContext(
            self.database,
            self._clock,
            MessageSender(client, timeout_s=DELIVERY.call_timeout_s, calls=5),
            ChannelDirectory(client),
            UserGroups(client),
            DELIVERY,
            ChannelRateLimit(DELIVERY.interval_s),
            WorkspaceRateLimit(DELIVERY.most_a_minute, DELIVERY.minute_s, lambda: 1),
            EditRateLimits(DELIVERY.minute_s).of(None),
            asyncio.Semaphore(5),
            DeliveryMetrics(CollectorRegistry()),
            lambda _message, _error: (),
            self._sleep,
            lambda _channel: self.leases.left_s(LEASE),
        )


class Replicas:
    """Several replicas, one channel, one database."""

    def __init__(self, url: str, count: int) -> None:
        self.slack = SteppedChannel()
        self.database = FaultyDatabase(url)
        registry = CollectorRegistry()
        self.all = [SteppedReplica(url, registry) for _ in range(count)]
        self._clock = StoppedClock()

    async def open(self) -> None:
        """Let every replica join."""
        for replica in self.all:
            await replica.leases.join()

    async def close(self) -> None:
        """Close everything."""
        for replica in self.all:
            await replica.close()
        await self.database.__aexit__()

    async def write(self, *texts: str, brief: bool = False, thread: str | None = None) -> None:
        """Put messages into the outbox, in one transaction."""
        head = {"text": "head", "blocks": [], "line": "line"} if thread else None
        messages = [
            OutboxMessage(CHANNEL, "told", text, brief=text if brief else None, thread=thread, head=head)
            for text in texts
        ]
        async with self.database.transaction() as connection:
            await enqueue(connection, messages, self._clock.now())

    async def rows(self) -> Sequence[Row[Any]]:
        """Return the rows of the outbox."""
        async with self.database.reading() as connection:
            return (await connection.execute(select(outbox).order_by(outbox.c.id))).all()

    async def owner(self) -> str | None:
        """Return who has the channel's lease by the database."""
        async with self.database.reading() as connection:
            return await connection.scalar(select(lease_rows.c.owner).where(lease_rows.c.name == LEASE))

    async def retire(self, owner: str) -> None:
        """Retire a replica, as whoever sees its beat stand still does."""
        other = Leases(as_if_shared(self.database), TIMING)
        async with self.database.reading() as connection:
            beat = await connection.scalar(select(replica_rows.c.beat).where(replica_rows.c.id == owner))
        if beat is not None:
            await other._retire(owner, beat)
