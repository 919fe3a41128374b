"""An announcement in a channel: what happened, the facts, one next step, and its message. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.slack.announcements.freeze_buttons import ENDING_BUTTONS
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, join
from bot.slack.interactions import Query, Reply, show_button
from bot.store.outbox import Block, OutboxMessage

WHILE_HELD = "while_held"
"""The `block_id` of a next step that is none any more once the hold has ended."""

STILL_ALLOWED = "Still allowed:"
"""What the line begins with that says what may ship while a service is held."""


@dataclass(frozen=True, slots=True)
class AnnouncementText:
    """The text of an announcement: what happened, the facts, and one next step."""

    event_type: str
    headline: Markup
    facts: tuple[Markup, ...] = ()
    following: Markup = NOTHING
    buttons: tuple[Block, ...] = ()
    everywhere: bool = True
    """Whether it goes to the announcements channel too, beside the service's own."""


def message(channel: str, announcement: AnnouncementText, service: str | None = None) -> OutboxMessage:
    """Return the message for one channel, with text and blocks of the same content."""
    see = show_button("See budget", Query("budget", service)) if service else ()
    buttons = (*announcement.buttons, *see)
    facts = join("\n", announcement.facts)
    body = [section(part) for part in (announcement.headline, facts) if part]
    if announcement.following:
        is_stale_later = any(each["action_id"] in ENDING_BUTTONS for each in announcement.buttons)
        following = section(announcement.following)
        body.append(following | {"block_id": WHILE_HELD} if is_stale_later else following)
    text = join("\n", [announcement.headline, facts, announcement.following])
    reply = Reply(text, tuple(body), buttons)
    return OutboxMessage(channel, announcement.event_type, reply.fallback, reply.blocks)


def distinct(channels: Iterable[str]) -> list[str]:
    """Return each channel once, however its name is written."""
    return list({channel.casefold().lstrip("#"): channel for channel in channels}.values())
