"""Members of user groups and channels, cached for some minutes.

Older answers are never returned, an error is raised instead: permissions depend on them.
"""

import asyncio
import time
from collections.abc import Callable

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.errors import translate_slack_errors
from bot.slack.webapi.pages import next_cursor, page_of
from bot.slack.webapi.user_groups import CACHE_S, UserGroups

_PAGE = 1_000
_TIMEOUT_S = 10.0


class Members:
    """Reads members through `client`; `now_s` is a monotonic clock. All methods raise `SlackError`."""

    def __init__(self, client: AsyncWebClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._directory = ChannelDirectory(client)
        self._groups = UserGroups(client, now_s)
        self._channels_lock = asyncio.Lock()
        self._channels: dict[str, tuple[float, frozenset[str]]] = {}

    async def has(self, entry: str, user: str) -> bool:
        """Return whether a person is in a user group (`@handle`) or a channel (`#name` or its id)."""
        if entry.startswith("@"):
            group = await self._groups.find(entry)
            return group is not None and user in group.members
        return user in await self._in_channel(entry)

    async def _in_channel(self, address: str) -> frozenset[str]:
        async with self._channels_lock:
            until_s, people = self._channels.get(address, (0.0, frozenset()))
            if self._now_s() >= until_s:
                async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                    people = await channel_members(self._client, await self._directory.resolve(address))
                self._channels[address] = (self._now_s() + CACHE_S, people)
            return people


async def channel_members(client: AsyncWebClient, channel: str) -> frozenset[str]:
    """Return all members of a channel; `channel` is an id. Raises what the client raises."""
    members: set[str] = set()
    cursor = ""
    while True:
        page = await client.conversations_members(channel=channel, limit=_PAGE, cursor=cursor)
        members.update(page["members"])
        cursor = next_cursor(page_of(page), cursor)
        if not cursor:
            return frozenset(members)
