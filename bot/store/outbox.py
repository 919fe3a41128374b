"""The outbox: messages that are enqueued in a transaction and sent later by the dispatcher.

Knows nothing of Slack but that a message has a channel, a text and blocks, and gets an id and a `ts` there.
A row goes waiting → sending → sent or failed; from `sending` back to `waiting` once it is known that the
message did not arrive. After a crash a row in `sending` means that its outcome is unknown.

Messages that are sent in one batch change their state together, and end at the same location.

Several replicas may send: each channel belongs to one replica, by a lease (see `leases.py`). A row's count
of attempts distinguishes the latest attempt, so a replica that lost its lease cannot overwrite what its
successor did.
"""

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Update, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.addresses import qualified, team_of
from bot.store.personal.notice import PERSONAL_NOTICES, PersonalNotice
from bot.store.tables.core import outbox
from bot.store.tables.people import personal_preferences
from bot.store.tables.tasks import due_tasks
from bot.store.threads import MessageLocation, continue_thread, find_thread
from bot.tracing.spans import current_parent

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message to one channel (`#name` or an id, see `addresses.py`).

    `event_type` names the event, in snake case. `brief` is the message in one line (mrkdwn), if it may be
    batched with others of the channel. `is_bulk` marks messages that may come by the hundred: they yield
    to others under Slack's rate limits. `mentions` are people (`U…`) and user groups (`@handle`) whom the
    message notifies, once, when it is sent.

    The messages of a `thread` (its subject) in a channel are replies to the first of them, the head. `head`
    is what that is to say from then on (`text` and `blocks`; `line` is this message's own, which stays in it
    should it be the head), `is_broadcast` shows the reply in the channel
    too, and `is_edit` replaces only what the head says.

    `hold_id` is the hold that it announces: the message is edited when that ends. `notice` is what those who
    asked for it are told in a direct message besides.
    """

    channel: str
    event_type: str
    text: str
    blocks: Sequence[Block] = ()
    brief: str | None = None
    is_bulk: bool = False
    mentions: Sequence[str] = ()
    thread: str | None = None
    head: Mapping[str, Any] | None = None
    is_broadcast: bool = False
    is_edit: bool = False
    hold_id: int | None = None
    notice: PersonalNotice | None = None


async def enqueue(connection: AsyncConnection, messages: Iterable[OutboxMessage], now: datetime) -> int:
    """Put messages into the outbox within the caller's transaction; return how many."""
    rows, notices = [], []
    for message in messages:
        thread_id = await _thread_of(connection, message, now)
        if thread_id is not None or not message.is_edit:
            rows.append(_row(message, now, thread_id))
            if message.notice is not None:
                notices.append(_task(message.notice, str(rows[-1]["key"]), now))
    if rows:
        await connection.execute(insert(outbox), rows)
    if notices and await _anybody_asked(connection):
        await connection.execute(insert(due_tasks), notices)
    return len(rows)


async def _anybody_asked(connection: AsyncConnection) -> bool:
    """Return whether anybody has settings of their own: without any, nobody is told in a direct message."""
    return (await connection.execute(select(personal_preferences.c.person).limit(1))).first() is not None


def _task(notice: PersonalNotice, key: str, now: datetime) -> dict[str, object]:
    """Return the row of the task that tells people, once: the message's key is its own."""
    due_at = notice.until or now
    return {
        "kind": PERSONAL_NOTICES,
        "key": key,
        "due_at": due_at,
        "next_attempt_at": due_at,
        "payload": notice.payload(now),
        "state": "pending",
        "attempts": 0,
        "created_at": now,
    }


async def _thread_of(connection: AsyncConnection, message: OutboxMessage, now: datetime) -> int | None:
    if message.thread is None:
        return None
    if message.is_edit:
        return await find_thread(connection, message.thread, message.channel)
    return await continue_thread(connection, message.thread, message.channel, now)


async def enqueue_edit(
    connection: AsyncConnection,
    message: OutboxMessage,
    now: datetime,
    *,
    thread_id: int | None = None,
    edits: int | None = None,
) -> None:
    """Put an edit into the outbox within the caller's transaction: of a thread's head, or of a message."""
    await connection.execute(insert(outbox), [_row(message, now, thread_id, edits)])


async def enqueue_tracked(connection: AsyncConnection, message: OutboxMessage, now: datetime) -> str:
    """Put one message into the outbox within the caller's transaction; return its key, for `delivery_of`."""
    row = _row(message, now)
    await connection.execute(insert(outbox), [row])
    return str(row["key"])


def _row(
    message: OutboxMessage, now: datetime, thread_id: int | None = None, edits: int | None = None
) -> dict[str, object]:
    return {
        "key": str(uuid.uuid4()),
        "channel": message.channel,
        "event_type": message.event_type,
        "text": message.text,
        "blocks": list(message.blocks),
        "brief": message.brief,
        "is_bulk": message.is_bulk,
        "mentions": list(message.mentions),
        "thread_id": thread_id,
        "head": message.head,
        "is_broadcast": message.is_broadcast,
        "is_edit": message.is_edit,
        "hold_id": message.hold_id,
        "edits": edits,
        "trace_parent": current_parent(),
        "created_at": now,
        "state": "waiting",
        "attempts": 0,
    }


