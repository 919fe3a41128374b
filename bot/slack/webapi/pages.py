"""Pages of Slack's lists: the content of a page, and the cursor of the next one. Pure."""

from collections.abc import Mapping
from typing import Any

import structlog
from slack_sdk.web.async_slack_response import AsyncSlackResponse

log = structlog.get_logger(__name__)


def page_of(response: AsyncSlackResponse) -> Mapping[str, Any]:
    """Return the body of an answer; its shape was checked by the client."""
    return response.data if isinstance(response.data, dict) else {}


def next_cursor(page: Mapping[str, Any], cursor: str) -> str:
    """Return the cursor of the page after this one, which `cursor` led to; empty after the last page.

    A cursor that leads to itself ends the list, which would have no end otherwise.
    """
    following = str((page.get("response_metadata") or {}).get("next_cursor") or "")
    if following and following == cursor:
        log.warning("cursor_repeated")
        return ""
    return following
