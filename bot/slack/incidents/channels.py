"""Channels of incidents in Slack: creation, invitations, topics, pins and cards.

Every method is idempotent but `create`, whose response may be lost: `find` then shows whether the channel
was created. What an earlier attempt has done already counts as done.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.ports import (
    ChannelError,
    ChannelInfo,
    ChannelNameTakenError,
    ChannelRefusedError,
    ChannelUse,
    MissingPermissionError,
    TransientError,
)
from bot.slack.blockkit.mrkdwn import cut
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.slack.webapi.errors import (
    NotPermittedError,
    RateLimitedError,
    SlackError,
    SlackRefusedError,
    translate_slack_errors,
)
from bot.slack.webapi.last_written import last_written_at
from bot.slack.webapi.new_blocks import BLOCKS_ERRORS
from bot.slack.webapi.pages import next_cursor, page_of
from bot.slack.webapi.team_members import SlackTeamMembers
from bot.store.addresses import local, qualified, team_of
from bot.store.outbox import Block, OutboxMessage
from bot.store.threads import MessageLocation

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
MOST_TOPIC: Final = 250
_MOST_INVITED: Final = 100
_PAGE: Final = 999
_NAME_TAKEN: Final = frozenset({"name_taken"})
_ALREADY: Final = frozenset({"already_in_channel", "already_pinned", "cant_invite_self"})
_OF_ONE_PERSON: Final = frozenset(
    {"cant_invite", "invitee_cant_see_channel", "org_user_not_in_team", "ura_max_channels", "user_not_found"}
)
# A channel that the bot no longer sees cannot be archived by it either.
_GONE: Final = frozenset({"already_archived", "channel_not_found"})
_OUT_OF_REACH: Final = frozenset({"channel_not_found", "is_archived", "not_in_channel"})
# The workspace's settings forbid it.
_RESTRICTED: Final = frozenset({"restricted_action", "user_is_restricted"})


class IncidentChannels:
    """Channels and messages of incidents in every Slack workspace; each address names its workspace.

    Clients are used without their retries: the steps are repeated instead.
    """

    def __init__(self, client_of: ClientOf, edit_limits: EditRateLimits) -> None:
        self._client_of = client_of
        self._edit_limits = edit_limits
        self._clients: dict[str | None, AsyncWebClient] = {}
        self._bot_users: dict[str | None, str] = {}
        self._interrupted: dict[str, str] = {}
        self._team_members = SlackTeamMembers(lambda team: self._client(qualified(team, "")))

    async def create(self, name: str, *, private: bool) -> str:
        """Create a channel and return its id."""
        async with translate_errors():
            answer = await self._client(name).conversations_create(name=local(name), is_private=private)
        return qualified(team_of(name), str(answer["channel"]["id"]))

    async def find(self, name: str) -> ChannelInfo | None:
        """Return the channel of that name if the bot is in it; whoever creates a channel is.

        A search that was interrupted by Slack's rate limit goes on with the page that was next.
        """
        bot_user = await self._bot_user(name)
        cursor = self._interrupted.pop(name, "")
        while True:
            try:
                page = await self._page(name, cursor)
            except TransientError as fault:
                if fault.after_s is not None:
                    self._interrupted[name] = cursor
                raise
            for channel in page["channels"]:
                if channel["name"] == local(name):
                    return _channel_info(channel, team_of(name), bot_user)
            cursor = next_cursor(page, cursor)
            if not cursor:
                return None

    async def _page(self, address: str, cursor: str) -> Mapping[str, Any]:
        """Return a page of the bot's own channels; a bot sees none of them that is archived."""
        async with translate_errors():
            answer = await self._client(address).users_conversations(
                types="public_channel,private_channel", exclude_archived=False, limit=_PAGE, cursor=cursor
            )
            return page_of(answer)

    async def set_topic(self, channel_id: str, topic: str) -> None:
        """Set the channel's topic."""
        async with translate_errors():
            await self._client(channel_id).conversations_setTopic(
                channel=local(channel_id), topic=cut(topic, MOST_TOPIC)
            )

    async def set_purpose(self, channel_id: str, purpose: str) -> None:
        """Set the channel's purpose."""
        async with translate_errors():
            await self._client(channel_id).conversations_setPurpose(
                channel=local(channel_id), purpose=cut(purpose, MOST_TOPIC)
            )

    async def invite(self, channel_id: str, invitee: str) -> None:
        """Invite a person, or all of a user group, to the channel; those whom Slack refuses stay out."""
        people = await self.members([qualified(team_of(channel_id), local(invitee))])
        client, channel = self._client(channel_id), local(channel_id)
        for start in range(0, len(people), _MOST_INVITED):
            batch = list(people[start : start + _MOST_INVITED])
            try:
                async with translate_errors(_ALREADY):
                    await client.conversations_invite(channel=channel, users=batch, force=len(batch) > 1)
            except ChannelRefusedError as refusal:
                if refusal.error not in _OF_ONE_PERSON:
                    raise
                await self._invite_one_by_one(client, channel, batch)

    async def _invite_one_by_one(self, client: AsyncWebClient, channel: str, people: Sequence[str]) -> None:
        """Invite people singly, so that one whom Slack refuses keeps nobody else out."""
        for person in people:
            try:
                async with translate_errors(_ALREADY):
                    await client.conversations_invite(channel=channel, users=[person])
            except ChannelRefusedError as refusal:
                if refusal.error not in _OF_ONE_PERSON:
                    raise
                log.info("invitation_refused", channel=channel, person=person, error=refusal.error)

    async def pin(self, place: MessageLocation) -> None:
        """Pin a message to its channel."""
        async with translate_errors(_ALREADY):
            await self._client(place.channel_id).pins_add(channel=local(place.channel_id), timestamp=place.ts)

    async def rewrite(self, place: MessageLocation, message: OutboxMessage) -> None:
        """Replace the content of one of the bot's messages, as plain text if Slack refuses its blocks."""
        try:
            await self._update(place, message.text, message.blocks)
        except ChannelRefusedError as refusal:
            if refusal.error not in BLOCKS_ERRORS or not message.blocks:
                raise
            log.warning("blocks_refused", error=refusal.error)
            await self._update(place, message.text, ())

    async def _update(self, place: MessageLocation, text: str, blocks: Sequence[Block]) -> None:
        limit = self._edit_limits.of(team_of(place.channel_id))
        await limit.wait()
        try:
            async with translate_errors():
                # An empty list takes the blocks away that the message has had.
                await self._client(place.channel_id).chat_update(
                    channel=local(place.channel_id), ts=place.ts, text=text, blocks=list(blocks)
                )
        except TransientError as fault:
            if fault.after_s is not None:
                limit.pause(fault.after_s)
            raise

    async def archive(self, channel_id: str) -> None:
        """Archive a channel. Slack lets no bot open it again (methods/conversations.unarchive)."""
        async with translate_errors(_GONE):
            await self._client(channel_id).conversations_archive(channel=local(channel_id))

    async def use(self, channel_id: str, since: datetime) -> ChannelUse:
        """Return a channel's name, and when a person wrote there last, if since a time."""
        client, channel = self._client(channel_id), local(channel_id)
        try:
            async with translate_errors():
                info = page_of(await client.conversations_info(channel=channel))["channel"]
                name = str(info.get("name") or "")
                if info.get("is_archived"):
                    return ChannelUse(name, is_archived=True)
                written_at = await last_written_at(client, channel, since)
        except ChannelRefusedError as refusal:
            if refusal.error not in _OUT_OF_REACH:
                raise
            return ChannelUse("", is_archived=True)
        return ChannelUse(name, is_archived=False, last_written_at=written_at)

    async def members(self, team: Sequence[str]) -> Sequence[str]:
        """Return the user ids of the people of a team."""
        async with translate_errors():
            return await self._team_members.read(team)

    def _client(self, address: str) -> AsyncWebClient:
        """Return the client of the workspace that an address names."""
        team = team_of(address)
        if team not in self._clients:
            client = copy.copy(self._client_of(team))
            client.retry_handlers = []
            self._clients[team] = client
        return self._clients[team]

    async def _bot_user(self, address: str) -> str:
        """Return the bot's user id in the workspace that an address names."""
        team = team_of(address)
        if team not in self._bot_users:
            async with translate_errors():
                answer = await self._client(address).auth_test()
            self._bot_users[team] = str(answer["user_id"])
        return self._bot_users[team]


