"""The rooms of incidents in Slack: channels, invitations, topics, pins and cards.

Every method may be repeated harmlessly but `make`, whose answer may be lost: `find` then tells whether it
was carried out. What an earlier attempt has done already counts as done.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.ports import (
    ChannelInfo,
    ChannelNameTakenError,
    ChannelRefusedError,
    MissingPermissionError,
    TransientError,
)
from bot.slack.blockkit.mrkdwn import cut
from bot.slack.webapi.errors import (
    NotPermittedError,
    RateLimitedError,
    SlackError,
    SlackRefusedError,
    translate_slack_errors,
)
from bot.store.outbox import MessageLocation, OutboxMessage

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
MOST_TOPIC: Final = 250
_MOST_INVITED: Final = 100
_PAGE: Final = 999
_NAME_TAKEN: Final = frozenset({"name_taken"})
_ALREADY: Final = frozenset({"already_in_channel", "already_pinned", "cant_invite_self"})
# A channel that the bot sees no more is none that it could archive.
_OF_ONE_PERSON: Final = frozenset(
    {"cant_invite", "invitee_cant_see_channel", "org_user_not_in_team", "ura_max_channels", "user_not_found"}
)
_GONE: Final = frozenset({"already_archived", "channel_not_found"})
# The workspace's settings, not the call, are in the way.
_RESTRICTED: Final = frozenset({"restricted_action", "user_is_restricted"})


class IncidentChannels:
    """Carries out what incidents need in Slack. `client` is the caller's, but without its retries."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = copy.copy(client)
        self._client.retry_handlers = []
        self._me: str | None = None

    async def make(self, name: str, *, private: bool) -> str:
        """Make a channel and answer its id."""
        async with telling():
            answer = await self._client.conversations_create(name=name, is_private=private)
        return str(answer["channel"]["id"])

    async def find(self, name: str) -> ChannelInfo | None:
        """Return the channel of that name if the bot is in it; whoever makes a channel is."""
        me = await self._who_am_i()
        cursor = ""
        while True:
            async with telling():
                answer = await self._client.users_conversations(
                    types="public_channel,private_channel", exclude_archived=False, limit=_PAGE, cursor=cursor
                )
            for channel in answer["channels"]:
                if channel["name"] == name:
                    return _channel(channel, me)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def set_topic(self, channel_id: str, topic: str) -> None:
        """Say what the channel talks about."""
        async with telling():
            await self._client.conversations_setTopic(channel=channel_id, topic=cut(topic, MOST_TOPIC))

    async def set_purpose(self, channel_id: str, purpose: str) -> None:
        """Say what the channel is for."""
        async with telling():
            await self._client.conversations_setPurpose(channel=channel_id, purpose=cut(purpose, MOST_TOPIC))

    async def invite(self, channel_id: str, who: str) -> None:
        """Bring a person, or all of a user group, into the channel; those whom Slack refuses stay out."""
        people = list(await self.members(who))
        for start in range(0, len(people), _MOST_INVITED):
            some = people[start : start + _MOST_INVITED]
            try:
                async with telling(_ALREADY):
                    await self._client.conversations_invite(
                        channel=channel_id, users=some, force=len(some) > 1
                    )
            except ChannelRefusedError as refusal:
                if refusal.error not in _OF_ONE_PERSON:
                    raise
                await self._invite_each(channel_id, some)

    async def _invite_each(self, channel_id: str, people: Sequence[str]) -> None:
        """Invite people one by one, so that one whom Slack refuses keeps nobody else out."""
        for person in people:
            try:
                async with telling(_ALREADY):
                    await self._client.conversations_invite(channel=channel_id, users=[person])
            except ChannelRefusedError as refusal:
                if refusal.error not in _OF_ONE_PERSON:
                    raise
                log.info("not_invited", channel=channel_id, person=person, error=refusal.error)

    async def pin(self, place: MessageLocation) -> None:
        """Pin a message to its channel."""
        async with telling(_ALREADY):
            await self._client.pins_add(channel=place.channel_id, timestamp=place.ts)

    async def rewrite(self, place: MessageLocation, message: OutboxMessage) -> None:
        """Put other words in place of the bot's own message."""
        async with telling():
            await self._client.chat_update(
                channel=place.channel_id,
                ts=place.ts,
                text=message.text,
                blocks=list(message.blocks) or None,
            )

    async def archive(self, channel_id: str) -> None:
        """Archive a channel. Slack lets no bot open it again (methods/conversations.unarchive)."""
        async with telling(_GONE):
            await self._client.conversations_archive(channel=channel_id)

    async def members(self, team: str) -> Sequence[str]:
        """Return who is in a user group (`@handle`); a person is a team of one."""
        if not team.startswith("@"):
            return [team]
        async with telling():
            answer = await self._client.usergroups_list(include_users=True)
        wanted = team.removeprefix("@").casefold()
        for group in answer.get("usergroups") or ():
            if str(group["handle"]).casefold() == wanted:
                return [str(user) for user in group.get("users") or ()]
        raise ChannelRefusedError("no_such_group")

    async def _who_am_i(self) -> str:
        if self._me is None:
            async with telling():
                self._me = str((await self._client.auth_test())["user_id"])
        return self._me


def _channel(found: Mapping[str, Any], me: str) -> ChannelInfo:
    purpose = str((found.get("purpose") or {}).get("value") or "")
    archived = bool(found.get("is_archived"))
    return ChannelInfo(str(found["id"]), found.get("creator") == me, purpose, archived)


@asynccontextmanager
async def telling(done: frozenset[str] = frozenset()) -> AsyncIterator[None]:
    """Turn what the client raises into a fault of the port; errors in `done` say that it is so already."""
    try:
        async with translate_slack_errors(), asyncio.timeout(TIMEOUT_S):
            yield
    except RateLimitedError as fault:
        raise TransientError(fault.error, fault.retry_after_s) from fault
    except NotPermittedError as fault:
        raise MissingPermissionError(fault.error) from fault
    except SlackRefusedError as fault:
        if fault.error in done:
            log.debug("done_already", error=fault.error)
            return
        raise _refusal(fault.error) from fault
    except SlackError as fault:
        raise TransientError(fault.error) from fault


def _refusal(error: str) -> Exception:
    if error in _NAME_TAKEN:
        return ChannelNameTakenError(error)
    return MissingPermissionError(error) if error in _RESTRICTED else ChannelRefusedError(error)
