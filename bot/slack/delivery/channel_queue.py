"""One channel's way out of the outbox: its messages one after another, each until it is sent or given up.

    waiting ──claim──▶ sending ──answer──▶ sent
       ▲                  │  └──refusal──▶ failed
       └──known not to have arrived──┘

Everything the lane must not forget is in the row, so a lane that begins after a crash is the same as one
that goes on after a fault: a row in `sending` is looked for in the channel before it is sent again. If the
history cannot be read, the look-up is tried again for as long as it takes and the channel waits: late is
better than twice. Only where Slack says that the channel is gone or closed to the bot, so that neither a
look-up nor a second post could succeed, is the message given up.

A lane works only while its replica holds the channel's lease, and gives a post no more time than the lease
has left. What remains: a replica that is halted in the instant between that check and the write to its
socket, or a request that the network holds back, for longer than the lease's end and the successor's
look-up together, may still bring a message that the successor has found missing and sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    retry_if_not_exception_type,
    wait_random_exponential,
)

from bot.clock import Clock
from bot.slack.delivery.batching import MOST_LINES, foldable, folded
from bot.slack.delivery.rate_limits import ChannelRateLimit, DeliveryMetrics, WorkspaceRateLimit
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.errors import (
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    SlackError,
    SlackRefusedError,
)
from bot.store import outbox
from bot.store.addresses import local
from bot.store.database import Database
from bot.store.outbox import DeliveryState, MessageLocation, OutboxMessage, QueuedMessage

log = structlog.get_logger(__name__)

DELIVERY_FAILED = "delivery_failed"
"""The occasion of a notice that another message could not be delivered."""

# A first message has no predecessor in the channel to look behind, so the two clocks may differ by this.
_CLOCK_SLACK = timedelta(hours=1)
# Replicas' clocks may differ by this, and an attempt may have taken as long.
_RECENTLY = timedelta(seconds=15)
_PICTURE_ERRORS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
# Where many together are too much, one of them may not be.
_FOLDING_ERRORS = _PICTURE_ERRORS | {"msg_too_long", "metadata_too_large", "invalid_metadata_format"}
_ONE_BY_ONE = "one by one"
_CHANNEL_ERRORS = frozenset({"channel_not_found", "is_archived"})
# A database that is locked, restarting or out of reach; and what no waiting helps against.
_PASSING_ERRORS = (DBAPIError, PoolTimeout, OSError)
_LASTING_ERRORS = (DataError, IntegrityError, ProgrammingError)

T = TypeVar("T")
Parcel = Sequence[QueuedMessage]
"""What goes in one post: one message, or several that are folded into one."""
Notice = Callable[[OutboxMessage, str], Sequence[OutboxMessage]]
"""Writes what to tell, and where, of a message that failed with an error; pure."""


@dataclass(frozen=True, slots=True)
class DeliveryTiming:
    """How fast and how patient the courier is; all in real seconds, whatever the clock says.

    `interval_s` lies between the end of one attempt and the next in the same channel; `settle_s` is what
    a cut-off post is given to appear in the history before it is looked for. `most_a_minute` holds for all
    channels of a Slack workspace together, in each `minute_s`; what incidents post past the courier, such as
    their cards, has room beside it.
    """

    interval_s: float = 1.0
    settle_s: float = 3.0
    call_timeout_s: float = 10.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    not_permitted_s: float = 60.0
    poll_s: float = 2.0
    most_a_minute: int = 285
    # Slack counts when a post arrives, which is a little after it was begun.
    minute_s: float = 62.0


class ShuttingDownError(Exception):
    """The courier is being shut down: begin nothing new."""


class _ClaimLostError(Exception):
    """Another was quicker to claim a message."""


class LeaseLostError(ShuttingDownError):
    """The channel is, or may be, another replica's by now: whoever has it goes on from the row."""


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all lanes of a Slack workspace share. `rest` waits some seconds or raises `ShuttingDownError`.

    `bulk` is held while a message that came by the hundred is sent, so that others need not queue behind
    them.
    `lease_left_s` answers for how long a channel is certainly this replica's.
    """

    database: Database
    clock: Clock
    postman: MessageSender
    channels: ChannelDirectory
    timing: DeliveryTiming
    pace: ChannelRateLimit
    quota: WorkspaceRateLimit
    bulk: asyncio.Semaphore
    tally: DeliveryMetrics
    notice: Notice
    rest: Callable[[float], Awaitable[None]]
    lease_left_s: Callable[[str], float]


class ChannelQueue:
    """Delivers what waits for one channel. `trouble` names the fault that it is waiting out, if any.

    One that `is_taken_over`, perhaps from another replica, first lets that one's interval pass.
    """

    def __init__(self, channel: str, workplace: DeliveryContext, *, is_taken_over: bool = False) -> None:
        self.channel = channel
        self.trouble: str | None = None
        self._address = local(channel)
        self._is_taken_over = is_taken_over
        self._shared = workplace
        # What was tried for the message at the head, so that nothing is tried twice in vain.
        self._tried: set[str] = set()
        self._backoff = wait_random_exponential(workplace.timing.backoff_s, workplace.timing.backoff_limit_s)

    async def run(self) -> None:
        """Deliver until nothing waits, or raise `ShuttingDownError`. A fault only makes it slower."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception) & retry_if_not_exception_type(ShuttingDownError),
            wait=self._patience,
            sleep=self._shared.rest,
            before_sleep=self._note,
        )
        while await retrying(self._step):
            self.trouble = None

    async def _step(self) -> bool:
        """Bring the first message one step further; return whether there was one."""
        await self._shared.rest(0)
        self._lease_left_s()
        parcel, last = await self._read()
        if not parcel:
            return False
        if self._is_taken_over:
            await self._let_interval_pass()
        if last is not None:
            self._shared.channels.learn(self._address, last.channel_id)
        channel_id = None
        try:
            channel_id = await self._shared.channels.resolve(self._address)
            if parcel[0].state is DeliveryState.SENDING:
                await self._look_up(parcel, channel_id, last)
                return True
            # A post that tells of many is one of few.
            is_bulk = len(parcel) == 1 and parcel[0].message.is_bulk
            await self._shared.rest(self._shared.pace.wait_s(channel_id))
            async with self._shared.bulk if is_bulk else nullcontext():
                await self._wait_for_room(is_bulk=is_bulk)
                claimed = await self._claim(parcel)
                if claimed:
                    parcel = claimed
                    await self._post(parcel, channel_id)
        except SlackRefusedError as refusal:
            if not await self._remedied(parcel, channel_id, refusal):
                await self._give_up(parcel, refusal)
        return True

    async def _read(self) -> tuple[Parcel, MessageLocation | None]:
        """Read what goes next, nothing if nothing waits, and where the last message went."""
        async with self._shared.database.reading() as connection:
            first = await outbox.first_unsent(connection, self.channel)
            if first is None:
                return (), None
            parcel: Parcel = (first,)
            if first.message.brief is not None:
                parcel = await outbox.unsent_in_same_state(connection, first, MOST_LINES)
            last = await outbox.last_location(connection, self.channel)
        if first.state is DeliveryState.SENDING:
            return parcel, last
        return parcel[:1] if _ONE_BY_ONE in self._tried else foldable(parcel), last

    async def _let_interval_pass(self) -> None:
        """Wait if somebody else may have posted to the channel just now; how long ago nobody knows."""
        since = self._shared.clock.now() - _RECENTLY
        async with self._shared.database.reading() as connection:
            was_busy = await outbox.was_busy(connection, self.channel, since)
        if was_busy:
            await self._shared.rest(self._shared.timing.interval_s)
        self._is_taken_over = False

    async def _wait_for_room(self, *, is_bulk: bool) -> None:
        """Wait until the workspace's rate allows the post that follows at once: Slack counts what arrives."""
        while (wait_s := self._shared.quota.take(is_bulk=is_bulk)) > 0:
            await self._shared.rest(wait_s)

    async def _claim(self, parcel: Parcel) -> Parcel:
        """Claim the messages; answer none of them if another was quicker with one."""
        self._lease_left_s()
        now = self._shared.clock.now()
        try:
            await self._write(lambda connection: _claim_all(connection, parcel, now))
        except _ClaimLostError:
            await self._shared.rest(self._shared.timing.backoff_s)
            return ()
        return [replace(queued, attempts=queued.attempts + 1) for queued in parcel]

    async def _post(self, parcel: Parcel, channel_id: str) -> None:
        message = folded(parcel)
        blocks = () if "without blocks" in self._tried else message.blocks
        together = (message, [queued.key for queued in parcel]) if len(parcel) > 1 else None
        try:
            within_s = self._lease_left_s()
            place = await self._shared.postman.post(parcel[0], channel_id, blocks, within_s, folded=together)
        except OutcomeUnknownError:
            raise
        except SlackError as fault:
            if fault.retryable:
                await self._put_back(parcel, fault.error)
            raise
        finally:
            self._shared.pace.count(channel_id)
        await self._sent(parcel, place, "sent")

    def _lease_left_s(self) -> float:
        """Return how long the channel is certainly this replica's; raise `LeaseLostError` if it is not."""
        left_s = self._shared.lease_left_s(self.channel)
        if left_s <= 0:
            raise LeaseLostError
        return left_s

    async def _look_up(self, parcel: Parcel, channel_id: str, last: MessageLocation | None) -> None:
        """Find out whether messages arrived whose post was cut off, and write down the answer."""
        await self._shared.rest(self._shared.timing.settle_s)
        first = parcel[0]
        attempted = first.first_attempt_at or first.created_at
        # The injected clock may run ahead of Slack's.
        oldest = min(attempted, datetime.now(UTC)) - _CLOCK_SLACK
        found = await self._shared.postman.find(first, channel_id, last.ts if last else oldest)
        if found is not None:
            await self._sent([one for one in parcel if one.key in found.keys], found.place, "found")
        rest = [one for one in parcel if found is None or one.key not in found.keys]
        if rest:
            await self._put_back(rest, "not_arrived")

    async def _remedied(self, parcel: Parcel, channel_id: str | None, refusal: SlackRefusedError) -> bool:
        """Return whether something can be done about a refusal; the message then waits for it."""
        if len(parcel) > 1 and refusal.error in _FOLDING_ERRORS:
            remedy, is_remedy = _ONE_BY_ONE, True
        elif refusal.error in _PICTURE_ERRORS and parcel[0].message.blocks:
            # Words must not be lost because of a picture.
            remedy, is_remedy = "without blocks", True
        elif channel_id is None:
            return False
        elif refusal.error == "not_in_channel":
            remedy, is_remedy = (
                "join",
                "join" not in self._tried and await self._shared.channels.join(channel_id),
            )
        elif refusal.error in _CHANNEL_ERRORS:
            remedy, is_remedy = "move", await self._shared.channels.has_moved(self._address, channel_id)
        else:
            return False
        if not is_remedy or remedy in self._tried:
            return False
        log.info("message_remedied", channel=self.channel, error=refusal.error, remedy=remedy)
        self._tried.add(remedy)
        if parcel[0].state is DeliveryState.WAITING:
            await self._put_back(parcel, refusal.error)
        return True

    async def _give_up(self, parcel: Parcel, refusal: SlackRefusedError) -> None:
        await self._write(lambda connection: self._fail(connection, parcel, refusal.error), in_turn=True)
        log.warning(
            "message_failed",
            channel=self.channel,
            keys=[queued.key for queued in parcel],
            error=refusal.error,
            details=refusal.details,
        )
        self._shared.tally.messages.labels("failed").inc(len(parcel))
        self._tried.clear()

    async def _fail(self, connection: AsyncConnection, parcel: Parcel, error: str) -> None:
        """Write the failure and, if it is news, its notice; a notice's own failure is told to nobody."""
        news = [queued for queued in parcel if await outbox.mark_failed(connection, queued, error)]
        if not news or news[0].message.event_type == DELIVERY_FAILED:
            return
        notices = [n for n in self._shared.notice(news[0].message, error) if n.channel != self.channel]
        await outbox.enqueue(connection, notices, self._shared.clock.now())

    async def _put_back(self, parcel: Parcel, error: str) -> None:
        async def put_back(connection: AsyncConnection) -> None:
            for queued in parcel:
                await outbox.requeue(connection, queued, error)

        await self._write(put_back)

    async def _sent(self, parcel: Parcel, place: MessageLocation, outcome: str) -> None:
        now = self._shared.clock.now()

        async def mark_sent(connection: AsyncConnection) -> None:
            for queued in parcel:
                await outbox.mark_sent(connection, queued, place, now)

        await self._write(mark_sent)
        self._shared.tally.messages.labels(outcome).inc(len(parcel))
        # A channel that took no folded message takes none of those that wait behind it.
        self._tried &= {_ONE_BY_ONE}
        log.debug("messages_sent", channel=self.channel, keys=[one.key for one in parcel], outcome=outcome)

    async def _write(self, change: Callable[[AsyncConnection], Awaitable[T]], *, in_turn: bool = False) -> T:
        """Commit a change, however often the database must be asked: what Slack did is not undone."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_PASSING_ERRORS) & retry_if_not_exception_type(_LASTING_ERRORS),
            wait=wait_random_exponential(0.05, 5),
        ):
            with attempt:
                async with self._shared.database.transaction(in_turn=in_turn) as connection:
                    return await change(connection)
        raise AssertionError("retried without end")

    def _patience(self, state: RetryCallState) -> float:
        """Return how many seconds to wait after a fault."""
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, RateLimitedError):
            return fault.retry_after_s
        if isinstance(fault, NotPermittedError):
            return self._shared.timing.not_permitted_s
        return self._backoff(state)

    def _note(self, state: RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, SlackError):
            log.error("lane_stumbled", channel=self.channel, exc_info=fault)
            self.trouble = type(fault).__name__
        else:
            self.trouble = ": ".join((fault.error, *fault.details))
            log.info(
                "message_delayed", channel=self.channel, error=self.trouble, attempt=state.attempt_number
            )
        self._shared.tally.retries.labels(
            fault.error if isinstance(fault, SlackError) else self.trouble
        ).inc()


async def _claim_all(connection: AsyncConnection, parcel: Parcel, now: datetime) -> None:
    """Claim all messages; raises `_ClaimLostError`, which undoes it, where another was quicker with one."""
    for queued in parcel:
        if not await outbox.claim(connection, queued, now):
            raise _ClaimLostError
