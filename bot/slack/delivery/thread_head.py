"""Heads of threads in one channel: what replies to them, and how they are edited.

A head that was deleted, or takes no edit or reply any more, is forgotten, and the thread's next message takes
its place.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.slack.blockkit.blocks import context
from bot.slack.blockkit.mrkdwn import Markup, cut, join, markup
from bot.slack.delivery.batching import Batch
from bot.slack.delivery.context import DeliveryContext
from bot.slack.delivery.edits import WaitForPosts, edit_message, may_edit
from bot.store import outbox, thread_heads, threads
from bot.store.outbox import OutboxMessage, QueuedMessage
from bot.store.threads import MessageLocation

log = structlog.get_logger(__name__)

Write = Callable[[Callable[[AsyncConnection], Awaitable[None]]], Awaitable[None]]
"""Commits a change, retried as often as the database needs."""

_LONGEST = 600


class ThreadHead:
    """Finds, edits and forgets heads. `lease_left_s` says how long an edit may take, or raises."""

    def __init__(
        self,
        context: DeliveryContext,
        write: Write,
        lease_left_s: Callable[[], float],
        wait_for_posts: WaitForPosts,
    ) -> None:
        self._context = context
        self._write = write
        self._lease_left_s = lease_left_s
        self._wait_for_posts = wait_for_posts

    async def of(self, batch: Batch, channel_id: str) -> MessageLocation | None:
        """Return the head that a message replies to; None for one without, and where it is gone."""
        thread_id = batch[0].thread_id
        if thread_id is None or len(batch) > 1:
            return None
        async with self._context.database.reading() as connection:
            head = await threads.head_of(connection, thread_id)
        return head if head is not None and head.channel_id == channel_id else None

    async def forget(self, queued: QueuedMessage, channel_id: str) -> bool:
        """Forget a head that takes no replies: the message takes its place. Return whether there was one."""
        thread_id = queued.thread_id
        head = await self.of([queued], channel_id)
        if head is None or thread_id is None:
            return False
        await self._write(lambda connection: threads.forget_head(connection, thread_id, head))
        return True

    async def carry_out(self, queued: QueuedMessage) -> None:
        """Carry out an edit, unless a newer one waits or the head is gone; or wait for the limit."""
        thread_id = queued.thread_id or 0
        async with self._context.database.reading() as connection:
            head = await threads.head_of(connection, thread_id)
            message = with_beginning(queued.message, await threads.beginning_of(connection, thread_id))
            if await thread_heads.is_superseded(connection, queued):
                head = None
        if head is not None and not await may_edit(self._context.edit_rate_limit, self._wait_for_posts):
            return
        if head is not None and not await edit_message(self._context, head, message, self._lease_left_s):
            gone = head
            await self._write(lambda connection: threads.forget_head(connection, thread_id, gone))
            head = None
        now = self._context.clock.now()

        async def record(connection: AsyncConnection) -> None:
            await outbox.mark_sent(connection, queued, None, now)
            if head is not None:
                await thread_heads.record_edited(connection, head, queued, message)

        await self._write(record)


def with_beginning(message: OutboxMessage, began: str) -> OutboxMessage:
    """Return an edit of a head that still says what it began with (mrkdwn)."""
    if not began:
        return message
    line = cut(markup("Began with: {}", Markup(began)), _LONGEST)
    body = list(message.blocks)
    if body:
        is_row_of_buttons = body[-1].get("type") == "actions"
        body.insert(len(body) - is_row_of_buttons, context(line))
    return replace(message, text=join("\n", [Markup(message.text), line]), blocks=body)
