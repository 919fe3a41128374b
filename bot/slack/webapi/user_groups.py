"""User groups of a Slack workspace by their handles, cached for some minutes: members, and how to mention.

A free plan has none; that Slack says so is cached as long.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blockkit.mrkdwn import Markup, escape, join, mention
from bot.slack.webapi.errors import SlackRefusedError, translate_slack_errors

CACHE_S = 300.0
"""How long user groups are cached."""

PLAN_HAS_NONE: Final = "plan_upgrade_required"
"""Slack's error where the workspace's plan has no user groups."""

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A user group: its id, empty if Slack did not say, and the ids of its members."""

    id: str
    members: frozenset[str]


class UserGroups:
    """Reads user groups through `client`; `now_s` is a monotonic clock. All methods raise `SlackError`.

    Older answers are never returned, an error is raised instead: permissions depend on them.
    """

    def __init__(self, client: AsyncWebClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._lock = asyncio.Lock()
        self._groups: Mapping[str, UserGroup] = {}
        self._plan_has_none = False
        self._until_s = 0.0

    async def find(self, handle: str) -> UserGroup | None:
        """Return the group of a `@handle`, None if the workspace has none."""
        return (await self._by_handle()).get(handle.removeprefix("@").casefold())

    async def mentions(self, entries: Sequence[str]) -> Markup:
        """Return what notifies people (`U…`) and groups (`@handle`); a handle that Slack lacks stays text."""
        return join(" ", [await self._mention(entry) for entry in entries])

    async def _mention(self, entry: str) -> Markup:
        group = await self.find(entry) if entry.startswith("@") else None
        return Markup(f"<!subteam^{escape(group.id)}>") if group is not None and group.id else mention(entry)

    async def _by_handle(self) -> Mapping[str, UserGroup]:
        async with self._lock:
            if self._now_s() >= self._until_s:
                await self._read()
                self._until_s = self._now_s() + CACHE_S
            if self._plan_has_none:
                raise SlackRefusedError(PLAN_HAS_NONE)
            return self._groups

    async def _read(self) -> None:
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                response = await self._client.usergroups_list(include_users=True)
        except SlackRefusedError as error:
            if error.error != PLAN_HAS_NONE:
                raise
            self._plan_has_none = True
            return
        self._plan_has_none = False
        self._groups = {
            str(group["handle"]).casefold(): UserGroup(
                str(group.get("id") or ""), frozenset(group.get("users") or ())
            )
            for group in response.get("usergroups") or ()
        }
