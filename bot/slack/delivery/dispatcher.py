"""The outbox dispatcher: sends what waits in the outbox, each message once, each channel at its rate.

It runs a queue (see `channel_queue.py`, with its retries) for every channel with waiting messages; a failing
channel delays no other. One replica has the channel's lease for as long as its queue runs. Waiting goes by
real time; rows are stamped by the injected clock.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf

import structlog
from prometheus_client import CollectorRegistry, Gauge
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock, wait_until_set
from bot.slack.delivery.channel_queue import ChannelQueue
from bot.slack.delivery.context import DeliveryContext, DeliveryTiming, Notice, ShuttingDownError
from bot.slack.delivery.rate_limits import ChannelRateLimit, DeliveryMetrics, WorkspaceRateLimit
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.slack.webapi.user_groups import UserGroups
from bot.store import outbox
from bot.store.addresses import team_of
from bot.store.database import Database
from bot.store.leases import Leases
from bot.store.outbox import Backlog, FailingChannel
from bot.store.signals import Topic

log = structlog.get_logger(__name__)

_CALLS_AT_ONCE = 50
_BULK_AT_ONCE = 30
# How much later queues are opened whose turn has come, and others looked for in ended queues' channels.
_AT_MOST_EVERY_S = 0.1


LATE_AFTER = timedelta(minutes=5)
"""How long a message may wait before its channel counts as late."""


@dataclass(frozen=True, slots=True)
class LateChannel:
    """A channel with a message that waits too long: how many wait, and when the oldest was written."""

    messages: int
    since: datetime


@dataclass(frozen=True, slots=True)
class DeliveryHealth:
    """What `/readyz` reports of the delivery.

    `failing` are channels whose last message failed, `delayed` those that wait for a retry, each with its
    error; `late` are channels in which a message has been waiting for `LATE_AFTER`, for whatever reason;
    `waiting` is how many messages are not sent yet.
    """

    failing: Mapping[str, FailingChannel]
    delayed: Mapping[str, str]
    late: Mapping[str, LateChannel]
    waiting: int
    oldest_at: datetime | None


class OutboxDispatcher:
    """Sends the outbox to Slack.

    `client` should bring an aiohttp session of its own, or every call makes a new connection. `notice`
    returns the messages that report a failed one; it is called once per channel and error until a message
    is delivered there again. Without `leases` every channel belongs to this dispatcher. `client_of` returns
    the clients of further Slack workspaces, `client` is the main one's. `edit_limits` are shared with whoever
    edits messages too.
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
        edit_limits: EditRateLimits | None = None,
    ) -> None:
        timing = timing or DeliveryTiming()
        self._edit_limits = edit_limits or EditRateLimits(timing.minute_s)
        self._client_of: ClientOf = client_of or (lambda _team: client)
        self._other_contexts: dict[str, DeliveryContext] = {}
        self._database = database
        self._leases = leases
        self._clock = clock
        self._poll_s = timing.poll_s
        self._backlog = Backlog({}, {})
        self._failing: Mapping[str, FailingChannel] = {}
        self._queues: dict[str, tuple[ChannelQueue, asyncio.Task[None]]] = {}
        self._notified = asyncio.Event()
        self._next_look: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._context = DeliveryContext(
            database,
            clock,
            MessageSender(client, timeout_s=timing.call_timeout_s, calls=_CALLS_AT_ONCE),
            ChannelDirectory(client),
            UserGroups(client),
            timing,
            ChannelRateLimit(timing.interval_s),
            self._workspace_rate_limit(timing),
            self._edit_limits.of(None),
            asyncio.Semaphore(_BULK_AT_ONCE),
            DeliveryMetrics(registry),
            notice,
            self._sleep,
            self._lease_left_s,
        )
        self._add_gauges(registry)
        database.signals.subscribe([Topic.MESSAGES], self.notify)

    @property
    def health(self) -> DeliveryHealth:
        """What is failing and delayed, as of the last reading of the outbox (seconds ago at most)."""
        delayed = {
            channel: queue.last_error for channel, (queue, _) in self._queues.items() if queue.last_error
        }
        waiting = sum(self._backlog.channels.values())
        late_before = self._clock.now() - LATE_AFTER
        late = {
            channel: LateChannel(self._backlog.channels[channel], since)
            for channel, since in self._backlog.oldest.items()
            if since < late_before
        }
        return DeliveryHealth(self._failing, delayed, late, waiting, self._backlog.oldest_at)

    def notify(self) -> None:
        """Read the outbox soon: something was committed."""
        self._notified.set()

    async def run(self) -> None:
        """Deliver until cancelled or drained."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                while not self._closing.is_set():
                    self._notified.clear()
                    await wait_until_set(self._notified, await self._open_queues(tasks))
        finally:
            self._ended.set()

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, finish what is being sent, and make `run` return, within `timeout_s`.

        What is cancelled is looked up in Slack at the next start; what was not begun stays in the outbox.
        """
        self._closing.set()
        for queue, _ in self._queues.values():
            queue.wake()
        self.notify()
        await wait_until_set(self._ended, timeout_s)
        for _, task in self._queues.values():
            task.cancel()
        await self._ended.wait()

    async def _open_queues(self, tasks: asyncio.TaskGroup) -> float:
        """Read what waits and open queues for channels that have none; return when to read again at last."""
        try:
            async with self._database.reading() as connection:
                self._backlog = await outbox.read_backlog(connection)
                self._failing = await outbox.read_failing(connection)
        except Exception:  # the loop's tick: the database may come back
            log.exception("outbox_read_failed")
            return self._poll_s
        for channel in self._backlog.oldest.keys() & self._queues.keys():
            self._queues[channel][0].wake()
        is_shared = self._leases is not None and self._leases.is_shared
        channels, again_s = self._channels_with_room()
        for channel in await self._acquire_leases(channels):
            context, is_bulk = self._context_of(channel), channel in self._backlog.bulk
            queue = ChannelQueue(channel, context, is_taken_over=is_shared, is_bulk=is_bulk)
            task = tasks.create_task(self._run_queue(queue), name=f"channel queue {channel}")
            self._queues[channel] = (queue, task)
        return again_s

    def _channels_with_room(self) -> tuple[list[str], float]:
        """Return channels without a queue, those that wait longest first, and when to read again at last.

        They are no more than this replica may soon post to: others may have room for the rest.
        """
        backlog, again_s = self._backlog, self._poll_s
        channels = [channel for channel in backlog.channels if channel not in self._queues]
        # Edits have a limit of their own.
        opened = [channel for channel in channels if channel not in backlog.oldest]
        waiting_for_turn = Counter(
            (self._context_of(queue.channel).workspace_rate_limit, queue.is_bulk)
            for queue, _ in self._queues.values()
            if not queue.has_begun
        )
        room: dict[tuple[WorkspaceRateLimit, bool], int] = {}
        for channel in sorted(backlog.oldest.keys() & set(channels), key=lambda each: backlog.oldest[each]):
            limit, is_bulk = self._context_of(channel).workspace_rate_limit, channel in backlog.bulk
            key = limit, is_bulk
            if key not in room:
                room[key] = limit.room(is_bulk=is_bulk, within_s=_AT_MOST_EVERY_S) - waiting_for_turn[key]
            if room[key] > 0:
                room[key] -= 1
                opened.append(channel)
            else:
                again_s = min(again_s, max(_AT_MOST_EVERY_S, limit.wait_s(is_bulk=is_bulk)))
        return opened, again_s

    def _context_of(self, channel: str) -> DeliveryContext:
        """Return what the queues of the channel's Slack workspace share."""
        team, main = team_of(channel), self._context
        if team is None:
            return main
        if team not in self._other_contexts:
            client = self._client_of(team)
            self._other_contexts[team] = replace(
                main,
                sender=MessageSender(client, timeout_s=main.timing.call_timeout_s, calls=_CALLS_AT_ONCE),
                channels=ChannelDirectory(client),
                groups=UserGroups(client),
                workspace_rate_limit=self._workspace_rate_limit(main.timing),
                edit_rate_limit=self._edit_limits.of(team),
            )
        return self._other_contexts[team]

    def _workspace_rate_limit(self, timing: DeliveryTiming) -> WorkspaceRateLimit:
        leases = self._leases
        return WorkspaceRateLimit(
            timing.most_a_minute, timing.minute_s, lambda: leases.replicas if leases else 1
        )

    async def _acquire_leases(self, channels: Collection[str]) -> Collection[str]:
        """Return those of the channels whose lease this replica gets."""
        if self._leases is None or not channels:
            return channels
        acquired = await self._leases.take([_lease(channel) for channel in channels])
        return [channel for channel in channels if _lease(channel) in acquired]

    def _lease_left_s(self, channel: str) -> float:
        return inf if self._leases is None else self._leases.left_s(_lease(channel))

    async def _run_queue(self, queue: ChannelQueue) -> None:
        try:
            await queue.run()
        except ShuttingDownError:
            log.debug("channel_queue_closed", channel=queue.channel)
        finally:
            if self._leases is not None:
                await self._leases.release([_lease(queue.channel)])
            del self._queues[queue.channel]
            # A message may have been written after the queue found nothing waiting.
            if self._next_look is None:
                self._next_look = asyncio.get_running_loop().call_later(_AT_MOST_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._next_look = None
        self.notify()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await wait_until_set(self._closing, seconds)
        if self._closing.is_set():
            raise ShuttingDownError

    def _add_gauges(self, registry: CollectorRegistry) -> None:
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
    # The stored name stays: replicas of different versions must agree on it.
    return f"lane {channel}"
