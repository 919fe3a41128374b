"""conversations.history and conversations.replies: messages and threads, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, Json, Message

_TS: Final = re.compile(r"\d+(\.\d+)?")
_FIRST: Final = "0"
_LAST: Final = "9999999999.999999"


def _bound(call: ApiCall, name: str, default: str) -> float:
    value = call.text(name) or default
    if not _TS.fullmatch(value):
        raise FakeSlackError(f"invalid_ts_{name}")
    return float(value)


def _between(call: ApiCall, messages: Sequence[Message]) -> list[Message]:
    oldest, latest = _bound(call, "oldest", _FIRST), _bound(call, "latest", _LAST)
    if call.flag("inclusive"):
        return [m for m in messages if oldest <= float(m.ts) <= latest]
    return [m for m in messages if oldest < float(m.ts) < latest]


def message_json(channel: Channel, message: Message, *, all_metadata: bool = True) -> Json:
    """Return a message, with the count of its replies if it starts a thread."""
    body = message.as_json(all_metadata=all_metadata)
    replies = [] if message.is_reply else channel.replies(message.ts)
    if replies:
        users = list(dict.fromkeys(reply.user for reply in replies))
        body |= {
            "reply_count": len(replies),
            "reply_users_count": len(users),
            "reply_users": users,
            "latest_reply": replies[-1].ts,
        }
    return body


def _page(call: ApiCall, channel: Channel, messages: Sequence[Message]) -> Json:
    page = call.page(messages, max_limit=999)
    all_metadata = call.flag("include_all_metadata")
    return {
        "messages": [message_json(channel, m, all_metadata=all_metadata) for m in page.items],
        "has_more": bool(page.next_cursor),
        **page.metadata(),
    }


def history(call: ApiCall) -> Json:
    """conversations.history: newest first, without the replies that are only in threads."""
    channel = call.channel()
    call.workspace.must_be_member(channel, call.actor)
    top_level = [m for m in _between(call, channel.messages) if m.is_in_channel]
    return _page(call, channel, top_level[::-1]) | {"pin_count": len(channel.pins)}


def replies(call: ApiCall) -> Json:
    """conversations.replies: the first message of a thread, then its replies."""
    channel = call.channel()
    call.workspace.must_be_member(channel, call.actor)
    message = channel.message(call.text("ts"))
    if message is None:
        raise FakeSlackError("thread_not_found")
    root = channel.message(message.thread_ts) if message.thread_ts else None
    first = root or message
    messages = [first, *_between(call, channel.replies(first.ts))]
    return _page(call, channel, messages)


METHODS: Final[dict[str, Method]] = {
    "conversations.history": history,
    "conversations.replies": replies,
}
