"""pins.*, reactions.* and bookmarks.*: what is attached to messages and channels."""

from __future__ import annotations

import re
from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Bookmark, Channel, Json
from bot.sandbox.fake_slack.pins_and_reactions import add_bookmark, pin, react, unpin, unreact
from bot.sandbox.fake_slack.slack_facts import LIMITS

_TS: Final = re.compile(r"\d+\.\d+")


def _timestamp(call: ApiCall) -> str:
    ts = call.text("timestamp")
    if not ts:
        raise FakeSlackError("no_item_specified")
    if not _TS.fullmatch(ts):
        raise FakeSlackError("bad_timestamp")
    return ts


def pin_add(call: ApiCall) -> Json:
    """pins.add."""
    pin(call.workspace, call.channel(), _timestamp(call), call.actor)
    return {}


def pin_remove(call: ApiCall) -> Json:
    """pins.remove."""
    unpin(call.workspace, call.channel(), _timestamp(call), call.actor)
    return {}


def pin_list(call: ApiCall) -> Json:
    """pins.list."""
    channel = call.channel()
    items = [
        {
            "type": "message",
            "channel": channel.id,
            "created_by": by,
            "message": call.workspace.message(channel, ts).as_json(),
        }
        for ts, by in channel.pins
    ]
    return {"items": items}


def reaction_add(call: ApiCall) -> Json:
    """reactions.add."""
    channel, ts = call.channel(), _timestamp(call)
    if call.actor not in channel.members:
        raise FakeSlackError("no_access")
    react(call.workspace, channel, ts, call.text("name"), call.actor)
    return {}


def reaction_remove(call: ApiCall) -> Json:
    """reactions.remove."""
    if not call.text("channel"):
        raise FakeSlackError("no_item_specified")
    channel, ts = call.channel(), _timestamp(call)
    unreact(call.workspace, channel, ts, call.text("name"), call.actor)
    return {}


def reaction_get(call: ApiCall) -> Json:
    """reactions.get."""
    if not call.text("channel"):
        raise FakeSlackError("no_item_specified")
    channel = call.channel()
    message = call.workspace.message(channel, _timestamp(call))
    return {"type": "message", "channel": channel.id, "message": message.as_json()}


def _channel_with_bookmarks(call: ApiCall) -> Channel:
    channel = call.channel("channel_id")
    if call.actor not in channel.members:
        raise FakeSlackError("access_denied")
    return channel


def _bookmark_json(channel: Channel, bookmark: Bookmark) -> Json:
    return {
        "id": bookmark.id,
        "channel_id": channel.id,
        "title": bookmark.title,
        "link": bookmark.link,
        "emoji": bookmark.emoji,
        "type": "link",
        "date_created": bookmark.created,
    }


def _link(call: ApiCall) -> str:
    link = call.text("link")
    if not link.startswith(("http://", "https://")) or len(link) > LIMITS["bookmarks"]["link"]:
        raise FakeSlackError("invalid_link")
    return link


def _title(call: ApiCall) -> str:
    title = call.text("title")
    if len(title) > LIMITS["bookmarks"]["title"]:
        raise FakeSlackError("invalid_arguments", ["[ERROR] title is too long"])
    return title


def bookmark_add(call: ApiCall) -> Json:
    """bookmarks.add."""
    channel = _channel_with_bookmarks(call)
    if call.text("type") != "link":
        raise FakeSlackError("invalid_bookmark_type")
    emoji = call.text("emoji") or None
    added = add_bookmark(call.workspace, channel, title=_title(call), link=_link(call), emoji=emoji)
    return {"bookmark": _bookmark_json(channel, added)}


def _find(call: ApiCall, channel: Channel) -> Bookmark:
    bookmark_id = call.text("bookmark_id")
    for bookmark in channel.bookmarks:
        if bookmark.id == bookmark_id:
            return bookmark
    raise FakeSlackError("not_found")


def bookmark_edit(call: ApiCall) -> Json:
    """bookmarks.edit."""
    channel = _channel_with_bookmarks(call)
    bookmark = _find(call, channel)
    if call.text("title"):
        bookmark.title = _title(call)
    if call.text("link"):
        bookmark.link = _link(call)
    if call.text("emoji"):
        bookmark.emoji = call.text("emoji")
    call.workspace.notify("channel", channel)
    return {"bookmark": _bookmark_json(channel, bookmark)}


def bookmark_list(call: ApiCall) -> Json:
    """bookmarks.list."""
    channel = _channel_with_bookmarks(call)
    return {"bookmarks": [_bookmark_json(channel, bookmark) for bookmark in channel.bookmarks]}


def bookmark_remove(call: ApiCall) -> Json:
    """bookmarks.remove."""
    channel = _channel_with_bookmarks(call)
    channel.bookmarks.remove(_find(call, channel))
    call.workspace.notify("channel", channel)
    return {}


METHODS: Final[dict[str, Method]] = {
    "bookmarks.add": bookmark_add,
    "bookmarks.edit": bookmark_edit,
    "bookmarks.list": bookmark_list,
    "bookmarks.remove": bookmark_remove,
    "pins.add": pin_add,
    "pins.list": pin_list,
    "pins.remove": pin_remove,
    "reactions.add": reaction_add,
    "reactions.get": reaction_get,
    "reactions.remove": reaction_remove,
}
