"""Who is in which user group and which channel, kept for some minutes.

What is older than that is asked anew, and an error is raised rather than an old answer given: rights are
decided by it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.errors import translate_slack_errors

KEEP_S = 300.0
"""How long an answer counts."""

_PAGE = 1_000
_TIMEOUT_S = 10.0


class Members:
    """Asks Slack through `client`; `now_s` is a monotonic clock. All methods raise `SlackFault`."""

    def __init__(self, client: AsyncWebClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._addresses = ChannelDirectory(client)
        self._asking_groups = asyncio.Lock()
        self._asking_channels = asyncio.Lock()
        self._groups: Mapping[str, frozenset[str]] = {}
        self._groups_until = 0.0
        self._channels: dict[str, tuple[float, frozenset[str]]] = {}

    async def has(self, entry: str, user: str) -> bool:
        """Return whether a person is in a user group (`@handle`) or a channel (`#name` or its id)."""
        if entry.startswith("@"):
            return user in (await self._of_groups()).get(entry.removeprefix("@").casefold(), frozenset())
        return user in await self._of_channel(entry)

    async def _of_groups(self) -> Mapping[str, frozenset[str]]:
        async with self._asking_groups:
            if self._now_s() >= self._groups_until:
                async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                    answer = await self._client.usergroups_list(include_users=True)
                self._groups = {
                    str(group["handle"]).casefold(): frozenset(group.get("users") or ())
                    for group in answer.get("usergroups") or ()
                }
                self._groups_until = self._now_s() + KEEP_S
            return self._groups

    async def _of_channel(self, address: str) -> frozenset[str]:
        async with self._asking_channels:
            until, people = self._channels.get(address, (0.0, frozenset()))
            if self._now_s() >= until:
                async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                    people = await channel_members(self._client, await self._addresses.resolve(address))
                self._channels[address] = (self._now_s() + KEEP_S, people)
            return people


async def channel_members(client: AsyncWebClient, channel: str) -> frozenset[str]:
    """Return everybody in a channel, page by page; `channel` is an id. Raises what the client raises."""
    found: set[str] = set()
    cursor = ""
    while True:
        answer = await client.conversations_members(channel=channel, limit=_PAGE, cursor=cursor)
        found.update(answer["members"])
        cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return frozenset(found)
