"""Files: uploads of text files, and sharing them in channels and direct messages.

https://docs.slack.dev/messaging/working-with-files#upload
"""

import asyncio

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import OutcomeUnknownError, SlackRefusedError, translate_slack_errors

_TIMEOUT_S = 10.0
_SEARCHED_MESSAGES = 100


class SlackFiles:
    """Uploads and shares files with `client` and its session."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

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
        """Return whether one of the channel's latest messages has the file; raises `SlackError`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            history = await self._client.conversations_history(channel=channel_id, limit=_SEARCHED_MESSAGES)
        messages = history.get("messages") or ()
        return any(file.get("id") == file_id for message in messages for file in message.get("files") or ())

    async def _put(self, url: str, name: str, content: bytes) -> None:
        session = self._client.session
        if session is None:
            raise OutcomeUnknownError("no_session")
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/markdown")
        async with session.post(url, data=form) as response:
            if response.status != 200:
                raise SlackRefusedError(f"http_{response.status}")
