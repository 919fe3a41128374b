"""The Web API client whose answers are as Slack documents them, or an error that may be retried."""

from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.webapi.answer_shapes import misfit
from bot.slack.webapi.errors import UnusableAnswerError

log = structlog.get_logger(__name__)

# What slack_sdk and the JSON decoder fall over where a body is JSON, but no object, or is not even text.
_UNREADABLE = (AttributeError, LookupError, RecursionError, ValueError)


class SlackClient(AsyncWebClient):
    """Checks the shape of every answer, so that callers may read what `answer_shapes.py` names."""

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method; raises `SlackApiError`, `UnusableAnswerError` for an answer without content."""
        try:
            response = await super().api_call(api_method, **options)
        except _UNREADABLE as cause:
            raise UnusableAnswerError(api_method, "unreadable_answer") from cause
        lacking = misfit(api_method, response.data)
        if lacking is not None:
            log.warning("slack_answer_unusable", method=api_method, lacking=lacking)
            raise UnusableAnswerError(api_method, "incomplete_answer")
        return response
