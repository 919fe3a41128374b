"""Pins, reactions and bookmarks of messages and channels.

Each action checks what Slack checks and notifies the workspace's listeners.
"""

from __future__ import annotations

import re
from typing import Final

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Bookmark, Channel, Json, Message
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.workspace import FakeWorkspace

_EMOJI_NAME: Final = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")


def pin(workspace: FakeWorkspace, channel: Channel, ts: str, actor: str) -> None:
    """Pin a message."""
    workspace.must_be_member(channel, actor)
    message = workspace.message(channel, ts)
    if any(pinned == ts for pinned, _ in channel.pins):
        raise FakeSlackError("already_pinned")
    if len(channel.pins) >= LIMITS["pins"]["channel"]:
        raise FakeSlackError("too_many_pins")
    channel.pins.append((ts, actor))
    workspace.notify("pin", channel, _pin_event("pin_added", channel, message, actor))


def unpin(workspace: FakeWorkspace, channel: Channel, ts: str, actor: str) -> None:
    """Unpin a message."""
    message = workspace.message(channel, ts)
    remaining = [pin for pin in channel.pins if pin[0] != ts]
    if len(remaining) == len(channel.pins):
        raise FakeSlackError("no_pin")
    channel.pins = remaining
    workspace.notify("pin", channel, _pin_event("pin_removed", channel, message, actor))


def _pin_event(kind: str, channel: Channel, message: Message, actor: str) -> Json:
    item = {"type": "message", "channel": channel.id, "message": message.as_json()}
    return {"type": kind, "user": actor, "channel_id": channel.id, "item": item}


def react(workspace: FakeWorkspace, channel: Channel, ts: str, name: str, actor: str) -> None:
    """Add a reaction."""
    if not _EMOJI_NAME.fullmatch(name):
        raise FakeSlackError("invalid_name")
    workspace.must_be_open(channel)
    message = workspace.message(channel, ts)
    users = message.reactions.setdefault(name, [])
    if actor in users:
        raise FakeSlackError("already_reacted")
    users.append(actor)
    event = _reaction_event("reaction_added", channel, message, name, actor)
    workspace.notify("message_changed", channel, event, message=message)


def unreact(workspace: FakeWorkspace, channel: Channel, ts: str, name: str, actor: str) -> None:
    """Remove a reaction."""
    message = workspace.message(channel, ts)
    if actor not in message.reactions.get(name, []):
        raise FakeSlackError("no_reaction")
    message.reactions[name].remove(actor)
    if not message.reactions[name]:
        del message.reactions[name]
    event = _reaction_event("reaction_removed", channel, message, name, actor)
    workspace.notify("message_changed", channel, event, message=message)


def _reaction_event(kind: str, channel: Channel, message: Message, name: str, actor: str) -> Json:
    item = {"type": "message", "channel": channel.id, "ts": message.ts}
    return {
        "type": kind,
        "user": actor,
        "reaction": name,
        "item": item,
        "item_user": message.user,
    }


def add_bookmark(
    workspace: FakeWorkspace, channel: Channel, *, title: str, link: str, emoji: str | None
) -> Bookmark:
    """Add a link to the top of a channel."""
    if len(channel.bookmarks) >= LIMITS["bookmarks"]["channel"]:
        raise FakeSlackError("too_many_bookmarks")
    created = int(workspace.now().timestamp())
    bookmark = Bookmark(workspace.new_id("Bk"), title, link, emoji, created)
    channel.bookmarks.append(bookmark)
    workspace.notify("channel", channel)
    return bookmark
