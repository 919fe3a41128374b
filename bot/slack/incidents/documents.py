"""Documents of incidents in Slack: files and canvases of their channels.

The errors are those of `bot.incidents.ports`; a failed call is not retried here.
"""

import copy

from bot.slack.incidents.channels import translate_errors
from bot.slack.webapi.canvases import SlackCanvases
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.files import SlackFiles
from bot.store.addresses import local, team_of

_SEARCH_S = 60.0


class IncidentDocuments:
    """Stores documents in the workspace that a channel's address names.

    Clients are used without their retries: they would share a file twice.
    """

    def __init__(self, client_of: ClientOf) -> None:
        self._client_of = client_of
        self._adapters: dict[str | None, tuple[SlackFiles, SlackCanvases]] = {}

    async def upload(self, channel_id: str, name: str, text: str) -> str:
        """Upload a text file that nobody sees yet; return its id."""
        files, _ = self._of(channel_id)
        async with translate_errors():
            return await files.upload(name, text)

    async def share(self, file_id: str, name: str, channel_id: str, comment: str) -> None:
        """Share an uploaded file in a channel."""
        files, _ = self._of(channel_id)
        async with translate_errors():
            await files.share(file_id, name, local(channel_id), comment)

    async def is_shared(self, file_id: str, channel_id: str) -> bool:
        """Return whether the channel shows the file."""
        files, _ = self._of(channel_id)
        async with translate_errors(timeout_s=_SEARCH_S):
            return await files.is_shared(file_id, local(channel_id))

    async def update_canvas(self, channel_id: str, title: str, markdown: str) -> None:
        """Create the channel's canvas, or replace its text."""
        _, canvases = self._of(channel_id)
        async with translate_errors():
            await canvases.write(channel_id, title, markdown)

    def _of(self, address: str) -> tuple[SlackFiles, SlackCanvases]:
        """Return the files and canvases of the workspace that an address names."""
        team = team_of(address)
        if team not in self._adapters:
            client = copy.copy(self._client_of(team))
            client.retry_handlers = []
            self._adapters[team] = SlackFiles(client), SlackCanvases(client)
        return self._adapters[team]
