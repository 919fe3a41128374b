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

from collections.abc import Awaitable, Callable, Sequence
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
from bot.slack.channels import Channels
from bot.slack.faults import CutOff, NotPermitted, Refused, SlackFault, Throttled
from bot.slack.pace import Pace, Tally
from bot.slack.postman import Postman
from bot.store import outbox
from bot.store.addresses import local
from bot.store.database import Database
from bot.store.outbox import Message, Place, Queued, State

log = structlog.get_logger(__name__)

DELIVERY_FAILED = "delivery_failed"
"""The occasion of a notice that another message could not be delivered."""

# A first message has no predecessor in the channel to look behind, so the two clocks may differ by this.
_CLOCK_SLACK = timedelta(hours=1)
# Replicas' clocks may differ by this, and an attempt may have taken as long.
_RECENTLY = timedelta(seconds=15)
_PICTURE_ERRORS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_CHANNEL_ERRORS = frozenset({"channel_not_found", "is_archived"})
# A database that is locked, restarting or out of reach; and what no waiting helps against.
_PASSING_ERRORS = (DBAPIError, PoolTimeout, OSError)
_LASTING_ERRORS = (DataError, IntegrityError, ProgrammingError)

T = TypeVar("T")
Notice = Callable[[Message, str], Sequence[Message]]
"""Writes what to tell, and where, of a message that failed with an error; pure."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast and how patient the courier is; all in real seconds, whatever the clock says.

    `interval_s` lies between the end of one attempt and the next in the same channel; `settle_s` is what
    a cut-off post is given to appear in the history before it is looked for.
    """

    interval_s: float = 1.0
    settle_s: float = 3.0
    call_timeout_s: float = 10.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    not_permitted_s: float = 60.0
    poll_s: float = 2.0


class Closing(Exception):
    """The courier is being shut down: begin nothing new."""


