"""A message that a person takes to an incident: its text, author and time, as the timeline has them."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.slack.arguments import split
from bot.slack.blockkit.mrkdwn import size
from bot.slack.permissions import People
from bot.slack.webapi.errors import SlackError, translate_slack_errors

log = structlog.get_logger(__name__)

MOST_NOTE = 2_000
"""How long a text on the timeline may be."""

_MENTION = re.compile(r"<@([UW][A-Z0-9]{1,20})(?:\|[^<>]*)?>")
_LINK = re.compile(r"\b[a-z]+://\S+")
_MOST_NAMES = 10
_MOST_ABOUT = 2_400
"""How much of a form's metadata a message may take: the rest is for where the reply goes."""
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class SourceMessage:
    """A message of a channel, with mentions as names; `author` is empty if no person or app is known."""

    channel: str
    ts: str
    author: str
    text: str

    @property
    def mark(self) -> str:
        """The mark of the message on the timeline, the same as of a pinned one."""
        return pin_mark(self.channel, self.ts)

    @property
    def sent_at(self) -> datetime:
        """When it was sent."""
        return sent_at(self.ts)

    @property
    def title(self) -> str:
        """The text as a title: without links, unless it has nothing else."""
        return " ".join(_LINK.sub(" ", self.text).split()) or self.text

    def entry(self, by: str, now: datetime, url: str | None) -> TimelineEntry:
        """Return it as an entry of the timeline, at the time at which it was sent."""
        text = f"{self.author}: {self.text}" if self.author else self.text
        at = min(self.sent_at, now)
        return TimelineEntry(at, EntryKind.PIN, shortened(text or _NO_TEXT), by, self.mark, url)

    def to_about(self) -> str:
        """Return it as what a form is about, its text cut as far as that is needed."""
        text = self.text
        about = json.dumps([self.channel, self.ts, self.author, text])
        while size(json.dumps(about)) > _MOST_ABOUT and text:
            text = text[: len(text) * 3 // 4].rstrip()
            about = json.dumps([self.channel, self.ts, self.author, f"{text}…"])
        return about

    @classmethod
    def from_about(cls, about: str) -> "SourceMessage":
        """Read what a form is about; raises ValueError for anything else."""
        match json.loads(about):
            case [str(channel), str(ts), str(author), str(text)]:
                return cls(channel, ts, author, text)
            case _:
                raise ValueError("a form carried no message")


def pin_mark(channel: str, ts: str) -> str:
    """Return the mark of a message on a timeline."""
    return f"pin {channel} {ts}"


def sent_at(ts: str) -> datetime:
    """Return when a message was sent."""
    return datetime.fromtimestamp(float(ts), UTC)


def shortened(note: str) -> str:
    """Return a note, cut to what the timeline takes."""
    return note if len(note) <= MOST_NOTE else note[: MOST_NOTE - 1].rstrip() + "…"


async def read_message(
    people: People, message: Mapping[str, Any], channel: str, *, reader: str = ""
) -> SourceMessage:
    """Return a message as Slack sends it; an author who is the `reader` is left out."""
    text = str(message.get("text") or "").strip() or _text_of_attachments(message)
    mentioned = list(dict.fromkeys(_MENTION.findall(text)))[:_MOST_NAMES]
    names = await people.names(mentioned)
    text = _MENTION.sub(lambda match: f"@{names.get(match[1], match[1])}", text)
    author = str(message.get("user") or "")
    if author:
        author = "" if author == reader else await people.name(author)
    else:
        author = str((message.get("bot_profile") or {}).get("name") or message.get("username") or "")
    return SourceMessage(channel, str(message.get("ts")), author, " ".join(split(text)))


async def permalink(client: AsyncWebClient, channel: str, ts: str) -> str | None:
    """Return the address of a message, None where Slack does not tell the bot."""
    try:
        async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
            answer = await client.chat_getPermalink(channel=channel, message_ts=ts)
    except SlackError as fault:
        log.info("permalink_unknown", channel=channel, error=fault.error)
        return None
    return str(answer["permalink"])


def _text_of_attachments(message: Mapping[str, Any]) -> str:
    """Return what an app says in a message that has attachments only."""
    attachments = [part for part in message.get("attachments") or () if isinstance(part, Mapping)]
    texts = [str(part.get("fallback") or part.get("title") or part.get("text") or "") for part in attachments]
    return " ".join(text for text in texts if text)


_NO_TEXT = "a message without text"
