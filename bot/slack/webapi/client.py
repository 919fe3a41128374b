"""The Web API client whose answers are as Slack documents them, or an error that may be retried.

It also sends a message without its charts where the workspace takes none: that holds for every post and
every update, whoever makes it.
"""

from typing import Any

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.webapi.answer_shapes import misfit
from bot.slack.webapi.charts import BLOCKS_ERRORS, ChartSupport, has_charts, without_charts
from bot.slack.webapi.errors import UnusableAnswerError, slack_error

log = structlog.get_logger(__name__)

# What slack_sdk and the JSON decoder fall over where a body is JSON, but no object, or is not even text.
_UNREADABLE = (AttributeError, LookupError, RecursionError, ValueError)


class SlackClient(AsyncWebClient):
    """Checks the shape of every answer, so that callers may read what `answer_shapes.py` names.

    `charts` says whether the workspace takes charts; copies of a client share it.
    """

    def __init__(self, *, charts: ChartSupport | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.charts = charts or ChartSupport()

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method; raises `SlackApiError`, `UnusableAnswerError` for an answer without content."""
        body = options.get("json")
        if not isinstance(body, dict) or not has_charts(body.get("blocks")):
            return await self._checked_call(api_method, options)
        plain = options | {"json": body | {"blocks": without_charts(body["blocks"])}}
        if self.charts.is_refused:
            return await self._checked_call(api_method, plain)
        try:
            return await self._checked_call(api_method, options)
        except SlackApiError as refusal:
            error = slack_error(refusal).error
            if error not in BLOCKS_ERRORS:
                raise
            self.charts.record_refusal(error)
        try:
            return await self._checked_call(api_method, plain)
        except SlackApiError as refusal:
            if slack_error(refusal).error in BLOCKS_ERRORS:
                self.charts.withdraw_refusal()
            raise

    async def _checked_call(self, api_method: str, options: dict[str, Any]) -> AsyncSlackResponse:
        try:
            response = await super().api_call(api_method, **options)
        except _UNREADABLE as cause:
            raise UnusableAnswerError(api_method, "unreadable_answer") from cause
        lacking = misfit(api_method, response.data)
        if lacking is not None:
            log.warning("slack_answer_unusable", method=api_method, lacking=lacking)
            raise UnusableAnswerError(api_method, "incomplete_answer")
        return response
