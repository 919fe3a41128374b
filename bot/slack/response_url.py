"""Replies to the person who asked: through Slack's `response_url`, else as an ephemeral message.

A home tab has neither: replies to its buttons are direct messages. A busy Slack is retried.

ResponseError
├── ResponseRefusedError    Slack refused the message
└── ResponseUrlUsedUpError  the `response_url` was used five times, is older than 30 minutes, or unknown
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bot.slack.blockkit.modals import ModalForm
from bot.slack.command_prefix import CommandPrefix
from bot.slack.interactions import Reply
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.store.outbox import Block

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
_ATTEMPTS = 3
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
    """Where a reply goes. `url` is the `response_url`, empty if there is none, as `channel` may be."""

    url: str
    channel: str
    user: str

    @property
    def is_home(self) -> bool:
        """Whether the interaction came from a home tab."""
        return not self.url and not self.channel

    @property
    def is_direct(self) -> bool:
        """Whether it came from a direct message."""
        return self.channel.startswith("D")


class Responder:
    """Posts replies to response URLs, with `client`'s session, or with `client` if the URL is used up."""

    def __init__(self, client: AsyncWebClient, prefix: CommandPrefix) -> None:
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
        if not url:
            raise ResponseUrlUsedUpError("there is no response_url")
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TransientResponseError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=3),
            reraise=True,
        )
        await retrying(self._attempt, url, body)

    async def _attempt(self, url: str, body: Mapping[str, Any]) -> None:
        hook = AsyncWebhookClient(url, session=self._client.session, retry_handlers=[])
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                response = await hook.send_dict(dict(body))
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise _TransientResponseError(
                f"the response_url did not answer: {type(fault).__name__}"
            ) from fault
        status = response.status_code
        if status == 429 or status >= 500:
            raise _TransientResponseError(f"the response_url answered {status}")
        if status in _GONE:
            raise ResponseUrlUsedUpError(f"the response_url answered {status}")
        if status >= 400:
            await self._post_without_charts(url, body, response.body)

    async def _post_without_charts(self, url: str, body: Mapping[str, Any], refusal: str) -> None:
        """Send once more without charts, which not every workspace supports."""
        plain = without_charts(body["blocks"])
        if len(plain) == len(body["blocks"]):
            raise ResponseRefusedError(f"Slack refused an answer: {refusal[:300]}")
        log.warning("charts_refused", error=refusal[:300])
        await self._attempt(url, {**body, "blocks": plain})

    async def _send_without_url(self, target: ReplyTarget, reply: Reply) -> None:
        shown = reply.unshareable() if target.is_home else reply
        message: dict[str, Any] = {"channel": target.channel, "text": shown.fallback, "blocks": shown.blocks}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if target.is_home:
                    opened = await self._client.conversations_open(users=target.user)
                    message["channel"] = str(opened["channel"]["id"])
                if reply.seen_by_channel or target.is_home:
                    await self._client.chat_postMessage(**message, unfurl_links=False)
                else:
                    await self._client.chat_postEphemeral(**message, user=target.user)
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as fault:
            raise ResponseRefusedError(f"the answer could not be posted: {type(fault).__name__}") from fault


def without_charts(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks that every Slack client knows."""
    return [block for block in blocks if block["type"] != "data_visualization"]
