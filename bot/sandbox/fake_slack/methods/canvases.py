"""canvases.*: documents in Markdown, stand-alone or of a channel."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Json

_OPERATIONS: Final = {
    "insert_at_start",
    "insert_at_end",
    "insert_before",
    "insert_after",
    "replace",
    "delete",
    "rename",
}


def _markdown(content: object, error: str) -> str:
    if content is None:
        return ""
    if not isinstance(content, dict) or content.get("type") != "markdown":
        raise FakeSlackError(error, ["[ERROR] document_content must be of type markdown"])
    return str(content.get("markdown", ""))


def _create_canvas(call: ApiCall) -> str:
    markdown = _markdown(call.json("document_content", "invalid_arguments"), "canvas_creation_failed")
    canvas_id = call.workspace.new_id("F")
    call.workspace.canvases[canvas_id] = {"title": call.text("title"), "markdown": markdown}
    return canvas_id


def create(call: ApiCall) -> Json:
    """canvases.create."""
    channel = call.channel("channel_id") if call.text("channel_id") else None
    canvas_id = _create_canvas(call)
    if channel is not None:
        channel.canvas = canvas_id
    return {"canvas_id": canvas_id}


def create_for_channel(call: ApiCall) -> Json:
    """conversations.canvases.create."""
    channel = call.channel("channel_id")
    if channel.canvas is not None:
        is_free = call.workspace.plan.is_free
        raise FakeSlackError(
            "free_team_canvas_tab_already_exists" if is_free else "channel_canvas_already_exists"
        )
    channel.canvas = _create_canvas(call)
    return {"canvas_id": channel.canvas}


def edit(call: ApiCall) -> Json:
    """canvases.edit: one change a call, as Slack allows."""
    canvas = call.workspace.canvases.get(call.text("canvas_id"))
    if canvas is None:
        raise FakeSlackError("canvas_not_found")
    changes = call.json("changes", "invalid_arguments")
    if not isinstance(changes, list) or len(changes) != 1 or not isinstance(changes[0], dict):
        raise FakeSlackError("invalid_arguments", ["[ERROR] exactly one change is allowed"])
    change = changes[0]
    operation = change.get("operation")
    if operation not in _OPERATIONS:
        raise FakeSlackError("invalid_arguments", [f"[ERROR] unknown operation: {operation}"])
    added = _markdown(change.get("document_content"), "canvas_editing_failed")
    if operation == "rename":
        canvas["title"] = _markdown(change.get("title_content"), "canvas_editing_failed")
    elif operation == "insert_at_start":
        canvas["markdown"] = added + canvas["markdown"]
    elif operation == "replace" and not change.get("section_id"):
        canvas["markdown"] = added
    elif operation == "insert_at_end":
        canvas["markdown"] += added
    elif change.get("section_id") is None:
        raise FakeSlackError("canvas_editing_failed", ["[ERROR] section_id is required"])
    return {}


METHODS: Final[dict[str, Method]] = {
    "canvases.create": create,
    "canvases.edit": edit,
    "conversations.canvases.create": create_for_channel,
}