class DeliveryState(StrEnum):
    """The state of a message's delivery."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


_UNSENT = (DeliveryState.WAITING, DeliveryState.SENDING)


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the outbox. `key` identifies it, in Slack too; `edits` is the message that it edits."""

    id: int
    key: str
    message: OutboxMessage
    state: DeliveryState
    created_at: datetime
    first_attempt_at: datetime | None
    attempts: int = 0
    thread_id: int | None = None
    edits: int | None = None
    trace_parent: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The outcome of one message: its state, its location once it is sent, the last error."""

    state: DeliveryState
    place: MessageLocation | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The messages that are not sent yet: how many by channel, and when each channel's oldest was written.

    Only edits wait in a channel without an oldest one. `bulk` are channels in which nothing but one bulk
    message, and edits, wait.
    """

    channels: Mapping[str, int]
    oldest: Mapping[str, datetime]
    bulk: frozenset[str] = frozenset()

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest of all was written; None if there is none."""
        return min(self.oldest.values(), default=None)


@dataclass(frozen=True, slots=True)
class FailingChannel:
    """A channel whose messages fail: the last error, and how many failed since the last success."""

    error: str
    messages: int
    since: datetime


async def read_backlog(connection: AsyncConnection) -> Backlog:
    """Return the messages that are not sent yet; how long edits wait says nothing, since they come last."""
    is_post = outbox.c.is_edit.is_(False)
    query = select(
        outbox.c.channel,
        func.count(),
        func.min(outbox.c.created_at).filter(is_post).label("oldest"),
        func.count().filter(is_post).label("posts"),
        func.count().filter(is_post & outbox.c.is_bulk).label("bulk"),
    ).where(outbox.c.state.in_(_UNSENT))
    rows = (await connection.execute(query.group_by(outbox.c.channel))).all()
    return Backlog(
        {row[0]: row[1] for row in rows},
        {row[0]: row.oldest for row in rows if row.oldest is not None},
        frozenset(row[0] for row in rows if row.posts == row.bulk == 1),
    )


async def first_unsent(connection: AsyncConnection, channel: str) -> QueuedMessage | None:
    """Return the channel's oldest message that is neither sent nor failed: the next to send.

    Edits, which Slack allows more seldom than posts, wait until nothing else does.
    """
    query = select(outbox).where(outbox.c.channel == channel, outbox.c.state.in_(_UNSENT))
    query = query.order_by(outbox.c.is_edit, outbox.c.id).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _queued(row)


async def unsent_in_same_state(
    connection: AsyncConnection, first: QueuedMessage, limit: int
) -> Sequence[QueuedMessage]:
    """Return a channel's unsent messages from `first` on, up to the first that is in another state."""
    unsent = (outbox.c.channel == first.message.channel) & outbox.c.state.in_(_UNSENT)
    unsent &= outbox.c.is_edit.is_(False)
    query = select(outbox).where(unsent, outbox.c.id >= first.id).order_by(outbox.c.id).limit(limit)
    rows = [_queued(row) for row in await connection.execute(query)]
    return list(itertools.takewhile(lambda row: row.state is first.state, rows))


async def claim(connection: AsyncConnection, queued: QueuedMessage, now: datetime) -> bool:
    """Set a waiting message to `sending`, its next attempt; return whether it was still waiting.

    Of several callers one succeeds; a row that another transaction has locked is left to that one.
    """
    update_attempt = _attempt(queued).where(outbox.c.state == DeliveryState.WAITING)
    unlocked = select(outbox.c.id).where(outbox.c.id == queued.id).with_for_update(skip_locked=True)
    claimed = await connection.execute(
        update_attempt.where(outbox.c.id.in_(unlocked)).values(
            state=DeliveryState.SENDING,
            attempts=outbox.c.attempts + 1,
            first_attempt_at=queued.first_attempt_at or now,
        )
    )
    return claimed.rowcount == 1


async def requeue(connection: AsyncConnection, queued: QueuedMessage, error: str) -> None:
    """Set a message back to `waiting` that this attempt did not deliver; `error` says why."""
    await connection.execute(
        _attempt(queued)
        .where(outbox.c.state == DeliveryState.SENDING)
        .values(state=DeliveryState.WAITING, error=error)
    )


async def mark_sent(
    connection: AsyncConnection, queued: QueuedMessage, place: MessageLocation | None, now: datetime
) -> None:
    """Record that and where a message arrived, by whichever attempt; an edit arrives nowhere of its own."""
    await connection.execute(
        update(outbox)
        .where(outbox.c.id == queued.id, outbox.c.state.in_(_UNSENT))
        .values(
            state=DeliveryState.SENT,
            sent_at=now,
            channel_id=place.channel_id if place else None,
            ts=place.ts if place else None,
            error=None,
        )
    )


