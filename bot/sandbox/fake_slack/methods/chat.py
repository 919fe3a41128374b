"""chat.*: send, change, delete and schedule messages; and blocks.validate."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.block_kit.validation import message_faults, view_faults
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import THREAD_BROADCAST, Channel, Json, Message
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID

_MAX_SCHEDULE_AHEAD_S: Final = 120 * 24 * 3600


def _compose(call: ApiCall, *, max_length: int) -> Message:
    markdown = call.text("markdown_text")
    text = call.text("text")
    if markdown and (text or call.args.get("blocks")):
        raise FakeSlackError("markdown_text_conflict")
    blocks = call.blocks()
    if markdown:
        blocks = [{"type": "markdown", "text": markdown}]
    if not text and not blocks:
        raise FakeSlackError("no_text")
    if len(text) > max_length:
        raise FakeSlackError("msg_too_long")
    _check_customize_scope(call)
    return Message(
        ts="",
        user=call.actor,
        text=text,
        blocks=blocks,
        bot_id=BOT_ID,
        app_id=APP_ID,
        metadata=call.metadata(),
        thread_ts=call.text("thread_ts") or None,
        subtype=THREAD_BROADCAST if call.text("thread_ts") and call.flag("reply_broadcast") else None,
        username=call.text("username") or None,
        icon_emoji=call.text("icon_emoji") or None,
    )


def _check_customize_scope(call: ApiCall) -> None:
    is_customized = any(call.text(name) for name in ("username", "icon_emoji", "icon_url"))
    if is_customized and "chat:write.customize" not in call.platform.scopes:
        provided = ",".join(call.platform.scopes)
        raise FakeSlackError("missing_scope", needed="chat:write.customize", provided=provided)


def _destination(call: ApiCall) -> Channel:
    """Return the channel to post to: by id or name, or the direct channel of a user."""
    destination = call.text("channel")
    if destination in call.workspace.users:
        return call.workspace.open_direct(call.actor, destination)
    channel = call.channel(by_name=True)
    may_post_anywhere = "chat:write.public" in call.platform.scopes and channel.kind == "public"
    if not may_post_anywhere:
        call.workspace.must_be_member(channel, call.actor)
    return channel


def post_message(call: ApiCall) -> Json:
    """chat.postMessage."""
    channel = _destination(call)
    call.workspace.must_be_open(channel)
    message = _compose(call, max_length=LIMITS["message"]["text"])
    message.ts = call.workspace.new_ts()
    call.workspace.post(channel, message)
    return {"channel": channel.id, "ts": message.ts, "message": message.as_json()}


def post_ephemeral(call: ApiCall) -> Json:
    """chat.postEphemeral."""
    channel = _destination(call)
    call.workspace.must_be_open(channel)
    if call.text("user") not in channel.members:
        raise FakeSlackError("user_not_in_channel")
    message = _compose(call, max_length=LIMITS["message"]["text"])
    message.ts = call.workspace.new_ts()
    message.ephemeral_to = call.text("user")
    call.workspace.post(channel, message)
    return {"message_ts": message.ts}


def update(call: ApiCall) -> Json:
    """chat.update."""
    channel = call.channel()
    message = call.workspace.message(channel, call.text("ts"))
    if message.user != call.actor:
        raise FakeSlackError("cant_update_message")
    new = _compose(call, max_length=LIMITS["message"]["update_text"])
    changes: Json = {"text": new.text, "blocks": new.blocks}
    if new.metadata is not None:
        changes["metadata"] = new.metadata
    call.workspace.edit(channel, message, changes)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": message.as_json(),
    }


def delete(call: ApiCall) -> Json:
    """chat.delete."""
    channel = call.channel()
    message = call.workspace.message(channel, call.text("ts"))
    if message.user != call.actor:
        raise FakeSlackError("cant_delete_message")
    call.workspace.delete(channel, message)
    return {"channel": channel.id, "ts": message.ts}


def permalink(call: ApiCall) -> Json:
    """chat.getPermalink."""
    channel = call.channel()
    message = call.workspace.message(channel, call.text("message_ts"))
    link = f"{call.platform.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def schedule(call: ApiCall) -> Json:
    """chat.scheduleMessage."""
    channel = _destination(call)
    call.workspace.must_be_open(channel)
    at = call.integer("post_at", 0, error="invalid_time")
    now = call.workspace.now().timestamp()
    if at <= now:
        raise FakeSlackError("time_in_past")
    if at > now + _MAX_SCHEDULE_AHEAD_S:
        raise FakeSlackError("time_too_far")
    message = _compose(call, max_length=LIMITS["message"]["text"])
    scheduled_id = call.workspace.new_id("Q")
    call.platform.scheduled[scheduled_id] = (at, channel.id, message)
    return {
        "channel": channel.id,
        "scheduled_message_id": scheduled_id,
        "post_at": at,
        "message": {"text": message.text, "type": "delayed_message"},
    }


def unschedule(call: ApiCall) -> Json:
    """chat.deleteScheduledMessage."""
    channel = call.channel()
    scheduled_id = call.text("scheduled_message_id")
    if call.platform.scheduled.get(scheduled_id, (0, ""))[1] != channel.id:
        raise FakeSlackError("invalid_scheduled_message_id")
    del call.platform.scheduled[scheduled_id]
    return {}


def scheduled_list(call: ApiCall) -> Json:
    """chat.scheduledMessages.list."""
    only_channel = call.text("channel")
    rows = [
        {"id": key, "channel_id": channel, "post_at": at, "text": message.text}
        for key, (at, channel, message) in sorted(call.platform.scheduled.items())
        if only_channel in {"", channel}
    ]
    page = call.page(rows)
    return {"scheduled_messages": page.items, **page.metadata()}


def validate_blocks(call: ApiCall) -> Json:
    """blocks.validate: exactly one of blocks, a message without its text, and a view."""
    given = [name for name in ("blocks", "message", "view") if call.args.get(name)]
    if len(given) != 1:
        text = "must provide exactly one of `blocks`, `view`, or `message`"
        raise FakeSlackError("invalid_arguments", [text])
    kind = given[0]
    content = call.json(kind, f"invalid_{kind}")
    if kind == "view":
        faults = view_faults(content, "modal", "home")
    elif kind == "message" and not isinstance(content, dict):
        faults = ["[ERROR] must be an object [json-pointer:/message]"]
    else:
        blocks = content if kind == "blocks" else content.get("blocks")
        faults = message_faults(blocks, missing=call.workspace.plan.missing_blocks)
        if kind == "message":
            faults += [
                f"[ERROR] no more fields allowed: {name} [json-pointer:/message]"
                for name in content.keys() - {"blocks", "attachments"}
            ]
    if faults:
        raise FakeSlackError(f"invalid_{kind}", errors=[_validation_error(fault, kind) for fault in faults])
    return {}


def _validation_error(fault: str, kind: str) -> Json:
    """Return a fault as blocks.validate does: its pointer begins at what was given."""
    message, _, pointer = fault.removeprefix("[ERROR] ").rstrip("]").partition(" [json-pointer:")
    return {
        "code": "failed_constraint",
        "message": message,
        "pointer": pointer.removeprefix("/blocks" if kind == "blocks" else f"/{kind}"),
    }


METHODS: Final[dict[str, Method]] = {
    "blocks.validate": validate_blocks,
    "chat.delete": delete,
    "chat.deleteScheduledMessage": unschedule,
    "chat.getPermalink": permalink,
    "chat.postEphemeral": post_ephemeral,
    "chat.postMessage": post_message,
    "chat.scheduleMessage": schedule,
    "chat.scheduledMessages.list": scheduled_list,
    "chat.update": update,
}
