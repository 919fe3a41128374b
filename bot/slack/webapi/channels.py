"""Channels: the ids of names, direct messages, and joining.

Ids are needed because they outlive a rename and because a channel's history is read by id only.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import SlackError, SlackRefusedError, translate_slack_errors

log = structlog.get_logger(__name__)

_PAGE = 999
_TIMEOUT_S = 20.0


class ChannelDirectory:
    """The ids of the workspace's channels, cached. All methods raise `SlackError`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}
        self._direct: dict[str, str] = {}
        self._lock = asyncio.Lock()
        # Readings are numbered: a reading answers only those who asked before it began.
        self._begun = 0
        self._finished = 0

    async def resolve(self, address: str) -> str:
        """Return the id of `#name`, of a person's (`U…`) direct messages, or the id itself.

        A name keeps its id, even after the channel is renamed. For an unknown name the list is read again,
        and `channel_not_found` is raised if it is not there: the list has all public channels and those
        private ones that the bot is in.
        """
        if address.startswith("#"):
            name = address.removeprefix("#")
            if name not in self._ids:
                await self._read()
            if name not in self._ids:
                raise SlackRefusedError("channel_not_found")
            return self._ids[name]
        if address.startswith(("U", "W")):
            return await self._direct_with(address)
        return address

    def learn(self, address: str, channel_id: str) -> None:
        """Add an id that is known from elsewhere, unless the name has one already."""
        if address.startswith("#"):
            self._ids.setdefault(address.removeprefix("#"), channel_id)

    async def has_moved(self, address: str, channel_id: str) -> bool:
        """Return whether the name belongs to another channel now; the new id is used from then on."""
        if not address.startswith("#"):
            return False
        self._ids.pop(address.removeprefix("#"), None)
        try:
            return await self.resolve(address) != channel_id
        except SlackRefusedError:
            return False

    async def join(self, channel_id: str) -> bool:
        """Join a public channel; return whether the bot is in it now."""
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                await self._client.conversations_join(channel=channel_id)
        except SlackError as fault:
            if isinstance(fault, SlackRefusedError) or fault.error == "missing_scope":
                log.info("channel_not_joined", channel=channel_id, error=fault.error)
                return False
            raise
        log.info("channel_joined", channel=channel_id)
        return True

    async def _direct_with(self, user: str) -> str:
        if user not in self._direct:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                response = await self._client.conversations_open(users=user)
            self._direct[user] = str(response["channel"]["id"])
        return self._direct[user]

    async def _read(self) -> None:
        """Read the list of channels, once for all who asked before it began."""
        begun_before = self._begun
        async with self._lock:
            if self._finished > begun_before:
                return
            self._begun = number = self._begun + 1
            ids: dict[str, str] = {}
            cursor = ""
            while True:
                page = await self._page(cursor)
                for channel in page["channels"]:
                    if not channel.get("is_archived"):
                        ids[channel["name"]] = channel["id"]
                    else:
                        ids.setdefault(channel["name"], channel["id"])
                cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
                if not cursor:
                    break
            self._ids = ids | self._ids
            self._finished = number

    async def _page(self, cursor: str) -> Mapping[str, Any]:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            response = await self._client.conversations_list(
                types="public_channel,private_channel", exclude_archived=False, limit=_PAGE, cursor=cursor
            )
        data = response.data
        return data if isinstance(data, dict) else {}
