"""views.*: modals and home tabs."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Json, View


def _content(call: ApiCall) -> Json:
    content = call.json("view", "invalid_arguments")
    if not isinstance(content, dict):
        raise FakeSlackError("invalid_arguments", ["[ERROR] must provide an object [json-pointer:/view]"])
    return content


def _trigger(call: ApiCall) -> str:
    trigger_id = call.text("trigger_id") or call.text("interactivity_pointer")
    if not trigger_id:
        raise FakeSlackError("invalid_arguments", ["[ERROR] missing required field: trigger_id"])
    return trigger_id


def _view_response(call: ApiCall, view: View) -> Json:
    return {"view": call.platform.views.as_json(view)}


def open_modal(call: ApiCall) -> Json:
    """views.open."""
    return _view_response(call, call.platform.views.open(_trigger(call), _content(call)))


def push(call: ApiCall) -> Json:
    """views.push."""
    return _view_response(call, call.platform.views.push(_trigger(call), _content(call)))


def update(call: ApiCall) -> Json:
    """views.update."""
    view_id, external_id = call.text("view_id"), call.text("external_id")
    if not view_id and not external_id:
        raise FakeSlackError("invalid_arguments", ["[ERROR] one of view_id, external_id is required"])
    view = call.platform.views.update(
        _content(call), view_id=view_id, external_id=external_id, view_hash=call.text("hash")
    )
    return _view_response(call, view)


def publish(call: ApiCall) -> Json:
    """views.publish."""
    home = call.platform.manifest.get("features", {}).get("app_home", {})
    if not home.get("home_tab_enabled"):
        raise FakeSlackError("not_enabled")
    if call.text("user_id") not in call.workspace.users:
        raise FakeSlackError("invalid_arguments", ["[ERROR] unknown user_id"])
    view = call.platform.views.publish(call.text("user_id"), _content(call), view_hash=call.text("hash"))
    return _view_response(call, view)


METHODS: Final[dict[str, Method]] = {
    "views.open": open_modal,
    "views.publish": publish,
    "views.push": push,
    "views.update": update,
}
