"""Files: uploads of text files, and sharing them in channels and direct messages.

https://docs.slack.dev/messaging/working-with-files#upload
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import (
    OutcomeUnknownError,
    RateLimitedError,
    SlackRefusedError,
    translate_slack_errors,
)
from bot.slack.webapi.pages import next_cursor, page_of

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
_PAGE = 200
_MOST_PAGES = 20
"""How many pages of a channel's history are searched for a file, the latest first."""


class SlackFiles:
    """Uploads and shares files with `client` and its session."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._interrupted: dict[tuple[str, str], tuple[str, int]] = {}

    async def send(self, person: str, name: str, text: str, comment: str) -> None:
        """Send a text file to a person as a direct message; raises `SlackError`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            direct = await self._client.conversations_open(users=person)
        file_id = await self.upload(name, text)
        await self.share(file_id, name, str(direct["channel"]["id"]), comment)

    async def upload(self, name: str, text: str) -> str:
        """Upload a text file without sharing it; return its id. Raises `SlackError`."""
        content = text.encode()
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            upload = await self._client.files_getUploadURLExternal(filename=name, length=len(content))
            await self._put(str(upload["upload_url"]), name, content)
        return str(upload["file_id"])

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Share an uploaded file in a channel; raises `SlackError`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.files_completeUploadExternal(
                files=[{"id": file_id, "title": name}], channel_id=channel_id, initial_comment=comment
            )

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether one of the channel's latest messages has the file; raises `SlackError`.

        Searched are all pages of the history, the latest `_MOST_PAGES` of a longer one. A search that was
        interrupted by Slack's rate limit goes on with the page that was next.
        """
        search = (file_id, channel_id)
        cursor, pages = self._interrupted.pop(search, ("", 0))
        while pages < _MOST_PAGES:
            try:
                page = await self._history(channel_id, cursor)
            except RateLimitedError:
                self._interrupted[search] = cursor, pages
                raise
            files = [file for message in page["messages"] for file in message.get("files") or ()]
            if any(file.get("id") == file_id for file in files):
                return True
            cursor, pages = next_cursor(page, cursor), pages + 1
            if not cursor:
                return False
        log.warning("file_search_ended", channel=channel_id, pages=pages)
        return False

    async def _history(self, channel_id: str, cursor: str) -> Mapping[str, Any]:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            return page_of(
                await self._client.conversations_history(channel=channel_id, limit=_PAGE, cursor=cursor)
            )

    async def _put(self, url: str, name: str, content: bytes) -> None:
        session = self._client.session
        if session is None:
            raise OutcomeUnknownError("no_session")
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/markdown")
        async with session.post(url, data=form) as response:
            if response.status != 200:
                raise SlackRefusedError(f"http_{response.status}")
