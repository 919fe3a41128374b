"""One attempt at a message: posts it to a channel, or looks up whether it is there already.

Every message carries its outbox key as metadata and is recognised by it. Knows nothing of the database and
never retries.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import RateLimitedError, SlackRefusedError, translate_slack_errors
from bot.slack.webapi.pages import next_cursor, page_of
from bot.store.outbox import OutboxMessage, QueuedMessage
from bot.store.threads import MessageLocation

_PAGE = 200
_MOST_INTERRUPTED = 1_000
HEAD_GONE = frozenset(
    {
        "cannot_reply_to_message",
        "message_not_found",
        "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked",
        "thread_not_found",
    }
)
"""What Slack refuses a reply with where its head is gone or takes none."""


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message in Slack, and the outbox keys of all messages that it contains."""

    place: MessageLocation
    keys: frozenset[str]


class MessageSender:
    """Posts and finds messages. All methods raise `SlackError`.

    `client` is the caller's, but without its retries: they would repeat a post that may have
    succeeded. `timeout_s` limits a call, `calls` how many of them run at once.
    """

    def __init__(self, client: AsyncWebClient, *, timeout_s: float, calls: int) -> None:
        self._client = copy.copy(client)
        self._client.retry_handlers = []
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(calls)
        # By the message's key: the attempt that is looked for, and the page that was next.
        self._interrupted: dict[str, tuple[int, str]] = {}

    async def post(
        self,
        queued: QueuedMessage,
        channel_id: str,
        message: OutboxMessage,
        left_s: Callable[[], float] = lambda: inf,
        *,
        keys: Sequence[str] = (),
        thread_ts: str | None = None,
    ) -> MessageLocation:
        """Post a queued message as `message` says it, within the time that is left once its turn comes.

        `left_s` returns that, or raises: nothing is sent then. `keys` are those of all messages that it
        contains, if they are several; `thread_ts` is the message that it replies to.
        """
        payload = {"key": queued.key, "keys": list(keys)} if keys else {"key": queued.key}
        metadata = {"event_type": message.event_type, "event_payload": payload}
        async with (
            self._slots,
            translate_slack_errors(),
            asyncio.timeout(self._timeout_s),
            _within(left_s()),
        ):
            response = await self._client.chat_postMessage(
                channel=channel_id,
                text=message.text,
                blocks=list(message.blocks) or None,
                metadata=metadata,
                thread_ts=thread_ts,
                reply_broadcast=(message.is_broadcast or None) if thread_ts else None,
                unfurl_links=False,
                unfurl_media=False,
            )
        return MessageLocation(str(response["channel"]), str(response["ts"]))

    async def edit(
        self, place: MessageLocation, message: OutboxMessage, left_s: Callable[[], float] = lambda: inf
    ) -> None:
        """Replace what one of the bot's messages says; that may be repeated. `left_s` is as for `post`."""
        async with (
            self._slots,
            translate_slack_errors(),
            asyncio.timeout(self._timeout_s),
            _within(left_s()),
        ):
            await self._client.chat_update(
                channel=place.channel_id, ts=place.ts, text=message.text, blocks=list(message.blocks)
            )

    async def find_reply(self, queued: QueuedMessage, head: MessageLocation) -> FoundMessage | None:
        """Look for the message among the replies to a head; None also if the head is gone."""
        cursor = ""
        while True:
            try:
                async with self._slots, translate_slack_errors(), asyncio.timeout(self._timeout_s):
                    response = await self._client.conversations_replies(
                        channel=head.channel_id,
                        ts=head.ts,
                        include_all_metadata=True,
                        limit=_PAGE,
                        cursor=cursor,
                    )
            except SlackRefusedError as refusal:
                if refusal.error not in HEAD_GONE:
                    raise
                return None
            page = page_of(response)
            for message in page["messages"]:
                if queued.key in (keys := _keys(message)):
                    return FoundMessage(MessageLocation(head.channel_id, str(message["ts"])), keys)
            cursor = next_cursor(page, cursor)
            if not cursor:
                return None

    async def find(
        self, queued: QueuedMessage, channel_id: str, oldest: str | datetime
    ) -> FoundMessage | None:
        """Look for the message in the channel's history since `oldest` (a `ts` or a time).

        A look-up that was interrupted by Slack's rate limit goes on with the page that was next, unless
        another attempt was made since: that would be on a page before.
        """
        since = oldest if isinstance(oldest, str) else f"{oldest.timestamp():.6f}"
        attempts, cursor = self._interrupted.pop(queued.key, (queued.attempts, ""))
        if attempts != queued.attempts:
            cursor = ""
        while True:
            try:
                page = await self._history(channel_id, since, cursor)
            except RateLimitedError:
                self._note_interrupted(queued, cursor)
                raise
            for message in page["messages"]:
                if queued.key in (keys := _keys(message)):
                    return FoundMessage(MessageLocation(channel_id, str(message["ts"])), keys)
            cursor = next_cursor(page, cursor)
            if not cursor:
                return None

    def _note_interrupted(self, queued: QueuedMessage, cursor: str) -> None:
        """Keep the page that is next; of what another replica went on with, the oldest are forgotten."""
        while len(self._interrupted) >= _MOST_INTERRUPTED:
            del self._interrupted[next(iter(self._interrupted))]
        self._interrupted[queued.key] = queued.attempts, cursor

    async def _history(self, channel_id: str, oldest: str, cursor: str) -> Mapping[str, Any]:
        async with self._slots, translate_slack_errors(), asyncio.timeout(self._timeout_s):
            response = await self._client.conversations_history(
                channel=channel_id,
                oldest=oldest,
                inclusive=True,
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor,
            )
        return page_of(response)


def _within(seconds: float) -> asyncio.Timeout:
    return asyncio.timeout(None if seconds == inf else seconds)


def _keys(message: Mapping[str, Any]) -> frozenset[str]:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    keys = payload.get("keys") or [payload.get("key")]
    return frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()
