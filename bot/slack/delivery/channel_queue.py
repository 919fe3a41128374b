"""Delivery of one channel's messages from the outbox: in order, with retries until each is sent or fails.

    waiting ──claim──▶ sending ──answer──▶ sent
       ▲                  │  └──refusal──▶ failed
       └──known not to have arrived──┘

All state that must survive is in the row, so a queue that starts after a crash does the same as one that
retries after a fault: a row in `sending` is looked up in the channel before it is sent again. If the history
cannot be read, the look-up is retried (with backoff) for as long as it takes and the channel waits: late is
better than twice. Only if Slack says that the channel is gone or closed to the bot, so that neither a look-up
nor a second post could succeed, does the message fail. A message that the bot itself fails on several times
in a row, which no retry mends, fails too, so that those behind it are sent.

A queue works only while its replica holds the channel's lease, and limits a post to the time that the lease
has left. What remains: a replica that is halted in the instant between that check and the write to its
socket, or a request that the network holds back, for longer than the lease's end and the successor's look-up
together, may still deliver a message that the successor has found missing and sent.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
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

from bot.clock import wait_until_set
from bot.retries import retried
from bot.slack.delivery.batching import MOST_LINES, Batch, combine, next_batch
from bot.slack.delivery.context import DeliveryContext, LeaseLostError, NoTurnError, ShuttingDownError
from bot.slack.delivery.ended_holds import EndedHoldEdits
from bot.slack.delivery.sender import HEAD_GONE
from bot.slack.delivery.team_mentions import with_mentions
from bot.slack.delivery.thread_head import ThreadHead
from bot.slack.webapi.errors import (
    NotPermittedError,
    OutcomeUnknownError,
    RateLimitedError,
    SlackError,
    SlackRefusedError,
)
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS
from bot.store import outbox, thread_heads
from bot.store.addresses import local
from bot.store.outbox import DeliveryState, OutboxMessage
from bot.store.threads import MessageLocation
from bot.tracing.spans import span

log = structlog.get_logger(__name__)

DELIVERY_FAILED = "delivery_failed"
"""The event type of a notice that another message could not be delivered."""

# The look-up of a channel's first message goes by time: the two clocks may differ by this.
_CLOCK_TOLERANCE = timedelta(hours=1)
# Replicas' clocks may differ by this, and an attempt may have taken as long.
_RECENTLY = timedelta(seconds=15)
# Slack may take one of the messages where the batch is too large.
_BATCH_ERRORS = BLOCKS_ERRORS | {"msg_too_long", "metadata_too_large", "invalid_metadata_format"}
_ONE_BY_ONE = "one by one"
_MOST_INTERNAL_ERRORS = 5
_CHANNEL_ERRORS = frozenset({"channel_not_found", "is_archived"})
# A database that is locked, restarting or out of reach; and errors that no retry mends.
_TRANSIENT_ERRORS = (DBAPIError, PoolTimeout, OSError)
_PERMANENT_ERRORS = (DataError, IntegrityError, ProgrammingError)

T = TypeVar("T")


class _ClaimLostError(Exception):
    """Another replica claimed a message first."""


class ChannelQueue:
    """Delivers the messages that wait for one channel.

    `last_error` is the error that is being retried, if any; `has_begun` says whether its first turn in the
    workspace's limit has come. A queue that `is_taken_over`, perhaps from another replica, first waits until
    the interval since that one's last post is over. `is_bulk` says what waits as it begins.
    """

    def __init__(
        self, channel: str, context: DeliveryContext, *, is_taken_over: bool = False, is_bulk: bool = False
    ) -> None:
        self.channel = channel
        self.is_bulk = is_bulk
        self.last_error: str | None = None
        self.has_begun = False
        self._address = local(channel)
        self._is_taken_over = is_taken_over
        self._context = context
        # What was tried for the first message, so that no remedy is tried twice.
        self._tried: set[str] = set()
        self._batch: Batch = ()
        self._woken = asyncio.Event()
        self._heads = ThreadHead(context, self._write, self._lease_left_s, self._wait_for_posts)
        self._ended_holds = EndedHoldEdits(context, self._write, self._lease_left_s, self._wait_for_posts)
        self._internal_errors: Counter[str] = Counter()
        self._backoff = wait_random_exponential(context.timing.backoff_s, context.timing.backoff_limit_s)

    async def run(self) -> None:
        """Deliver until nothing waits, or raise `ShuttingDownError`. Errors are retried with backoff."""
        while await retried(self._step_or_set_aside, self._retrying):
            self.last_error = None

    def wake(self) -> None:
        """End the wait of an edit: a post waits, or the delivery ends."""
        self._woken.set()

    async def _wait_for_posts(self, seconds: float) -> None:
        await wait_until_set(self._woken, seconds)

    async def _wait_before_retry(self, seconds: float) -> None:
        is_edit = bool(self._batch) and self._batch[0].message.is_edit
        await (self._wait_for_posts if is_edit else self._context.sleep)(seconds)

    async def _step_or_set_aside(self) -> bool:
        """Do one step; set the first message aside if it has caused too many errors that are ours."""
        try:
            return await self._step()
        except Exception as error:
            # The boundary between messages: one that the bot cannot send must not keep the others back.
            is_transient = isinstance(error, _TRANSIENT_ERRORS) and not isinstance(error, _PERMANENT_ERRORS)
            if is_transient or isinstance(error, SlackError | ShuttingDownError) or not self._batch:
                raise
            key = self._batch[0].key
            self._internal_errors[key] += 1
            if len(self._batch) > 1:
                self._tried.add(_ONE_BY_ONE)
            if self._internal_errors[key] < _MOST_INTERNAL_ERRORS:
                raise
            log.exception("message_set_aside", channel=self.channel, key=key)
            await self._fail(self._batch[:1], SlackRefusedError("internal_error"))
            return True

    async def _step(self) -> bool:
        """Do one step with the first batch; return whether there was one."""
        await self._context.sleep(0)
        self._woken.clear()
        # What fails while the next batch is read is no fault of the last one.
        self._batch = ()
        batch, last = await self._read()
        self._batch = batch
        if not batch:
            return False
        # After the read, which may have taken long: what is being sent is then no attempt of a successor.
        self._lease_left_s()
        parents = [queued.trace_parent for queued in batch]
        with span("outbox delivery", "consumer", parent=parents[0], also=parents[1:]) as recorded:
            recorded.note("messaging.batch.message_count", len(batch))
            recorded.note("governor.event_type", batch[0].message.event_type)
            await self._deliver(batch, last)
        return True

    async def _deliver(self, batch: Batch, last: MessageLocation | None) -> None:
        """Try to deliver a batch; what Slack refuses for good is marked as failed."""
        if self._is_taken_over:
            await self._wait_for_previous_owner()
        if last is not None:
            self._context.channels.learn(self._address, last.channel_id)
        channel_id = None
        try:
            if batch[0].message.is_edit:
                self.has_begun = True
                edits = self._heads if batch[0].edits is None else self._ended_holds
                await edits.carry_out(batch[0])
                return
            channel_id = await self._context.channels.resolve(self._address)
            if batch[0].state is DeliveryState.SENDING:
                await self._look_up(batch, channel_id, last)
                return
            # A batch is one post, so it does not count as bulk.
            is_bulk = len(batch) == 1 and batch[0].message.is_bulk
            message = await self._mentioning(combine(batch))
            await self._context.sleep(self._context.channel_rate_limit.wait_s(channel_id))
            async with self._context.bulk_slots if is_bulk else nullcontext(), self._turn(is_bulk=is_bulk):
                claimed = await self._claim(batch)
                if claimed:
                    self._batch = batch = claimed
                    await self._post(batch, message, channel_id)
        except SlackRefusedError as refusal:
            if not await self._apply_remedy(batch, channel_id, refusal):
                await self._fail(batch, refusal)

    @asynccontextmanager
    async def _turn(self, *, is_bulk: bool) -> AsyncIterator[None]:
        """Wait until the workspace's limit allows a post; raise `NoTurnError` where that takes long."""
        limit = self._context.workspace_rate_limit
        while (wait_s := limit.acquire(is_bulk=is_bulk)) > 0:
            if wait_s > self._context.timing.poll_s:
                raise NoTurnError
            await self._context.sleep(wait_s)
        self.has_begun = True
        try:
            yield
        finally:
            limit.record_end(is_bulk=is_bulk)

    async def _read(self) -> tuple[Batch, MessageLocation | None]:
        """Return the next batch, empty if nothing waits, and where the last message was posted."""
        async with self._context.database.reading() as connection:
            first = await outbox.first_unsent(connection, self.channel)
            if first is None:
                return (), None
            batch: Batch = (first,)
            if first.message.brief is not None:
                batch = await outbox.unsent_in_same_state(connection, first, MOST_LINES)
            last = await outbox.last_location(connection, self.channel)
        if first.state is DeliveryState.SENDING:
            return batch, last
        return batch[:1] if _ONE_BY_ONE in self._tried else next_batch(batch), last

    async def _wait_for_previous_owner(self) -> None:
        """Wait one interval if another replica may have posted to the channel just now."""
        since = self._context.clock.now() - _RECENTLY
        async with self._context.database.reading() as connection:
            was_busy = await outbox.was_busy(connection, self.channel, since)
        if was_busy:
            await self._context.sleep(self._context.timing.interval_s)
        self._is_taken_over = False

    async def _claim(self, batch: Batch) -> Batch:
        """Claim the messages; return none of them if another replica claimed one first."""
        self._lease_left_s()
        now = self._context.clock.now()
        try:
            await self._write(lambda connection: _claim_all(connection, batch, now))
        except _ClaimLostError:
            await self._context.sleep(self._context.timing.backoff_s)
            return ()
        return [replace(queued, attempts=queued.attempts + 1) for queued in batch]

    async def _mentioning(self, message: OutboxMessage) -> OutboxMessage:
        """Return the message with mentions of teams; once more is asked if Slack cannot say who they are."""
        is_last_try = "mentions" in self._tried
        self._tried.add("mentions")
        mentioning = await with_mentions(message, self._context.groups, is_last_try=is_last_try)
        if not is_last_try:
            self._tried.discard("mentions")
        return mentioning

    async def _post(self, batch: Batch, message: OutboxMessage, channel_id: str) -> None:
        blocks = () if "without blocks" in self._tried else message.blocks
        keys = [queued.key for queued in batch] if len(batch) > 1 else []
        head = await self._heads.of(batch, channel_id)
        try:
            place = await self._context.sender.post(
                batch[0],
                channel_id,
                replace(message, blocks=blocks),
                self._lease_left_s,
                keys=keys,
                thread_ts=head.ts if head else None,
            )
        except OutcomeUnknownError:
            raise
        except SlackError as error:
            if error.retryable:
                await self._put_back(batch, error.error)
            raise
        finally:
            self._context.channel_rate_limit.record_attempt(channel_id)
        await self._mark_sent(batch, place, "sent", is_alone=len(batch) == 1)

    def _lease_left_s(self) -> float:
        """Return how long this replica certainly holds the lease; raise `LeaseLostError` if it does not."""
        left_s = self._context.lease_left_s(self.channel)
        if left_s <= 0:
            raise LeaseLostError
        return left_s

    async def _look_up(self, batch: Batch, channel_id: str, last: MessageLocation | None) -> None:
        """Find out whether messages arrived whose post had an unknown outcome, and record it."""
        await self._context.sleep(self._context.timing.settle_s)
        first = batch[0]
        attempted = first.first_attempt_at or first.created_at
        # The injected clock may run ahead of Slack's.
        oldest = min(attempted, datetime.now(UTC)) - _CLOCK_TOLERANCE
        head = await self._heads.of(batch, channel_id)
        match = await self._context.sender.find_reply(first, head) if head is not None else None
        if match is None:
            match = await self._context.sender.find(first, channel_id, last.ts if last else oldest)
        if match is not None:
            arrived = [queued for queued in batch if queued.key in match.keys]
            await self._mark_sent(arrived, match.place, "found", is_alone=len(match.keys) == 1)
        missing = [queued for queued in batch if match is None or queued.key not in match.keys]
        if missing:
            await self._put_back(missing, "not_arrived")

    async def _apply_remedy(self, batch: Batch, channel_id: str | None, refusal: SlackRefusedError) -> bool:
        """Try what may make Slack accept the message; return whether it is worth another attempt."""
        if len(batch) > 1 and refusal.error in _BATCH_ERRORS:
            remedy, is_remedy = _ONE_BY_ONE, True
        elif refusal.error in BLOCKS_ERRORS and batch[0].message.blocks:
            # The text must not be lost because of a table; the client has tried its rows as text already.
            remedy, is_remedy = "without blocks", True
        elif channel_id is None:
            return False
        elif refusal.error in HEAD_GONE and batch[0].thread_id is not None:
            remedy, is_remedy = "without head", await self._heads.forget(batch[0], channel_id)
        elif refusal.error == "not_in_channel":
            remedy, is_remedy = (
                "join",
                "join" not in self._tried and await self._context.channels.join(channel_id),
            )
        elif refusal.error in _CHANNEL_ERRORS:
            remedy, is_remedy = "move", await self._context.channels.has_moved(self._address, channel_id)
        else:
            return False
        if not is_remedy or remedy in self._tried:
            return False
        log.info("message_remedied", channel=self.channel, error=refusal.error, remedy=remedy)
        self._tried.add(remedy)
        if batch[0].state is DeliveryState.WAITING:
            await self._put_back(batch, refusal.error)
        return True

    async def _fail(self, batch: Batch, refusal: SlackRefusedError) -> None:
        await self._write(
            lambda connection: self._mark_failed(connection, batch, refusal.error), in_turn=True
        )
        log.warning(
            "message_failed",
            channel=self.channel,
            keys=[queued.key for queued in batch],
            error=refusal.error,
            details=refusal.details,
        )
        self._context.metrics.messages.labels("failed").inc(len(batch))
        self._tried.clear()

    async def _mark_failed(self, connection: AsyncConnection, batch: Batch, error: str) -> None:
        """Record the failure and, if it is new, enqueue its notice; a notice's failure is not reported."""
        new_failures = [queued for queued in batch if await outbox.mark_failed(connection, queued, error)]
        if not new_failures or new_failures[0].message.event_type == DELIVERY_FAILED:
            return
        notices = self._context.notice(new_failures[0].message, error)
        elsewhere = [notice for notice in notices if notice.channel != self.channel]
        await outbox.enqueue(connection, elsewhere, self._context.clock.now())

    async def _put_back(self, batch: Batch, error: str) -> None:
        async def put_back(connection: AsyncConnection) -> None:
            for queued in batch:
                await outbox.requeue(connection, queued, error)

        await self._write(put_back)

    async def _mark_sent(self, batch: Batch, place: MessageLocation, outcome: str, *, is_alone: bool) -> None:
        now = self._context.clock.now()

        async def mark_sent(connection: AsyncConnection) -> None:
            for queued in batch:
                await outbox.mark_sent(connection, queued, place, now)
                await thread_heads.record_in_thread(connection, queued, place, now, is_alone=is_alone)

        await self._write(mark_sent)
        self._context.metrics.messages.labels(outcome).inc(len(batch))
        # A channel that refused a batch refuses those that wait behind it too.
        self._tried &= {_ONE_BY_ONE}
        log.debug(
            "messages_sent", channel=self.channel, keys=[queued.key for queued in batch], outcome=outcome
        )

    async def _write(self, change: Callable[[AsyncConnection], Awaitable[T]], *, in_turn: bool = False) -> T:
        """Commit a change, retried as often as the database needs: what Slack did is not undone."""

        async def write() -> T:
            async with self._context.database.transaction(in_turn=in_turn) as connection:
                return await change(connection)

        return await retried(write, _retrying_write)

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(Exception) & retry_if_not_exception_type(ShuttingDownError),
            wait=self._retry_wait_s,
            sleep=self._wait_before_retry,
            before_sleep=self._report_retry,
        )

    def _retry_wait_s(self, state: RetryCallState) -> float:
        """Return how many seconds to wait before the retry."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimitedError):
            return error.retry_after_s
        if isinstance(error, NotPermittedError):
            return self._context.timing.not_permitted_s
        return self._backoff(state)

    def _report_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, SlackError):
            log.error("channel_delivery_failed", channel=self.channel, exc_info=error)
            self.last_error = type(error).__name__
        else:
            self.last_error = ": ".join((error.error, *error.details))
            log.info(
                "message_delayed", channel=self.channel, error=self.last_error, attempt=state.attempt_number
            )
        self._context.metrics.retries.labels(
            error.error if isinstance(error, SlackError) else self.last_error
        ).inc()


def _retrying_write() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_TRANSIENT_ERRORS) & retry_if_not_exception_type(_PERMANENT_ERRORS),
        wait=wait_random_exponential(0.05, 5),
    )


async def _claim_all(connection: AsyncConnection, batch: Batch, now: datetime) -> None:
    """Claim all messages or none; raises `_ClaimLostError` if another replica claimed one first."""
    for queued in batch:
        if not await outbox.claim(connection, queued, now):
            raise _ClaimLostError
