"""The courier: sends what lies in the outbox, each channel at its own pace, nothing lost, nothing twice.

It opens a lane (see `channel_queue.py`) for every channel that something waits for; a channel in trouble
holds up nobody else. Of several replicas one has the channel, for as long as its lane is open. Real time
paces it; rows are stamped by the injected clock.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf

import structlog
from prometheus_client import CollectorRegistry, Gauge
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.slack.delivery.channel_queue import (
    ChannelQueue,
    DeliveryContext,
    DeliveryTiming,
    Notice,
    ShuttingDownError,
)
from bot.slack.delivery.rate_limits import ChannelRateLimit, DeliveryMetrics, WorkspaceRateLimit
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.clients import ClientOf
from bot.store import outbox
from bot.store.addresses import team_of
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.outbox import Backlog, FailingChannel
from bot.store.signals import Topic

log = structlog.get_logger(__name__)

_CALLS_AT_ONCE = 50
_BULK_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class DeliveryHealth:
    """What `/readyz` says of the courier.

    `failing` are channels whose last message was given up, `delayed` those that wait out a fault, each
    with it; `waiting` is how many messages are not sent yet.
    """

    failing: Mapping[str, FailingChannel]
    delayed: Mapping[str, str]
    waiting: int
    oldest_at: datetime | None


class OutboxDispatcher:
    """Sends the outbox to Slack.

    `client` should bring an aiohttp session of its own, or every call makes a new connection. `notice`
    writes what to tell of a message that could not be delivered; the courier asks it once per channel
    and error until a message gets through there again. Without `leases` every channel is this courier's.
    `client_of` answers the clients of further Slack workspaces, `client` is the main one's.
    """

    def __init__(
        self,
        database: Database,
        client: AsyncWebClient,
        clock: Clock,
        *,
        notice: Notice = lambda _message, _error: (),
        registry: CollectorRegistry,
        timing: DeliveryTiming | None = None,
        leases: Leases | None = None,
        client_of: ClientOf | None = None,
    ) -> None:
        timing = timing or DeliveryTiming()
        self._client_of: ClientOf = client_of or (lambda _team: client)
        self._further: dict[str, DeliveryContext] = {}
        self._database = database
        self._leases = leases
        self._clock = clock
        self._poll_s = timing.poll_s
        self._backlog = Backlog({}, None)
        self._failing: Mapping[str, FailingChannel] = {}
        self._lanes: dict[str, tuple[ChannelQueue, asyncio.Task[None]]] = {}
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._workplace = DeliveryContext(
            database,
            clock,
            MessageSender(client, timeout_s=timing.call_timeout_s, calls=_CALLS_AT_ONCE),
            ChannelDirectory(client),
            timing,
            ChannelRateLimit(timing.interval_s),
            self._quota(timing),
            asyncio.Semaphore(_BULK_AT_ONCE),
            DeliveryMetrics(registry),
            notice,
            self._rest,
            self._lease_left_s,
        )
        self._show(registry)
        database.signals.subscribe([Topic.MESSAGES], self.wake)

    @property
    def health(self) -> DeliveryHealth:
        """What is failing and delayed, as of the last look into the outbox (at most seconds ago)."""
        delayed = {name: lane.trouble for name, (lane, _) in self._lanes.items() if lane.trouble}
        waiting = sum(self._backlog.channels.values())
        return DeliveryHealth(self._failing, delayed, waiting, self._backlog.oldest_at)

    def wake(self) -> None:
        """Look into the outbox soon: something was committed."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled or drained."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                while not self._closing.is_set():
                    self._woken.clear()
                    await self._look(tasks)
                    await self._wait(self._woken, self._poll_s)
        finally:
            self._ended.set()

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, finish what is being sent, and make `run` return, within `timeout_s`.

        What is cut short is looked for in Slack at the next start; what was not begun stays in the outbox.
        """
        self._closing.set()
        self.wake()
        await self._wait(self._ended, timeout_s)
        for _, task in self._lanes.values():
            task.cancel()
        await self._ended.wait()

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        """Read what waits and open a lane for each channel that has none."""
        try:
            async with self._database.reading() as connection:
                self._backlog = await outbox.read_backlog(connection)
                self._failing = await outbox.read_failing(connection)
        except Exception:  # the loop's tick: a database that is away comes back
            log.exception("outbox_unreadable")
            return
        is_shared = self._leases is not None and self._leases.is_shared
        for channel in await self._take(self._backlog.channels.keys() - self._lanes.keys()):
            lane = ChannelQueue(channel, self._workplace_of(channel), is_taken_over=is_shared)
            task = tasks.create_task(self._run(lane), name=f"lane {channel}")
            self._lanes[channel] = (lane, task)

    def _workplace_of(self, channel: str) -> DeliveryContext:
        """Return what lanes of the channel's Slack workspace share."""
        team, main = team_of(channel), self._workplace
        if team is None:
            return main
        if team not in self._further:
            client = self._client_of(team)
            postman = MessageSender(client, timeout_s=main.timing.call_timeout_s, calls=_CALLS_AT_ONCE)
            quota = self._quota(main.timing)
            self._further[team] = replace(
                main, postman=postman, channels=ChannelDirectory(client), quota=quota
            )
        return self._further[team]

    def _quota(self, timing: DeliveryTiming) -> WorkspaceRateLimit:
        leases = self._leases
        return WorkspaceRateLimit(
            timing.most_a_minute, timing.minute_s, lambda: leases.replicas if leases else 1
        )

    async def _take(self, channels: Collection[str]) -> Collection[str]:
        """Return those of the channels that are this replica's to send to."""
        if self._leases is None or not channels:
            return channels
        taken = await self._leases.take([_lease(channel) for channel in channels])
        return [channel for channel in channels if _lease(channel) in taken]

    def _lease_left_s(self, channel: str) -> float:
        return inf if self._leases is None else self._leases.left_s(_lease(channel))

    async def _run(self, lane: ChannelQueue) -> None:
        try:
            await lane.run()
        except ShuttingDownError:
            log.debug("lane_closed", channel=lane.channel)
        finally:
            if self._leases is not None:
                await self._leases.release([_lease(lane.channel)])
            del self._lanes[lane.channel]
            # Something may have been written after the lane saw that nothing waits.
            self.wake()

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            await self._wait(self._closing, seconds)
        if self._closing.is_set():
            raise ShuttingDownError

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    def _show(self, registry: CollectorRegistry) -> None:
        waiting = Gauge("governor_outbox_waiting", "Messages not sent yet.", registry=registry)
        waiting.set_function(lambda: sum(self._backlog.channels.values()))
        age = Gauge(
            "governor_outbox_age_seconds", "Age of the oldest message not sent yet.", registry=registry
        )
        age.set_function(self._age_s)
        failing = Gauge(
            "governor_outbox_failing_channels", "Channels that refuse messages.", registry=registry
        )
        failing.set_function(lambda: len(self._failing))

    def _age_s(self) -> float:
        oldest_at = self._backlog.oldest_at
        return (self._clock.now() - oldest_at).total_seconds() if oldest_at else 0.0


def _lease(channel: str) -> str:
    return f"lane {channel}"
