"""Where the documents of incidents are kept in Slack: files and canvases of their channels.

The faults are those of `incident_room.py`; a call that fails is not tried again in here.
"""

import copy

from bot.slack.incidents.channels import telling
from bot.slack.webapi.canvases import SlackCanvases
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.files import SlackFiles
from bot.store.addresses import local, team_of


class IncidentDocuments:
    """Keeps documents, in the workspace that a channel's address names.

    Clients are used without their retries: they would share a file twice.
    """

    def __init__(self, client_of: ClientOf) -> None:
        self._client_of = client_of
        self._kept: dict[str | None, tuple[SlackFiles, SlackCanvases]] = {}

    async def upload(self, channel_id: str, name: str, text: str) -> str:
        """Upload a text file that nobody sees yet; return its id."""
        async with telling():
            return await self._in(channel_id)[0].upload(name, text)

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Put an uploaded file into a channel."""
        async with telling():
            await self._in(channel_id)[0].share(file_id, name, local(channel_id), comment)

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether the channel shows the file."""
        async with telling():
            return await self._in(channel_id)[0].is_shared(file_id, local(channel_id))

    async def draw(self, channel_id: str, title: str, markdown: str) -> None:
        """Make the channel's canvas, or put the text in place of what it says."""
        async with telling():
            await self._in(channel_id)[1].write(channel_id, title, markdown)

    def _in(self, address: str) -> tuple[SlackFiles, SlackCanvases]:
        team = team_of(address)
        if team not in self._kept:
            client = copy.copy(self._client_of(team))
            client.retry_handlers = []
            self._kept[team] = SlackFiles(client), SlackCanvases(client)
        return self._kept[team]
