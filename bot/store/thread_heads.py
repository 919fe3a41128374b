"""What follows for a thread from a message that was sent: it becomes the head, or the head must be edited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.outbox import DeliveryState, OutboxMessage, QueuedMessage, enqueue_edit
from bot.store.tables.core import outbox
from bot.store.threads import MessageLocation, head_of, set_head

HEAD_EDITED = "thread_head"
"""The event type of what edits a head."""


async def record_in_thread(
    connection: AsyncConnection,
    queued: QueuedMessage,
    place: MessageLocation,
    now: datetime,
    *,
    is_alone: bool,
) -> None:
    """Record where a thread's message was sent. One of a combined post (not `is_alone`) is no head."""
    if queued.thread_id is None:
        return
    head = await head_of(connection, queued.thread_id)
    content: Mapping[str, Any] = queued.message.head or {}
    if head is None or head.channel_id != place.channel_id:
        if is_alone:
            await set_head(connection, queued.thread_id, place, content.get("line"))
        return
    if content and head.ts != place.ts:
        channel, text, blocks = queued.message.channel, content["text"], content["blocks"]
        edit = OutboxMessage(channel, HEAD_EDITED, text, blocks, is_edit=True)
        await enqueue_edit(connection, edit, now, thread_id=queued.thread_id)


async def is_superseded(connection: AsyncConnection, queued: QueuedMessage) -> bool:
    """Return whether a later edit of the same head waits, or was carried out by another replica."""
    return bool((await connection.execute(select(exists().where(_later_edits(queued))))).scalar_one())


async def record_edited(
    connection: AsyncConnection, head: MessageLocation, queued: QueuedMessage, message: OutboxMessage
) -> None:
    """Record what a head says now, where the message that became it is kept.

    A later edit that another replica carried out meanwhile is due again: what it said may be overwritten.
    """
    same = (outbox.c.channel_id == head.channel_id) & (outbox.c.ts == head.ts)
    await connection.execute(
        update(outbox).where(same).values(text=message.text, blocks=list(message.blocks))
    )
    newest = select(func.max(outbox.c.id)).where(_later_edits(queued)).scalar_subquery()
    overtaken = (outbox.c.id == newest) & (outbox.c.state == DeliveryState.SENT)
    await connection.execute(
        update(outbox).where(overtaken).values(state=DeliveryState.WAITING, sent_at=None)
    )


def _later_edits(queued: QueuedMessage) -> ColumnElement[bool]:
    return (
        # A thread is in one channel, by which the table has an index.
        (outbox.c.channel == queued.message.channel)
        & outbox.c.state.in_((DeliveryState.WAITING, DeliveryState.SENT))
        & (outbox.c.id > queued.id)
        & (outbox.c.thread_id == queued.thread_id)
        & outbox.c.is_edit
    )
