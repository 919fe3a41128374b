"""Messages to the bot: `@Governor help` in a channel, and direct messages. Pure.

Slack repeats an event that was not acknowledged, and sends a mention as more than one event: `id` is the same
for all of them. What bots wrote is never answered, so that two bots cannot talk to each other for ever.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.slack.arguments import split
from bot.slack.blockkit.mrkdwn import Markup, code, join, markup
from bot.slack.command_reference import BY_NAME, help_on, help_on_all
from bot.slack.interactions import Reply, say

EVENTS: Mapping[str, tuple[str, ...]] = {
    "app_mention": ("app_mentions:read",),
    "message.im": ("im:history",),
}
"""The events that are listened to, and the scope that each needs."""

_USER = re.compile(r"[UW][A-Z0-9]{2,20}")
_MENTION = re.compile(r"<@[UW][A-Z0-9]{2,20}(?:\|[^<>]*)?>")
_SLACKBOT = "USLACKBOT"
_MOST_SHOWN = 150


@dataclass(frozen=True, slots=True)
class AddressedMessage:
    """A message that a person wrote to the bot; `is_direct`: in the direct message with it.

    `thread` is the first message's `ts` if it was written in a thread, else empty.
    """

    user: str
    channel: str
    ts: str
    text: str
    is_direct: bool
    thread: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any], bot_user_id: str | None) -> "AddressedMessage | None":
        """Return the message in an event; None for what a bot wrote, and for what is not for this bot."""
        user, text = str(event.get("user") or ""), str(event.get("text") or "")
        is_by_bot = bool(event.get("bot_id") or event.get("app_id") or event.get("bot_profile"))
        if is_by_bot or user in {_SLACKBOT, bot_user_id} or not _USER.fullmatch(user):
            return None
        # Edits, joins and the like have a subtype; they say nothing to the bot.
        if event.get("subtype") or not event.get("ts"):
            return None
        channel = str(event.get("channel") or "")
        is_direct = event.get("channel_type") == "im" or channel.startswith("D")
        if event.get("type") != "app_mention" and not is_direct:
            return None
        thread = str(event.get("thread_ts") or "")
        return cls(user, channel, str(event["ts"]), text, is_direct, thread)

    def id(self, team: str | None) -> str:
        """Return the idempotency key of the answer."""
        return f"addressed {team} {self.channel} {self.ts}"

    def reply(self) -> Reply:
        """Return the answer: help, help on one command, or how to type what was written as a command."""
        words = split(_MENTION.sub(" ", self.text))
        named = [word.casefold().lstrip("/") for word in words]
        commands = [word for word in named if word in BY_NAME and word != "governor"]
        if "help" in named[:2] and len(named) == 2 and commands:
            reply = help_on(BY_NAME[commands[0]])
        elif commands and named[0] == commands[0]:
            typed = " ".join([f"/{named[0]}", *words[1:]])[:_MOST_SHOWN]
            text = markup("Type it as a command, here or in any channel: {}.", code(typed))
            reply = say(join("\n", [text, Markup("`/governor help` lists all that I can do.")]))
        else:
            reply = help_on_all()
        # In a direct message nobody else reads along, and an answer that stays can be read again.
        return replace(reply, seen_by_channel=self.is_direct)
