"""The Web API client whose answers are as Slack documents them, or an error that may be retried.

It also sends a message without its charts and tables where the workspace takes none: that holds for every
post and every update, whoever makes it.
"""

import time
from collections.abc import Callable, Collection
from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.webapi.answer_shapes import misfit
from bot.slack.webapi.errors import UnusableAnswerError, slack_error
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS, NewBlockSupport, new_kinds, without
from bot.tracing.spans import span

log = structlog.get_logger(__name__)

ObserveCall = Callable[[str, str, float], None]
"""Takes a call's method, its outcome (`ok` or that of a `SlackError`) and the seconds that it took."""

# What slack_sdk and the JSON decoder fall over where a body is JSON, but no object, or is not even text.
_UNREADABLE = (AttributeError, LookupError, RecursionError, ValueError)


class SlackClient(AsyncWebClient):
    """Checks the shape of every answer, so that callers may read what `answer_shapes.py` names.

    `new_blocks` says which charts and tables the workspace takes; copies of a client share it.
    `observe` is told of every call.
    """

    def __init__(
        self,
        *,
        new_blocks: NewBlockSupport | None = None,
        observe: ObserveCall = lambda _method, _outcome, _seconds: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._observe = observe
        self.new_blocks = new_blocks or NewBlockSupport()

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method; raises `SlackApiError`, `UnusableAnswerError` for an answer without content."""
        body = options.get("json")
        kinds = new_kinds(body.get("blocks")) if isinstance(body, dict) else frozenset[str]()
        if not isinstance(body, dict) or not kinds:
            return await self._checked_call(api_method, options)
        tried = kinds - self.new_blocks.refused(kinds)

        def leaving_out(some: Collection[str]) -> dict[str, Any]:
            return options | {"json": body | {"blocks": without(body["blocks"], some)}}

        if not tried:
            return await self._checked_call(api_method, leaving_out(kinds))
        try:
            return await self._checked_call(api_method, leaving_out(kinds - tried))
        except SlackApiError as refusal:
            error = slack_error(refusal).error
            if error not in BLOCKS_ERRORS:
                raise
            self.new_blocks.record_refusal(tried, error)
        try:
            return await self._checked_call(api_method, leaving_out(kinds))
        except SlackApiError as refusal:
            if slack_error(refusal).error in BLOCKS_ERRORS:
                self.new_blocks.withdraw_refusal(tried)
            raise

    async def _checked_call(self, api_method: str, options: dict[str, Any]) -> AsyncSlackResponse:
        started_s, outcome = time.perf_counter(), "cancelled"
        try:
            with span(f"slack {api_method}", "client") as recorded:
                try:
                    response = await self._answered_call(api_method, options)
                except Exception as error:
                    outcome = slack_error(error).outcome
                    recorded.note("slack.error", slack_error(error).error)
                    raise
            outcome = "ok"
        finally:
            self._observe(api_method, outcome, time.perf_counter() - started_s)
        return response

    async def _answered_call(self, api_method: str, options: dict[str, Any]) -> AsyncSlackResponse:
        try:
            response = await super().api_call(api_method, **options)
        except _UNREADABLE as cause:
            raise UnusableAnswerError(api_method, "unreadable_answer") from cause
        lacking = misfit(api_method, response.data)
        if lacking is not None:
            log.warning("slack_answer_unusable", method=api_method, lacking=lacking)
            raise UnusableAnswerError(api_method, "incomplete_answer")
        return response
