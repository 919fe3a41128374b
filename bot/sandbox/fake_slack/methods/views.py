"""views.*: modals and home tabs."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import Call, Method
from bot.sandbox.fake_slack.errors import SlackError
from bot.sandbox.fake_slack.model import Json, View


def _content(call: Call) -> Json:
    content = call.json("view", "invalid_arguments")
    if not isinstance(content, dict):
        raise SlackError("invalid_arguments", ["[ERROR] must provide an object [json-pointer:/view]"])
    return content


def _trigger(call: Call) -> str:
    trigger_id = call.text("trigger_id") or call.text("interactivity_pointer")
    if not trigger_id:
        raise SlackError("invalid_arguments", ["[ERROR] missing required field: trigger_id"])
    return trigger_id


def _answer(call: Call, view: View) -> Json:
    return {"view": call.platform.views.as_json(view)}


def open_modal(call: Call) -> Json:
    """views.open."""
    return _answer(call, call.platform.views.open(_trigger(call), _content(call)))


def push(call: Call) -> Json:
    """views.push."""
    return _answer(call, call.platform.views.push(_trigger(call), _content(call)))


def update(call: Call) -> Json:
    """views.update."""
    view_id, external_id = call.text("view_id"), call.text("external_id")
    if not view_id and not external_id:
        raise SlackError("invalid_arguments", ["[ERROR] one of view_id, external_id is required"])
    view = call.platform.views.update(
        _content(call), view_id=view_id, external_id=external_id, view_hash=call.text("hash")
    )
    return _answer(call, view)


def publish(call: Call) -> Json:
    """views.publish."""
    home = call.platform.manifest.get("features", {}).get("app_home", {})
    if not home.get("home_tab_enabled"):
        raise SlackError("not_enabled")
    if call.text("user_id") not in call.workspace.users:
        raise SlackError("invalid_arguments", ["[ERROR] unknown user_id"])
    view = call.platform.views.publish(call.text("user_id"), _content(call), view_hash=call.text("hash"))
    return _answer(call, view)


METHODS: Final[dict[str, Method]] = {
    "views.open": open_modal,
    "views.publish": publish,
    "views.push": push,
    "views.update": update,
}
