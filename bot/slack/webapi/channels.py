"""Channels: the ids of names, direct messages, and joining.

Ids are needed because they outlive a rename and because a channel's history is read by id only.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import (
    RateLimitedError,
    SlackError,
    SlackRefusedError,
    SlackUnavailableError,
    translate_slack_errors,
)
from bot.slack.webapi.pages import next_cursor, page_of

log = structlog.get_logger(__name__)

PAGE = 999
"""How many channels are asked for at a time; Slack may return fewer."""

_TIMEOUT_S = 20.0
_SAME_QUESTION_S = 600.0
_FEW_PAGES = 3


@dataclass(frozen=True, slots=True)
class _Question:
    """A name that is looked for: the number of the reading that had begun, and when it was asked last."""

    before: int
    at_s: float


class ChannelDirectory:
    """The ids of the workspace's channels, cached. All methods raise `SlackError`.

    Slack's list of channels is read page by page, and at most twenty pages a minute. So a reading that Slack
    interrupts goes on where it was, as late as Slack asks, and ends as soon as the name is found.
    """

    def __init__(self, client: AsyncWebClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._ids: dict[str, str] = {}
        self._direct: dict[str, str] = {}
        self._lock = asyncio.Lock()
        # Readings are numbered: one answers only those who asked before it began.
        self._begun = 0
        self._finished = 0
        self._asked: dict[str, _Question] = {}
        self._cursor = ""
        self._pages = 0
        self._not_before_s = 0.0

    async def resolve(self, address: str) -> str:
        """Return the id of `#name`, of a person's (`U…`) direct messages, or the id itself.

        A name keeps its id, even after the channel is renamed. For an unknown name the list is read on, and
        `channel_not_found` is raised if it is not there: the list has all public channels and those private
        ones that the bot is in. Those that are archived are left out; where the list is short, an archived
        channel's id is returned if no other has the name, so that Slack says what is wrong with it.
        """
        if address.startswith("#"):
            return await self._id_of(address.removeprefix("#"))
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

    async def _id_of(self, name: str) -> str:
        """Return the id of a name; read pages, in turn with others who ask, until it is found."""
        if name in self._ids:
            return self._ids[name]
        asked = self._question(name).before
        while name not in self._ids and self._finished <= asked:
            async with self._lock:
                if name not in self._ids and self._finished <= asked:
                    await self._read_page()
        if name in self._ids:
            id_: str | None = self._ids[name]
        else:
            id_ = await self._archived(name) if self._pages <= _FEW_PAGES else None
        self._asked.pop(name, None)
        if id_ is None:
            raise SlackRefusedError("channel_not_found")
        return id_

    async def _archived(self, name: str) -> str | None:
        """Return the id of a name among the first pages of all channels, archived ones too."""
        cursor = ""
        for _ in range(_FEW_PAGES):
            page = await self._page(cursor, exclude_archived=False)
            for channel in page["channels"]:
                if channel["name"] == name:
                    return str(channel["id"])
            cursor = next_cursor(page, cursor)
            if not cursor:
                break
        return None

    def _question(self, name: str) -> "_Question":
        """Return the question for a name: whoever was interrupted by Slack and asks again asks the same."""
        now_s = self._now_s()
        earlier = self._asked.get(name)
        before = earlier.before if earlier and now_s - earlier.at_s < _SAME_QUESTION_S else self._begun
        self._asked[name] = question = _Question(before, now_s)
        return question

    async def _read_page(self) -> None:
        """Read the next page of the list of channels, the first one after the last."""
        wait_s = self._not_before_s - self._now_s()
        if wait_s > 0:
            raise RateLimitedError("ratelimited", wait_s)
        if not self._cursor:
            self._begun += 1
            self._pages = 0
        try:
            page = await self._page(self._cursor, exclude_archived=True)
        except RateLimitedError as error:
            self._not_before_s = self._now_s() + error.retry_after_s
            raise
        except SlackRefusedError as error:
            if not self._cursor:
                raise
            # Slack's cursors end at some time: the list is read from its beginning.
            self._cursor = ""
            raise SlackUnavailableError(error.error) from error
        self._pages += 1
        for channel in page["channels"]:
            self._ids.setdefault(channel["name"], channel["id"])
        self._cursor = next_cursor(page, self._cursor)
        if not self._cursor:
            self._finished = self._begun

    async def _page(self, cursor: str, *, exclude_archived: bool) -> Mapping[str, Any]:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            response = await self._client.conversations_list(
                types="public_channel,private_channel",
                exclude_archived=exclude_archived,
                limit=PAGE,
                cursor=cursor,
            )
        return page_of(response)
