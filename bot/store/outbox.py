"""The outbox: messages that were decided in a transaction and are sent later by the courier.

Knows nothing of Slack but that a message has a channel, a text and blocks, and gets an id and a time there.
A row goes waiting → sending → sent or failed; from `sending` back to `waiting` once it is known that the
message did not arrive. A row found in `sending` means that nobody knows.

Messages that are folded into one post go the same way together, and have the same place in the end.

Several replicas may send: each channel's messages are one replica's, by a lease (see `leases.py`). A row's
count of attempts tells the latest from earlier ones, so what a replica writes that lost its lease meanwhile
cannot undo what its successor did.
"""

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, Update, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.addresses import qualified, team_of
from bot.store.tables.core import outbox

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message to one channel (`#name` or an id, see `addresses.py`).

    `event_type` names the occasion, in snake case. `brief` is how it reads in a line (mrkdwn), for messages
    that may be folded into one with others of the channel. `is_bulk` marks what may come by the hundred: it
    leaves room for others in Slack's rates.
    """

    channel: str
    event_type: str
    text: str
    blocks: Sequence[Block] = ()
    brief: str | None = None
    is_bulk: bool = False


async def enqueue(connection: AsyncConnection, messages: Iterable[OutboxMessage], now: datetime) -> int:
    """Put messages into the outbox within the caller's transaction; return how many."""
    rows = [_row(message, now) for message in messages]
    if rows:
        await connection.execute(insert(outbox), rows)
    return len(rows)


async def enqueue_tracked(connection: AsyncConnection, message: OutboxMessage, now: datetime) -> str:
    """Put one message into the outbox within the caller's transaction; return its key, for `delivery_of`."""
    row = _row(message, now)
    await connection.execute(insert(outbox), [row])
    return str(row["key"])


def _row(message: OutboxMessage, now: datetime) -> dict[str, object]:
    return {
        "key": str(uuid.uuid4()),
        "channel": message.channel,
        "event_type": message.event_type,
        "text": message.text,
        "blocks": list(message.blocks),
        "brief": message.brief,
        "is_bulk": message.is_bulk,
        "created_at": now,
        "state": "waiting",
        "attempts": 0,
    }


class DeliveryState(StrEnum):
    """How far a message has come."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


_UNDONE = (DeliveryState.WAITING, DeliveryState.SENDING)


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message as it lies in the outbox. `key` tells it from all others, in Slack too."""

    id: int
    key: str
    message: OutboxMessage
    state: DeliveryState
    created_at: datetime
    first_attempt_at: datetime | None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class MessageLocation:
    """Where a message stands in Slack: the channel's id and the message's `ts`."""

    channel_id: str
    ts: str


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What became of one message: its state, its place once it is sent, the last error."""

    state: DeliveryState
    place: MessageLocation | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not sent yet: how many messages by channel, and when the oldest was written."""

    channels: Mapping[str, int]
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class FailingChannel:
    """A channel that takes no messages: the last error, how many were lost to it since the last success."""

    error: str
    messages: int
    since: datetime


async def read_backlog(connection: AsyncConnection) -> Backlog:
    """Return what is not sent yet."""
    oldest = func.min(outbox.c.created_at)
    query = select(outbox.c.channel, func.count(), oldest).where(outbox.c.state.in_(_UNDONE))
    rows = (await connection.execute(query.group_by(outbox.c.channel))).all()
    return Backlog({channel: count for channel, count, _ in rows}, min((at for *_, at in rows), default=None))


async def first_undone(connection: AsyncConnection, channel: str) -> QueuedMessage | None:
    """Return the channel's oldest message that is neither sent nor failed: the only one that may go."""
    query = select(outbox).where(outbox.c.channel == channel, outbox.c.state.in_(_UNDONE))
    row = (await connection.execute(query.order_by(outbox.c.id).limit(1))).one_or_none()
    return None if row is None else _queued(row)


async def first_of_a_kind(
    connection: AsyncConnection, first: QueuedMessage, limit: int
) -> Sequence[QueuedMessage]:
    """Return a channel's messages from its first undone one on, up to the first that is in another state."""
    rest = (outbox.c.channel == first.message.channel) & outbox.c.state.in_(_UNDONE)
    query = select(outbox).where(rest, outbox.c.id >= first.id).order_by(outbox.c.id).limit(limit)
    rows = [_queued(row) for row in await connection.execute(query)]
    return list(itertools.takewhile(lambda row: row.state is first.state, rows))