async def mark_failed(connection: AsyncConnection, queued: QueuedMessage, error: str) -> bool:
    """Mark a message as failed; return whether this error is new to its channel since the last success."""
    channel = queued.message.channel
    same_error = select(outbox.c.id).where(
        outbox.c.state == DeliveryState.FAILED,
        outbox.c.channel == channel,
        outbox.c.id > _last_success(literal(channel)),
        outbox.c.error == error,
    )
    is_known = (await connection.execute(select(same_error.exists()))).scalar_one()
    updated = await connection.execute(
        _attempt(queued).where(outbox.c.state.in_(_UNSENT)).values(state=DeliveryState.FAILED, error=error)
    )
    return updated.rowcount == 1 and not is_known


async def read_failing(connection: AsyncConnection) -> Mapping[str, FailingChannel]:
    """Return the channels whose last message failed."""
    failed, first, last = outbox.alias(), outbox.alias(), outbox.alias()
    is_failed = failed.c.state == DeliveryState.FAILED
    with_success = select(failed.c.channel, _last_success(failed.c.channel).label("id")).where(is_failed)
    succeeded = with_success.group_by(failed.c.channel).subquery()
    ids = func.min(failed.c.id).label("first"), func.max(failed.c.id).label("last")
    # By the index alone: a channel that is gone has thousands of them.
    since = (failed.c.channel == succeeded.c.channel) & (failed.c.id > succeeded.c.id)
    counted = select(failed.c.channel, func.count().label("messages"), *ids).where(is_failed, since)
    failing = counted.group_by(failed.c.channel).subquery()
    query = select(failing.c.channel, last.c.error, failing.c.messages, first.c.created_at).where(
        first.c.id == failing.c.first, last.c.id == failing.c.last
    )
    return {row[0]: FailingChannel(*row[1:]) for row in await connection.execute(query)}


async def last_location(connection: AsyncConnection, channel: str) -> MessageLocation | None:
    """Return the location of the last message that arrived in the channel."""
    query = select(outbox.c.channel_id, outbox.c.ts).where(
        outbox.c.channel == channel, outbox.c.state == DeliveryState.SENT, outbox.c.ts.is_not(None)
    )
    row = (await connection.execute(query.order_by(outbox.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else MessageLocation(row.channel_id, row.ts)


async def was_busy(connection: AsyncConnection, channel: str, since: datetime) -> bool:
    """Return whether a message was posted to the channel at or after that time, or is being posted."""
    to_channel = outbox.c.channel == channel
    attempted = to_channel & outbox.c.state.in_(_UNSENT) & (outbox.c.attempts > 0)
    is_post = to_channel & (outbox.c.state == DeliveryState.SENT) & outbox.c.is_edit.is_(False)
    # Posts go out in the order of their ids.
    newest = select(outbox.c.sent_at).where(is_post).order_by(outbox.c.id.desc()).limit(1).scalar_subquery()
    query = select(or_(select(outbox.c.id).where(attempted).exists(), newest >= since))
    return bool((await connection.execute(query)).scalar_one())


async def delivery_of(connection: AsyncConnection, key: str) -> DeliveryOutcome | None:
    """Return the outcome of the message with this key; None for an unknown one."""
    columns = (outbox.c.state, outbox.c.channel, outbox.c.channel_id, outbox.c.ts, outbox.c.error)
    query = select(*columns).where(outbox.c.key == key)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    place = MessageLocation(qualified(team_of(row.channel), row.channel_id), row.ts) if row.ts else None
    return DeliveryOutcome(DeliveryState(row.state), place, row.error)


def _attempt(queued: QueuedMessage) -> Update:
    """Return an UPDATE of a message, provided that nobody has attempted it since."""
    return update(outbox).where(outbox.c.id == queued.id, outbox.c.attempts == queued.attempts)


def _last_success(channel: ColumnElement[str]) -> ColumnElement[int]:
    """Return the last message that arrived in a channel, 0 without one. An edit does not say that it did."""
    posted = outbox.alias()
    query = select(func.max(posted.c.id)).where(
        posted.c.channel == channel, posted.c.state == DeliveryState.SENT, posted.c.is_edit.is_(False)
    )
    return func.coalesce(query.scalar_subquery(), 0)


def message_of(row: Row[Any]) -> OutboxMessage:
    """Return the message in a row of `outbox`."""
    return OutboxMessage(
        row.channel,
        row.event_type,
        row.text,
        row.blocks,
        row.brief,
        row.is_bulk,
        tuple(row.mentions or ()),
        head=row.head,
        is_broadcast=row.is_broadcast,
        is_edit=row.is_edit,
        hold_id=row.hold_id,
    )


def _queued(row: Row[Any]) -> QueuedMessage:
    return QueuedMessage(
        row.id,
        row.key,
        message_of(row),
        DeliveryState(row.state),
        row.created_at,
        row.first_attempt_at,
        row.attempts,
        row.thread_id,
        row.edits,
        row.trace_parent,
    )
