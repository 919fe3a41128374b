"""Replies to the person who asked: through Slack's `response_url`, else as an ephemeral message.

A home tab has neither: replies to its buttons are direct messages, as are replies in a channel that the bot
is not in. A busy Slack is retried.

ResponseError
├── ResponseRefusedError    Slack refused the message
└── ResponseUrlUsedUpError  the `response_url` was used five times, is older than 30 minutes, or unknown
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import msgspec
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from bot.retries import retried
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.plain_json import plain_text
from bot.slack.command_prefix import CommandPrefix
from bot.slack.interactions import Reply
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.errors import (
    RateLimitedError,
    SlackError,
    SlackRefusedError,
    SlackUnavailableError,
    translate_slack_errors,
)
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS, new_kinds, without
from bot.store.outbox import Block

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
_ATTEMPTS = 3
_LONGEST_WAIT_S = 15.0
_GONE = frozenset({403, 404, 410})


class ResponseError(Exception):
    """A reply did not reach the person. `retryable` says whether it may later."""

    retryable = False


class ResponseRefusedError(ResponseError):
    """Slack refused the message."""


class ResponseUrlUsedUpError(ResponseError):
    """The `response_url` takes no more replies."""


class _TransientResponseError(ResponseError):
    """Slack was busy or did not answer."""

    retryable = True


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """Where a reply goes. `url` is the `response_url`, empty if there is none, as `channel` may be.

    `thread` is the `ts` of a thread's first message, empty outside threads.
    """

    url: str
    channel: str
    user: str
    thread: str = ""

    @property
    def is_home(self) -> bool:
        """Whether the interaction came from a home tab."""
        return not self.url and not self.channel

    @property
    def is_direct(self) -> bool:
        """Whether it came from a direct message."""
        return self.channel.startswith("D")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a message is posted; `only_to` is the only person who sees it, if only one does."""

    channel: str
    thread: str | None
    only_to: str | None


