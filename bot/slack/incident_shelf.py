"""Where the documents of incidents are kept in Slack: files and canvases of their channels.

The faults are those of `incident_room.py`; a call that fails is not tried again in here.
"""

import copy

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.canvases import SlackCanvases
from bot.slack.files import SlackFiles
from bot.slack.incident_room import telling


class IncidentShelf:
    """Keeps documents. `client` is the caller's, but without its retries: they would share a file twice."""

    def __init__(self, client: AsyncWebClient) -> None:
        client = copy.copy(client)
        client.retry_handlers = []
        self._files = SlackFiles(client)
        self._canvases = SlackCanvases(client)

    async def upload(self, name: str, text: str) -> str:
        """Upload a text file that nobody sees yet; answer its id."""
        async with telling():
            return await self._files.upload(name, text)

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Put an uploaded file into a channel."""
        async with telling():
            await self._files.share(file_id, name, channel_id, comment)

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Tell whether the channel shows the file."""
        async with telling():
            return await self._files.is_shared(file_id, channel_id)

    async def draw(self, channel_id: str, title: str, markdown: str) -> None:
        """Make the channel's canvas, or put the text in place of what it says."""
        async with telling():
            await self._canvases.write(channel_id, title, markdown)
