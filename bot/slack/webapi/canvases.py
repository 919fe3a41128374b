"""Channel canvases: Markdown documents in a channel, if the workspace's plan has canvases.

https://docs.slack.dev/surfaces/canvases
"""

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import SlackRefusedError, translate_slack_errors
from bot.store.addresses import local

_TIMEOUT_S = 10.0
_EXISTS_ALREADY = "channel_canvas_already_exists"


class SlackCanvases:
    """Writes canvases with `client`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client

    async def write(self, channel_id: str, title: str, markdown: str) -> None:
        """Create the channel's canvas, or replace its text; raises `SlackError`."""
        channel_id = local(channel_id)
        content = {"type": "markdown", "markdown": markdown}
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                await self._client.conversations_canvases_create(
                    channel_id=channel_id, document_content=content, title=title
                )
        except SlackRefusedError as error:
            if error.error != _EXISTS_ALREADY:
                raise
            await self._rewrite(channel_id, content)

    async def _rewrite(self, channel_id: str, content: dict[str, Any]) -> None:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            info = await self._client.conversations_info(channel=channel_id)
            properties = info["channel"].get("properties") or {}
            canvas_id = (properties.get("canvas") or {}).get("file_id")
            if not canvas_id:
                raise SlackRefusedError("canvas_not_found")
            change = {"operation": "replace", "document_content": content}
            await self._client.canvases_edit(canvas_id=canvas_id, changes=[change])