class Responder:
    """Posts replies to response URLs, with `client`'s session, or with `client` if the URL is used up.

    What Slack refuses because of its blocks is sent again without charts and tables, then as plain text.
    """

    def __init__(self, client: SlackClient, prefix: CommandPrefix) -> None:
        self._client = client
        self._prefix = prefix

    async def send(
        self, target: ReplyTarget, reply: Reply, *, replace: bool = False, trigger_id: str | None = None
    ) -> None:
        """Send a reply; with `replace`, in place of the message whose button was pressed.

        `trigger_id` opens the reply's modal; without one, or if that fails, its text is sent.
        """
        if reply.form is not None and trigger_id and await self._open_modal(reply.form, target, trigger_id):
            return
        kind = "in_channel" if reply.seen_by_channel else "ephemeral"
        body = {
            "response_type": kind,
            "replace_original": replace,
            "text": reply.fallback,
            "blocks": reply.blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if target.thread and not replace:
            body["thread_ts"] = target.thread
        try:
            await self._post(target.url, self._prefix.rename_commands(body))
        except (ResponseUrlUsedUpError, _TransientResponseError) as fault:
            if not target.is_home:
                log.info("reply_sent_without_response_url", error=type(fault).__name__)
            await self._send_without_url(target, reply)

    async def _open_modal(self, form: ModalForm, target: ReplyTarget, trigger_id: str) -> bool:
        """Open a modal; Slack takes its trigger for three seconds, so there is one attempt."""
        view = form.view(target.channel, target.url)
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                await self._client.views_open(trigger_id=trigger_id, view=view)
        except SlackError as fault:
            log.warning("form_not_opened", form=form.callback, error=fault.error)
            return False
        return True

    async def _post(self, url: str, body: Mapping[str, Any]) -> None:
        """Post to the URL: as it is, without charts and tables, then as plain text, until Slack takes it."""
        if not url:
            raise ResponseUrlUsedUpError("there is no response_url")
        blocks, support = body["blocks"], self._client.new_blocks
        kinds = new_kinds(blocks)
        tried = kinds - support.refused(kinds)
        # What takes the place of a table is made only where one was refused.
        left_out = [*([kinds - tried] if tried else []), kinds, None]
        for without_kinds in left_out:
            stage = [] if without_kinds is None else without(blocks, without_kinds)
            try:
                await retried(partial(self._attempt, url, {**body, "blocks": stage}), _retrying_response)
            except ResponseRefusedError as refusal:
                if not stage:
                    raise
                log.warning("blocks_refused", error=str(refusal))
                if tried and without_kinds is left_out[0]:
                    support.record_refusal(tried, str(refusal))
                else:
                    support.withdraw_refusal(tried)
            else:
                return

    async def _attempt(self, url: str, body: Mapping[str, Any]) -> None:
        if self._client.session is None:
            raise TypeError("replies are posted through the client's session, and it has none")
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._client.session.post(
                    url,
                    data=_encoded(body),
                    headers={**self._client.headers, "Content-Type": "application/json; charset=utf-8"},
                    ssl=self._client.ssl or True,
                    proxy=self._client.proxy,
                ) as response,
            ):
                status, answer = response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise _TransientResponseError(
                f"the response_url did not answer: {type(fault).__name__}"
            ) from fault
        if status == 429 or status >= 500:
            raise _TransientResponseError(f"the response_url answered {status}")
        if status in _GONE:
            raise ResponseUrlUsedUpError(f"the response_url answered {status}")
        if status >= 400:
            raise ResponseRefusedError(f"Slack refused an answer: {answer[:300]}")

    async def _send_without_url(self, target: ReplyTarget, reply: Reply) -> None:
        shown = reply.unshareable() if target.is_home else reply
        try:
            if target.is_home:
                await self._send_directly(target.user, shown)
            else:
                only_to = None if reply.seen_by_channel else target.user
                await self._post_message(target.channel, shown, only_to=only_to, thread=target.thread)
        except SlackRefusedError as refusal:
            # The bot may not be in the channel in which it was asked.
            await self._send_directly_instead(target, shown, refusal)
        except SlackError as fault:
            raise ResponseRefusedError(f"the answer could not be posted: {fault.error}") from fault

    async def _send_directly_instead(
        self, target: ReplyTarget, reply: Reply, refusal: SlackRefusedError
    ) -> None:
        if target.is_home or target.is_direct:
            raise ResponseRefusedError(f"the answer could not be posted: {refusal.error}") from refusal
        log.info("reply_sent_directly", channel=target.channel, error=refusal.error)
        try:
            await self._send_directly(target.user, reply)
        except SlackError as fault:
            raise ResponseRefusedError(f"the answer could not be posted: {fault.error}") from fault

    async def _send_directly(self, user: str, reply: Reply) -> None:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            opened = await self._client.conversations_open(users=user)
        await self._post_message(str(opened["channel"]["id"]), reply)

    async def _post_message(
        self, channel: str, reply: Reply, *, only_to: str | None = None, thread: str = ""
    ) -> None:
        """Post a reply to a channel, or to one person in it; as plain text if Slack refuses its blocks."""
        place = _Place(channel, thread or None, only_to)
        try:
            await self._post_once(place, reply.fallback, reply.blocks)
        except SlackRefusedError as refusal:
            if refusal.error not in BLOCKS_ERRORS:
                raise
            log.warning("blocks_refused", error=refusal.error, details=refusal.details)
            await self._post_once(place, reply.fallback, ())

    async def _post_once(self, place: _Place, text: str, blocks: Sequence[Block]) -> None:
        shown = list(blocks) or None

        async def attempt() -> None:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                if place.only_to is None:
                    await self._client.chat_postMessage(
                        channel=place.channel,
                        thread_ts=place.thread,
                        text=text,
                        blocks=shown,
                        unfurl_links=False,
                    )
                else:
                    await self._client.chat_postEphemeral(
                        channel=place.channel,
                        thread_ts=place.thread,
                        user=place.only_to,
                        text=text,
                        blocks=shown,
                    )

        await retried(attempt, _retrying_post)


# Lists of all services are sent often, and `json` takes ten times as long.
_ENCODER = msgspec.json.Encoder(enc_hook=plain_text)


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return _ENCODER.encode(body)
    except UnicodeEncodeError:
        # Half a character (a lone surrogate) can only be said by an escape.
        return json.dumps(body).encode()


def _retrying_response() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(_TransientResponseError),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=3),
        reraise=True,
    )


def _retrying_post() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception(_is_worth_waiting),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=_retry_wait_s,
        reraise=True,
    )


def _is_worth_waiting(error: BaseException) -> bool:
    """Return whether a post was not carried out and may be soon: nobody waits long for a reply."""
    if isinstance(error, RateLimitedError):
        return error.retry_after_s <= _LONGEST_WAIT_S
    return isinstance(error, SlackUnavailableError)


def _retry_wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_s if isinstance(error, RateLimitedError) else 0.5 * state.attempt_number
