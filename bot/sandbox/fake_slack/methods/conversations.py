"""conversations.*: create, find and change channels and their members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, Json

_TYPES: Final = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}


def requested_kinds(call: ApiCall) -> set[str]:
    """Return the kinds of channels that `types` names; public ones if it is absent."""
    types = call.strings("types") or ["public_channel"]
    if not set(types) <= set(_TYPES):
        raise FakeSlackError("invalid_types")
    return {_TYPES[name] for name in types}


def _channel_response(call: ApiCall, channel: Channel) -> Json:
    body = channel.as_json(call.actor)
    if call.workspace.plan.is_free and channel.canvas is not None:
        # The free plan has no channel canvas of its own, but a tab.
        body["properties"] = {"tabs": [{"type": "canvas", "id": "Ct1", "data": {"file_id": channel.canvas}}]}
    return {"channel": body}


def create(call: ApiCall) -> Json:
    """conversations.create."""
    kind = "private" if call.flag("is_private") else "public"
    channel = call.workspace.create_channel(
        call.text("name"), call.actor, kind="private" if kind == "private" else "public"
    )
    return _channel_response(call, channel)


def _list_response(call: ApiCall, channels: Iterable[Channel]) -> Json:
    kinds = requested_kinds(call)
    rows = [
        channel.as_json(call.actor)
        for channel in channels
        if channel.kind in kinds
        and not (channel.is_archived and call.flag("exclude_archived"))
        and (channel.kind == "public" or call.actor in channel.members)
    ]
    page = call.page(rows)
    return {"channels": page.items, **page.metadata()}


def list_all(call: ApiCall) -> Json:
    """conversations.list."""
    return _list_response(call, call.workspace.channels.values())


def of_user(call: ApiCall) -> Json:
    """users.conversations."""
    user = call.workspace.user(call.text("user") or call.actor).id
    is_bot = call.workspace.users[user].is_bot
    memberships = (
        c for c in call.workspace.channels.values() if user in c.members and not (is_bot and c.is_archived)
    )
    return _list_response(call, memberships)


def info(call: ApiCall) -> Json:
    """conversations.info."""
    return _channel_response(call, call.channel())


def members(call: ApiCall) -> Json:
    """conversations.members."""
    page = call.page(call.channel().members)
    return {"members": page.items, **page.metadata()}


def _team_channel(call: ApiCall) -> Channel:
    channel = call.channel()
    if channel.kind in {"im", "mpim"}:
        raise FakeSlackError("method_not_supported_for_channel_type")
    return channel


def join(call: ApiCall) -> Json:
    """conversations.join."""
    channel = _team_channel(call)
    if channel.kind != "public":
        raise FakeSlackError("method_not_supported_for_channel_type")
    was_member = call.actor in channel.members
    call.workspace.add_member(channel, call.actor)
    response = _channel_response(call, channel)
    if was_member:
        response["warning"] = "already_in_channel"
        response["response_metadata"] = {"warnings": ["already_in_channel"]}
    return response


def leave(call: ApiCall) -> Json:
    """conversations.leave."""
    channel = _team_channel(call)
    call.workspace.must_be_open(channel)
    if call.actor not in channel.members:
        return {"not_in_channel": True}
    call.workspace.remove_member(channel, call.actor)
    return {}


def _invitation_error(call: ApiCall, channel: Channel, user_id: str) -> str | None:
    if user_id not in call.workspace.users:
        return "user_not_found"
    if user_id == call.actor:
        return "cant_invite_self"
    return "already_in_channel" if user_id in channel.members else None


def invite(call: ApiCall) -> Json:
    """conversations.invite: all of the users, or none unless `force`."""
    channel = _team_channel(call)
    call.workspace.must_be_open(channel)
    call.workspace.must_be_member(channel, call.actor)
    users = call.strings("users")
    if not users:
        raise FakeSlackError("no_user")
    errors = {user: _invitation_error(call, channel, user) for user in users}
    refused = {user: error for user, error in errors.items() if error}
    if refused and not (call.flag("force") and len(refused) < len(users)):
        rows = [{"user": u, "ok": False, "error": e} for u, e in refused.items()]
        raise FakeSlackError(next(iter(refused.values())), errors=rows)
    for user in users:
        if user not in refused:
            call.workspace.add_member(channel, user, call.actor)
    return _channel_response(call, channel)


def kick(call: ApiCall) -> Json:
    """conversations.kick."""
    channel = _team_channel(call)
    if not call.text("user"):
        raise FakeSlackError("user_not_found")
    user = call.workspace.user(call.text("user")).id
    if user == call.actor:
        raise FakeSlackError("cant_kick_self")
    if channel.is_general:
        raise FakeSlackError("cant_kick_from_general")
    call.workspace.must_be_member(channel, call.actor)
    call.workspace.remove_member(channel, user)
    return {"errors": {}}


def set_topic(call: ApiCall) -> Json:
    """conversations.setTopic."""
    channel = call.channel()
    value = call.text("topic")
    call.workspace.describe_channel(channel, call.actor, field_name="topic", value=value)
    return _channel_response(call, channel)


def set_purpose(call: ApiCall) -> Json:
    """conversations.setPurpose."""
    channel = call.channel()
    value = call.text("purpose")
    call.workspace.describe_channel(channel, call.actor, field_name="purpose", value=value)
    return _channel_response(call, channel) | {"purpose": value}


def rename(call: ApiCall) -> Json:
    """conversations.rename."""
    channel = _team_channel(call)
    call.workspace.rename_channel(channel, call.text("name"), call.actor)
    return _channel_response(call, channel)


def archive(call: ApiCall) -> Json:
    """conversations.archive."""
    call.workspace.archive(_team_channel(call), call.actor)
    return {}


def unarchive(call: ApiCall) -> Json:
    """conversations.unarchive: always refused: a bot is removed from a channel when it is archived."""
    if not _team_channel(call).is_archived:
        raise FakeSlackError("not_archived")
    raise FakeSlackError("not_in_channel")


def open_direct(call: ApiCall) -> Json:
    """conversations.open: resume a direct conversation, or start one with `users`."""
    if call.text("channel"):
        channel = call.channel()
    else:
        users = call.strings("users")
        if not users:
            raise FakeSlackError("users_list_not_supplied")
        if len(users) > 8:
            raise FakeSlackError("too_many_users")
        channel = call.workspace.open_direct(call.actor, *users)
    if call.flag("return_im"):
        return _channel_response(call, channel)
    return {"channel": {"id": channel.id}}


METHODS: Final[dict[str, Method]] = {
    "conversations.archive": archive,
    "conversations.create": create,
    "conversations.info": info,
    "conversations.invite": invite,
    "conversations.join": join,
    "conversations.kick": kick,
    "conversations.leave": leave,
    "conversations.list": list_all,
    "conversations.members": members,
    "conversations.open": open_direct,
    "conversations.rename": rename,
    "conversations.setPurpose": set_purpose,
    "conversations.setTopic": set_topic,
    "conversations.unarchive": unarchive,
    "users.conversations": of_user,
}
