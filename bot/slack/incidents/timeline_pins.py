"""A `:pushpin:` on a message of an incident's channel puts it onto the timeline; without one it is off again.

Slack may deliver a reaction twice, and late: what counts is whether the message bears the reaction now.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.arguments import UsageError, split
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.operations import MOST_NOTE
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
    """Somebody put a pushpin on a message, or took one off."""

    user: str
    channel: str
    ts: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "PinReaction | None":
        """Read an event; None for other reactions and for what is no message."""
        item = event.get("item") or {}
        if event.get("reaction") != PUSHPIN or item.get("type") != "message":
            return None
        return cls(str(event.get("user")), str(item.get("channel")), str(item.get("ts")))

    @property
    def mark(self) -> str:
        """Name the message on the timeline."""
        return f"pin {self.channel} {self.ts}"


class TimelinePins:
    """Keeps timelines as the pushpins say; `client` reads the one message that was reacted to."""

    def __init__(self, access: IncidentAccess, client: AsyncWebClient) -> None:
        self._access = access
        self._client = client

    async def follow(self, reacted: PinReaction) -> None:
        """Put the message onto the timeline or take it off, as it bears a pushpin or not."""
        id_ = await self._access.here(reacted.channel)
        if id_ is None:
            return
        try:
            await self._access.permit_person(reacted.user)
        except UsageError:
            log.info("pin_not_permitted", incident=id_, user=reacted.user)
            return
        message = await self._read(reacted)
        lifecycle, now = self._access.incidents.lifecycle, self._access.clock.now()
        if message is None or not _is_pinned(message):
            await lifecycle.unnote(id_, reacted.mark, by=reacted.user, now=now)
            return
        text, at = await self._words(message, reacted), min(_sent_at(reacted.ts), now)
        await lifecycle.note(id_, text, by=reacted.user, now=now, at=at, mark=reacted.mark)

    async def _read(self, reacted: PinReaction) -> Mapping[str, Any] | None:
        """Return the message as it stands; None where it is gone. Replies in threads are found as well."""
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            answer = await self._client.conversations_replies(
                channel=reacted.channel, ts=reacted.ts, oldest=reacted.ts, latest=reacted.ts, inclusive=True
            )
        return next((one for one in answer.get("messages") or () if one.get("ts") == reacted.ts), None)

    async def _words(self, message: Mapping[str, Any], reacted: PinReaction) -> str:
        text = " ".join(split(str(message.get("text") or ""))) or "a message without text"
        author = str(message.get("user") or "")
        if author and author != reacted.user:
            text = f"{await self._access.people.name(author)}: {text}"
        return text if len(text) <= MOST_NOTE else text[: MOST_NOTE - 1].rstrip() + "…"


def _is_pinned(message: Mapping[str, Any]) -> bool:
    return any(
        reaction.get("name") == PUSHPIN and reaction.get("users")
        for reaction in message.get("reactions") or ()
    )


def _sent_at(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)
