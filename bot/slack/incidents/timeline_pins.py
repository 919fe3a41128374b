"""Timeline entries by `:pushpin:` reaction on a message of an incident's channel; removed with the reaction.

Slack may deliver a reaction twice, and late: what counts is whether the message has the reaction now.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.lifecycle import IncidentLifecycle
from bot.slack.arguments import UsageError
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.source_message import permalink, pin_mark, read_message
from bot.slack.webapi.errors import translate_slack_errors

log = structlog.get_logger(__name__)

PUSHPIN = "pushpin"
EVENTS: Mapping[str, tuple[str, ...]] = {
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
}
"""The events that are listened to, and the scope that each needs."""

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class PinReaction:
    """Somebody added a pushpin to a message, or removed one."""

    user: str
    channel: str
    ts: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "PinReaction | None":
        """Return the reaction in an event; None for other reactions and other items than messages."""
        item = event.get("item") or {}
        if event.get("reaction") != PUSHPIN or item.get("type") != "message":
            return None
        return cls(str(event.get("user")), str(item.get("channel")), str(item.get("ts")))

    @property
    def mark(self) -> str:
        """The mark of the message on the timeline."""
        return pin_mark(self.channel, self.ts)


class TimelinePins:
    """Adds pinned messages to timelines and removes them; `client` reads the message that was reacted to."""

    def __init__(self, access: IncidentAccess, lifecycle: IncidentLifecycle, client: AsyncWebClient) -> None:
        self._access = access
        self._lifecycle = lifecycle
        self._client = client

    async def follow(self, reaction: PinReaction) -> None:
        """Add the message to the timeline if it has a pushpin now, else remove it."""
        id_ = await self._access.incident_of_channel(reaction.channel)
        if id_ is None:
            return
        try:
            await self._access.permit_person(reaction.user)
        except UsageError:
            log.info("pin_not_permitted", incident=id_, user=reaction.user)
            return
        message = await self._read(reaction)
        now = self._access.now()
        if message is None or not _is_pinned(message):
            await self._lifecycle.unnote(id_, reaction.mark, by=reaction.user, now=now)
            return
        read = await read_message(self._access.people, message, reaction.channel, reader=reaction.user)
        url = await permalink(self._client, reaction.channel, reaction.ts)
        entry = read.entry(reaction.user, now, url)
        await self._lifecycle.note(
            id_, entry.text, by=reaction.user, now=now, at=entry.at, mark=reaction.mark, url=url
        )

    async def _read(self, reaction: PinReaction) -> Mapping[str, Any] | None:
        """Return the message, also a reply in a thread; None if it was deleted."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            answer = await self._client.conversations_replies(
                channel=reaction.channel,
                ts=reaction.ts,
                oldest=reaction.ts,
                latest=reaction.ts,
                inclusive=True,
            )
        messages = answer.get("messages") or ()
        return next((message for message in messages if message.get("ts") == reaction.ts), None)


def _is_pinned(message: Mapping[str, Any]) -> bool:
    return any(
        reaction.get("name") == PUSHPIN and reaction.get("users")
        for reaction in message.get("reactions") or ()
    )
