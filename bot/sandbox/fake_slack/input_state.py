"""The state of inputs as payloads carry it, and the errors that Slack's client shows before it submits.

Pure. A state maps block id → action id → `{"type", <the type's value key>}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bot.sandbox.fake_slack.model import Json

_KEYS: Final[dict[str, tuple[str, str]]] = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
_LISTS: Final = {kind for kind, (key, _) in _KEYS.items() if key.endswith("s")}


def value_key(kind: str) -> str | None:
    """Return the field that holds the value of an element of this type, if it has one."""
    keys = _KEYS.get(kind)
    return keys[0] if keys else None


def interactive_elements(blocks: Iterable[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield each interactive element with its block."""
    for block in blocks:
        parts = [block.get("accessory"), block.get("element")]
        if block.get("type") in {"actions", "context_actions"}:
            parts += block["elements"]
        elif block.get("type") == "container":
            yield from interactive_elements(block["child_blocks"])
        for part in parts:
            if isinstance(part, dict) and "action_id" in part:
                yield block, part


def initial_state(blocks: Iterable[Json]) -> Json:
    """Return the initial state of blocks."""
    state: Json = {}
    for block, element in interactive_elements(blocks):
        keys = _KEYS.get(element["type"])
        if keys is None:
            continue
        empty: object = [] if element["type"] in _LISTS else None
        value = element.get(keys[1], empty)
        entry = {"type": element["type"], keys[0]: value}
        state.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return state


def merged(state: Json, changes: Json) -> Json:
    """Return the state with changes applied; changes of unknown elements are dropped."""
    result = {block_id: dict(actions) for block_id, actions in state.items()}
    for block_id, actions in changes.items():
        for action_id, entry in actions.items():
            if action_id in result.get(block_id, {}):
                result[block_id][action_id] = entry
    return result


def input_errors(blocks: Iterable[Json], state: Json) -> dict[str, str]:
    """Return the errors that Slack's client shows before it submits, by block id."""
    errors: dict[str, str] = {}
    for block, element in interactive_elements(blocks):
        if block["type"] != "input":
            continue
        key = value_key(element["type"])
        entry = state.get(block["block_id"], {}).get(element["action_id"], {})
        value = entry.get(key) if key else None
        if value in (None, "", []):
            if not block.get("optional"):
                errors[block["block_id"]] = "Please complete this required field."
        elif error := _value_error(element, value):
            errors[block["block_id"]] = error
    return errors


def _value_error(element: Json, value: object) -> str | None:
    kind = element["type"]
    if kind == "plain_text_input":
        return _length_error(element, str(value))
    if kind == "number_input":
        return _number_error(element, str(value))
    if kind == "email_text_input" and "@" not in str(value):
        return "Enter an email address."
    if kind == "url_text_input" and "://" not in str(value):
        return "Enter a URL."
    return None


def _length_error(element: Json, value: str) -> str | None:
    if len(value) < element.get("min_length", 0):
        return f"Enter at least {element['min_length']} characters."
    if len(value) > element.get("max_length", 3000):
        return f"Enter at most {element.get('max_length', 3000)} characters."
    return None


def _number_error(element: Json, value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "Enter a number."
    if not element["is_decimal_allowed"] and number != int(number):
        return "Enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Enter {element['min_value']} or more."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Enter {element['max_value']} or less."
    return None
