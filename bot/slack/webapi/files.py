"""Files: a text is uploaded, then put into a channel, or into somebody's direct channel with the bot.

https://docs.slack.dev/messaging/working-with-files#upload
"""

import asyncio

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import OutcomeUnknownError, SlackRefusedError, translate_slack_errors

_TIMEOUT_S = 10.0
_MOST_LOOKED_THROUGH = 100


class SlackFiles:
    """Uploads with `client`, whose session it shares."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def send(self, person: str, name: str, text: str, comment: str) -> None:
        """Bring a text file to a person's direct channel; raises `SlackFault`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            direct = await self._client.conversations_open(users=person)
        file_id = await self.upload(name, text)
        await self.share(file_id, name, str(direct["channel"]["id"]), comment)

    async def upload(self, name: str, text: str) -> str:
        """Upload a text file that nobody sees yet; return its id. Raises `SlackFault`."""
        content = text.encode()
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            place = await self._client.files_getUploadURLExternal(filename=name, length=len(content))
            await self._put(str(place["upload_url"]), name, content)
        return str(place["file_id"])

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Put an uploaded file into a channel; raises `SlackFault`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            await self._client.files_completeUploadExternal(
                files=[{"id": file_id, "title": name}], channel_id=channel_id, initial_comment=comment
            )

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether one of the channel's last messages shows the file; raises `SlackFault`."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            answer = await self._client.conversations_history(channel=channel_id, limit=_MOST_LOOKED_THROUGH)
        messages = answer.get("messages") or ()
        return any(file.get("id") == file_id for one in messages for file in one.get("files") or ())

    async def _put(self, url: str, name: str, content: bytes) -> None:
        session = self._client.session
        if session is None:
            raise OutcomeUnknownError("no_session")
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/markdown")
        async with session.post(url, data=form) as answer:
            if answer.status != 200:
                raise SlackRefusedError(f"http_{answer.status}")