def _channel_info(channel: Mapping[str, Any], team: str | None, bot_user: str) -> ChannelInfo:
    purpose = str((channel.get("purpose") or {}).get("value") or "")
    is_archived = bool(channel.get("is_archived"))
    return ChannelInfo(
        qualified(team, str(channel["id"])), channel.get("creator") == bot_user, purpose, is_archived
    )


@asynccontextmanager
async def translate_errors(
    harmless: frozenset[str] = frozenset(), *, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[None]:
    """Raise what the client raises as a `ChannelError`; `harmless` errors say that it is done already."""
    try:
        async with translate_slack_errors(), asyncio.timeout(timeout_s):
            yield
    except RateLimitedError as fault:
        raise TransientError(fault.error, fault.retry_after_s) from fault
    except NotPermittedError as fault:
        raise MissingPermissionError(fault.error) from fault
    except SlackRefusedError as fault:
        if fault.error in harmless:
            log.debug("call_repeated", error=fault.error)
            return
        raise _refusal(fault.error) from fault
    except SlackError as fault:
        raise TransientError(fault.error) from fault


def _refusal(error: str) -> ChannelError:
    if error in _NAME_TAKEN:
        return ChannelNameTakenError(error)
    return MissingPermissionError(error) if error in _RESTRICTED else ChannelRefusedError(error)
