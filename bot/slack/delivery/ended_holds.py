"""Edits the announcement of a hold that has ended, so that no button stands there that does nothing.

What others make of the message meanwhile, as when an incident becomes private, is not overwritten: the edit
is made anew from that.
"""

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.records import read_end
from bot.slack.announcements.ended_freezes import ended_message
from bot.slack.delivery.context import DeliveryContext
from bot.slack.delivery.edits import WaitForPosts, edit_message, may_edit
from bot.store import outbox, threads
from bot.store.addresses import local
from bot.store.outbox import OutboxMessage, QueuedMessage
from bot.store.threads import MessageLocation
from bot.store.told_messages import ToldMessage, find_told, replace_content

log = structlog.get_logger(__name__)

WriteOutcome = Callable[[Callable[[AsyncConnection], Awaitable[bool]]], Awaitable[bool]]
"""Commits a change and returns what it returns, retried as often as the database needs."""


class EndedHoldEdits:
    """Carries out these edits. `lease_left_s` says how long an edit may take, or raises."""

    def __init__(
        self,
        context: DeliveryContext,
        write: WriteOutcome,
        lease_left_s: Callable[[], float],
        wait_for_posts: WaitForPosts,
    ) -> None:
        self._context = context
        self._write = write
        self._lease_left_s = lease_left_s
        self._wait_for_posts = wait_for_posts

    async def carry_out(self, queued: QueuedMessage) -> None:
        """Edit the message, unless it needs no edit any more; or wait for the limit."""
        while not await self._edit_once(queued):
            await self._context.sleep(self._context.timing.backoff_s)

    async def _edit_once(self, queued: QueuedMessage) -> bool:
        """Edit the message as it is now; return False if somebody has changed it meanwhile."""
        now = self._context.clock.now()
        found = await self._find(queued)
        if found is not None:
            if not await may_edit(self._context.edit_rate_limit, self._wait_for_posts):
                return True
            told, place, ended = found
            # One that was deleted or is too old stays as it is.
            await edit_message(self._context, place, ended, self._lease_left_s)

        async def record(connection: AsyncConnection) -> bool:
            if found is not None and not await replace_content(connection, told, ended):
                return False
            await outbox.mark_sent(connection, queued, None, now)
            return True

        return await self._write(record)

    async def _find(self, queued: QueuedMessage) -> tuple[ToldMessage, MessageLocation, OutboxMessage] | None:
        """Return the message, where it is, and what it is to say; None if it needs no edit."""
        async with self._context.database.reading() as connection:
            told = await find_told(connection, queued.edits or 0)
            end = await read_end(connection, queued.message.hold_id or 0)
            # A line of a combined post has no buttons.
            if told is None or told.place is None or told.is_combined or end is None:
                return None
            place = MessageLocation(local(told.place.channel_id), told.place.ts)
            thread_id = told.thread_id
            if thread_id is not None and await threads.has_ended_with(connection, thread_id, place):
                # What ended the thread edits its head by itself.
                return None
        ended = ended_message(told.message, end)
        return None if ended is None else (told, place, ended)
