"""What Slack sends about links: that somebody shared one, and that somebody opened its details. Pure.

https://docs.slack.dev/reference/events/link_shared,
https://docs.slack.dev/reference/events/entity_details_requested
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

INCIDENT = "incident"
"""The type by which Slack names an incident back to the bot."""

_COMPOSER = "composer"
_MOST_LINKS = 10


class UnfurlPlace(TypedDict, total=False):
    """The arguments of `chat.unfurl` that name a message: `channel` and `ts`, or `unfurl_id` and `source`."""

    channel: str
    ts: str
    unfurl_id: str
    source: str


@dataclass(frozen=True, slots=True)
class SharedLinks:
    """Links in the message `ts` of a channel.

    Slack asks for the first time while a message is being written, when nobody knows yet who will read it,
    and again once it is sent. Only then there are links here.
    """

    channel: str
    ts: str
    unfurl_id: str
    source: str
    urls: tuple[str, ...]

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "SharedLinks | None":
        """Return the links in an event; None if no sent message is named."""
        if event.get("source") == _COMPOSER:
            return None
        links = event.get("links")
        urls = [str(link.get("url")) for link in links if isinstance(link, dict)] if links else []
        shared = cls(
            str(event.get("channel") or ""),
            str(event.get("message_ts") or ""),
            str(event.get("unfurl_id") or ""),
            str(event.get("source") or ""),
            tuple(dict.fromkeys(urls))[:_MOST_LINKS],
        )
        is_named = (shared.channel and shared.ts) or (shared.unfurl_id and shared.source)
        return shared if shared.urls and is_named else None

    @property
    def place(self) -> UnfurlPlace:
        """The arguments of `chat.unfurl` that name the message."""
        if not self.channel.startswith(("C", "D", "G")):
            return {"unfurl_id": self.unfurl_id, "source": self.source}
        return {"channel": self.channel, "ts": self.ts}

    def id(self, team: str | None) -> str:
        """Return the idempotency key of the preview."""
        return f"unfurl {team} {self.unfurl_id or f'{self.channel} {self.ts}'}"[:200]


@dataclass(frozen=True, slots=True)
class DetailsRequest:
    """A person opened the details of a link.

    `incident` is the number that the bot gave Slack; `url` is where the link leads where it gave none.
    """

    user: str
    trigger_id: str
    url: str
    channel: str
    incident: int | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "DetailsRequest | None":
        """Return the request in an event; None if it cannot be answered."""
        reference, link = event.get("external_ref") or {}, event.get("link") or {}
        named = str(reference.get("id") or "")
        is_incident = reference.get("type") == INCIDENT and named.isascii() and named.isdigit()
        request = cls(
            str(event.get("user") or ""),
            str(event.get("trigger_id") or ""),
            "" if named else str(event.get("entity_url") or link.get("url") or ""),
            str(event.get("channel") or ""),
            int(named) if is_incident and len(named) <= 15 else None,
        )
        return request if request.user and request.trigger_id else None