async def claim(connection: AsyncConnection, queued: QueuedMessage, now: datetime) -> bool:
    """Set a waiting message to `sending`, its next attempt; return whether it was still waiting.

    Of several who try, one gets it; a row that another's transaction holds is left to that one.
    """
    free = _attempt(queued).where(outbox.c.state == DeliveryState.WAITING)
    skipping = select(outbox.c.id).where(outbox.c.id == queued.id).with_for_update(skip_locked=True)
    claimed = await connection.execute(
        free.where(outbox.c.id.in_(skipping)).values(
            state=DeliveryState.SENDING,
            attempts=outbox.c.attempts + 1,
            first_attempt_at=queued.first_attempt_at or now,
        )
    )
    return claimed.rowcount == 1


async def put_back(connection: AsyncConnection, queued: QueuedMessage, error: str) -> None:
    """Let a message wait again that is known not to have arrived by this attempt; `error` says why."""
    await connection.execute(
        _attempt(queued)
        .where(outbox.c.state == DeliveryState.SENDING)
        .values(state=DeliveryState.WAITING, error=error)
    )


async def mark_sent(
    connection: AsyncConnection, queued: QueuedMessage, place: MessageLocation, now: datetime
) -> None:
    """Write down that and where a message arrived, by whichever attempt."""
    await connection.execute(
        update(outbox)
        .where(outbox.c.id == queued.id, outbox.c.state.in_(_UNDONE))
        .values(
            state=DeliveryState.SENT,
            sent_at=now,
            channel_id=place.channel_id,
            ts=place.ts,
            error=None,
        )
    )


async def mark_failed(connection: AsyncConnection, queued: QueuedMessage, error: str) -> bool:
    """Give a message up; return whether this error is new to its channel since the last success."""
    known = _failed_since_success(queued.message.channel).where(outbox.c.error == error)
    is_known = (await connection.execute(select(known.exists()))).scalar_one()
    done = await connection.execute(
        _attempt(queued).where(outbox.c.state.in_(_UNDONE)).values(state=DeliveryState.FAILED, error=error)
    )
    return done.rowcount == 1 and not is_known


async def read_failing(connection: AsyncConnection) -> Mapping[str, FailingChannel]:
    """Return the channels whose last message failed."""
    query = _failed_since_success().order_by(outbox.c.id)
    failing: dict[str, FailingChannel] = {}
    for row in await connection.execute(query):
        before = failing.get(row.channel)
        failing[row.channel] = FailingChannel(
            row.error,
            before.messages + 1 if before else 1,
            before.since if before else row.created_at,
        )
    return failing


async def last_place(connection: AsyncConnection, channel: str) -> MessageLocation | None:
    """Return where the last message to the channel arrived."""
    query = select(outbox.c.channel_id, outbox.c.ts).where(
        outbox.c.channel == channel, outbox.c.state == DeliveryState.SENT
    )
    row = (await connection.execute(query.order_by(outbox.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else MessageLocation(row.channel_id, row.ts)


async def was_busy(connection: AsyncConnection, channel: str, since: datetime) -> bool:
    """Return whether a message to the channel was attempted at or after that time."""
    undone = outbox.c.state.in_(_UNDONE) & (outbox.c.attempts > 0)
    query = select(outbox.c.id).where(outbox.c.channel == channel, or_(outbox.c.sent_at >= since, undone))
    return (await connection.execute(query.limit(1))).first() is not None


async def delivery_of(connection: AsyncConnection, key: str) -> DeliveryOutcome | None:
    """Return what became of the message with this key; None for an unknown one."""
    columns = (outbox.c.state, outbox.c.channel, outbox.c.channel_id, outbox.c.ts, outbox.c.error)
    query = select(*columns).where(outbox.c.key == key)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    place = MessageLocation(qualified(team_of(row.channel), row.channel_id), row.ts) if row.ts else None
    return DeliveryOutcome(DeliveryState(row.state), place, row.error)


def _attempt(queued: QueuedMessage) -> Update:
    """Return the beginning of a change to a message that nobody has attempted since."""
    return update(outbox).where(outbox.c.id == queued.id, outbox.c.attempts == queued.attempts)


def _failed_since_success(channel: str | None = None) -> Select[tuple[str, str, datetime]]:
    later = outbox.alias()
    succeeded = exists().where(
        later.c.channel == outbox.c.channel, later.c.state == DeliveryState.SENT, later.c.id > outbox.c.id
    )
    query = select(outbox.c.channel, outbox.c.error, outbox.c.created_at).where(
        outbox.c.state == DeliveryState.FAILED, ~succeeded
    )
    return query if channel is None else query.where(outbox.c.channel == channel)


def _queued(row: Row[Any]) -> QueuedMessage:
    return QueuedMessage(
        row.id,
        row.key,
        OutboxMessage(row.channel, row.event_type, row.text, row.blocks, row.brief, row.is_bulk),
        DeliveryState(row.state),
        row.created_at,
        row.first_attempt_at,
        row.attempts,
    )
