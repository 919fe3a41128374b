"""Channel canvases: Markdown documents in a channel, if the workspace's plan has canvases.

https://docs.slack.dev/surfaces/canvases
"""

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import SlackRefusedError, translate_slack_errors
from bot.store.addresses import local

_TIMEOUT_S = 10.0
FREE_TEAM_HAS_ONE = "free_team_canvas_tab_already_exists"
"""On the free plan a channel has one canvas, whoever made it."""

_EXIST_ALREADY = frozenset({"channel_canvas_already_exists", FREE_TEAM_HAS_ONE})


class SlackCanvases:
    """Writes canvases with `client`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._created: dict[str, str] = {}

    async def write(self, channel_id: str, title: str, markdown: str) -> None:
        """Create the channel's canvas, or replace its text; raises `SlackError`."""
        channel_id = local(channel_id)
        content = {"type": "markdown", "markdown": markdown}
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                created = await self._client.conversations_canvases_create(
                    channel_id=channel_id, document_content=content, title=title
                )
        except SlackRefusedError as error:
            if error.error not in _EXIST_ALREADY:
                raise
            await self._rewrite(channel_id, content, error)
        else:
            self._created[channel_id] = str(created.get("canvas_id") or "")

    async def _rewrite(self, channel_id: str, content: dict[str, Any], refusal: SlackRefusedError) -> None:
        """Replace the text of the canvas that the channel has; raises `refusal` if Slack names none."""
        for canvas_id in await self._canvas_ids(channel_id):
            change = {"operation": "replace", "document_content": content}
            try:
                async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                    await self._client.canvases_edit(canvas_id=canvas_id, changes=[change])
            except SlackRefusedError as error:
                if error.error != "canvas_not_found":
                    raise
            else:
                return
        raise refusal

    async def _canvas_ids(self, channel_id: str) -> list[str]:
        """Return the canvases that may be the channel's, the likeliest first.

        A paid plan names it as `canvas`; the free plan has it as a tab of the channel.
        """
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            info = await self._client.conversations_info(channel=channel_id)
        properties = info["channel"].get("properties") or {}
        tabs = [tab for name in ("tabs", "tabz") for tab in properties.get(name) or ()]
        ids = [
            (properties.get("canvas") or {}).get("file_id"),
            *((tab.get("data") or {}).get("file_id") for tab in tabs if "canvas" in str(tab.get("type"))),
            self._created.get(channel_id),
        ]
        return list(dict.fromkeys(str(id_) for id_ in ids if id_))