class LeaseLost(Closing):
    """The channel is, or may be, another replica's by now: whoever has it goes on from the row."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """What all lanes of a Slack workspace share. `rest` waits some seconds or raises `Closing`.

    `on_told` follows a notice.
    `lease_left_s` answers for how long a channel is certainly this replica's.
    """

    database: Database
    clock: Clock
    postman: Postman
    channels: Channels
    timing: Timing
    pace: Pace
    tally: Tally
    notice: Notice
    rest: Callable[[float], Awaitable[None]]
    on_told: Callable[[], None]
    lease_left_s: Callable[[str], float]


class Lane:
    """Delivers what waits for one channel. `trouble` names the fault that it is waiting out, if any.

    One that `is_taken_over`, perhaps from another replica, first lets that one's interval pass.
    """

    def __init__(self, channel: str, workplace: Workplace, *, is_taken_over: bool = False) -> None:
        self.channel = channel
        self.trouble: str | None = None
        self._address = local(channel)
        self._is_taken_over = is_taken_over
        self._shared = workplace
        # What was tried for the message at the head, so that nothing is tried twice in vain.
        self._tried: set[str] = set()
        self._backoff = wait_random_exponential(workplace.timing.backoff_s, workplace.timing.backoff_limit_s)

    async def run(self) -> None:
        """Deliver until nothing waits, or raise `Closing`. A fault only makes it slower."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception) & retry_if_not_exception_type(Closing),
            wait=self._patience,
            sleep=self._shared.rest,
            before_sleep=self._note,
        )
        while await retrying(self._step):
            self.trouble = None

    async def _step(self) -> bool:
        """Bring the first message one step further; answer whether there was one."""
        await self._shared.rest(0)
        self._lease_left_s()
        async with self._shared.database.reading() as connection:
            queued = await outbox.first_undone(connection, self.channel)
            last = await outbox.last_place(connection, self.channel) if queued else None
        if queued is None:
            return False
        if self._is_taken_over:
            await self._let_interval_pass()
        if last is not None:
            self._shared.channels.learn(self._address, last.channel_id)
        channel_id = None
        try:
            channel_id = await self._shared.channels.resolve(self._address)
            if queued.state is State.SENDING:
                if await self._is_there(queued, channel_id, last):
                    return True
                queued = replace(queued, state=State.WAITING)
            claimed = await self._claim(queued, channel_id)
            if claimed is not None:
                queued = claimed
                await self._post(queued, channel_id)
        except Refused as refusal:
            if not await self._remedied(queued, channel_id, refusal):
                await self._give_up(queued, refusal)
        return True

    async def _let_interval_pass(self) -> None:
        """Wait if somebody else may have posted to the channel just now; how long ago nobody knows."""
        since = self._shared.clock.now() - _RECENTLY
        async with self._shared.database.reading() as connection:
            was_busy = await outbox.was_busy(connection, self.channel, since)
        if was_busy:
            await self._shared.rest(self._shared.timing.interval_s)
        self._is_taken_over = False

    async def _claim(self, queued: Queued, channel_id: str) -> Queued | None:
        """Claim the message once the channel may be posted to; None if another was quicker."""
        await self._shared.rest(self._shared.pace.wait_s(channel_id))
        self._lease_left_s()
        now = self._shared.clock.now()
        if await self._write(lambda connection: outbox.claim(connection, queued, now)):
            return replace(queued, attempts=queued.attempts + 1)
        await self._shared.rest(self._shared.timing.backoff_s)
        return None

    async def _post(self, queued: Queued, channel_id: str) -> None:
        blocks = () if "without blocks" in self._tried else queued.message.blocks
        try:
            within_s = self._lease_left_s()
            place = await self._shared.postman.post(queued, channel_id, blocks, within_s)
        except CutOff:
            raise
        except SlackFault as fault:
            if fault.retryable:
                await self._put_back(queued, fault.error)
            raise
        finally:
            self._shared.pace.count(channel_id)
        await self._sent(queued, place, "sent")

    def _lease_left_s(self) -> float:
        """Answer for how long the channel is certainly this replica's; raise `LeaseLost` if it is not."""
        left_s = self._shared.lease_left_s(self.channel)
        if left_s <= 0:
            raise LeaseLost
        return left_s

    async def _is_there(self, queued: Queued, channel_id: str, last: Place | None) -> bool:
        """Find out whether a message arrived whose post was cut off, and write down the answer."""
        await self._shared.rest(self._shared.timing.settle_s)
        attempted = queued.first_attempt_at or queued.created_at
        # The injected clock may run ahead of Slack's.
        oldest = min(attempted, datetime.now(UTC)) - _CLOCK_SLACK
        place = await self._shared.postman.find(queued, channel_id, last.ts if last else oldest)
        if place is None:
            await self._put_back(queued, "not_arrived")
            return False
        await self._sent(queued, place, "found")
        return True

    async def _remedied(self, queued: Queued, channel_id: str | None, refusal: Refused) -> bool:
        """Answer whether something can be done about a refusal; the message then waits for it."""
        if refusal.error in _PICTURE_ERRORS and queued.message.blocks:
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
        if queued.state is State.WAITING:
            await self._put_back(queued, refusal.error)
        return True

    async def _give_up(self, queued: Queued, refusal: Refused) -> None:
        is_news = await self._write(
            lambda connection: self._fail(connection, queued, refusal.error), in_turn=True
        )
        log.warning(
            "message_failed",
            channel=self.channel,
            key=queued.key,
            error=refusal.error,
            details=refusal.details,
        )
        self._shared.tally.messages.labels("failed").inc()
        self._tried.clear()
        if is_news:
            self._shared.on_told()

    async def _fail(self, connection: AsyncConnection, queued: Queued, error: str) -> bool:
        """Write the failure and, if it is news, its notice; a notice's own failure is told to nobody."""
        is_news = await outbox.mark_failed(connection, queued, error)
        if not is_news or queued.message.event_type == DELIVERY_FAILED:
            return False
        notices = [n for n in self._shared.notice(queued.message, error) if n.channel != self.channel]
        return await outbox.enqueue(connection, notices, self._shared.clock.now()) > 0

    async def _put_back(self, queued: Queued, error: str) -> None:
        await self._write(lambda connection: outbox.put_back(connection, queued, error))

    async def _sent(self, queued: Queued, place: Place, outcome: str) -> None:
        now = self._shared.clock.now()
        await self._write(lambda connection: outbox.mark_sent(connection, queued, place, now))
        self._shared.tally.messages.labels(outcome).inc()
        self._tried.clear()
        log.debug("message_sent", channel=self.channel, key=queued.key, outcome=outcome)

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
        """Answer how many seconds to wait after a fault."""
        fault = state.outcome.exception() if state.outcome else None
        if isinstance(fault, Throttled):
            return fault.retry_after_s
        if isinstance(fault, NotPermitted):
            return self._shared.timing.not_permitted_s
        return self._backoff(state)

    def _note(self, state: RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, SlackFault):
            log.error("lane_stumbled", channel=self.channel, exc_info=fault)
            self.trouble = type(fault).__name__
        else:
            self.trouble = ": ".join((fault.error, *fault.details))
            log.info(
                "message_delayed", channel=self.channel, error=self.trouble, attempt=state.attempt_number
            )
        self._shared.tally.retries.labels(
            fault.error if isinstance(fault, SlackFault) else self.trouble
        ).inc()
