"""Files for people: a text is uploaded and put into somebody's direct channel with the bot.

https://docs.slack.dev/messaging/working-with-files#upload
"""

import asyncio

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.faults import CutOff, Refused, telling_faults

_TIMEOUT_S = 10.0


class SlackFiles:
    """Uploads with `client`, whose session it shares."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def send(self, person: str, name: str, text: str, comment: str) -> None:
        """Bring a text file to a person's direct channel; raises `SlackFault`."""
        content = text.encode()
        async with telling_faults(), asyncio.timeout(_TIMEOUT_S):
            direct = await self._client.conversations_open(users=person)
            place = await self._client.files_getUploadURLExternal(filename=name, length=len(content))
            await self._put(str(place["upload_url"]), name, content)
            await self._client.files_completeUploadExternal(
                files=[{"id": place["file_id"], "title": name}],
                channel_id=str(direct["channel"]["id"]),
                initial_comment=comment,
            )

    async def _put(self, url: str, name: str, content: bytes) -> None:
        session = self._client.session
        if session is None:
            raise CutOff("no_session")
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name, content_type="text/markdown")
        async with session.post(url, data=form) as answer:
            if answer.status != 200:
                raise Refused(f"http_{answer.status}")
