"""Work Objects: the shape of the entities that `chat.unfurl` and `entity.presentDetails` take.

From https://docs.slack.dev/messaging/work-objects-implementation and the types of Slack's SDK for Node; never
compared with a real workspace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.sandbox.fake_slack.block_kit.rules import (
    Rule,
    anything,
    boolean,
    fault,
    integer,
    items,
    one_of,
    shape,
    string,
)
from bot.sandbox.fake_slack.model import Json

INCIDENT: Final = "slack#/entities/incident"

_TYPES: Final = one_of(
    INCIDENT,
    "slack#/entities/file",
    "slack#/entities/task",
    "slack#/entities/content_item",
    "slack#/entities/item",
)
_text: Final = string(shortest=1)
_ICON: Final = shape(
    {"alt_text": _text}, {"url": _text, "slack_file": anything}, any_of=("url", "slack_file")
)


def _no_icon_with_color(value: object, pointer: str) -> Iterator[str]:
    if isinstance(value, dict) and value.get("icon") and value.get("tag_color"):
        yield fault("tag_color cannot be used with icon", f"{pointer}/tag_color")


_SHOWN: Final[dict[str, Rule]] = {
    "label": _text,
    "link": _text,
    "icon": _ICON,
    "long": boolean,
    "format": one_of("markdown"),
    "tag_color": one_of("red", "yellow", "green", "gray", "blue"),
    "edit": anything,
}
_USER: Final = shape(
    {},
    {"user_id": _text, "text": _text, "url": _text, "email": _text, "icon": _ICON},
    any_of=("user_id", "text"),
)
_STRING: Final = shape({"value": _text}, {"type": one_of("string"), **_SHOWN}, also=_no_icon_with_color)
_TIME: Final = shape({"value": integer(least=0)}, {"type": one_of("slack#/types/timestamp"), **_SHOWN})
_PERSON: Final = shape({"type": one_of("slack#/types/user"), "user": _USER}, _SHOWN)
_INCIDENT_FIELDS: Final = shape(
    {},
    {
        **dict.fromkeys(("status", "priority", "urgency", "description", "service"), _STRING),
        **dict.fromkeys(("created_by", "assigned_to"), _PERSON),
        **dict.fromkeys(("date_created", "date_updated"), _TIME),
    },
)
_CUSTOM_VALUES: Final[dict[str, Rule]] = {
    "string": _text,
    "integer": integer(least=-(10**15)),
    "boolean": boolean,
    "array": items(anything, least=0),
    "slack#/types/user": anything,
    "slack#/types/channel_id": _text,
    "slack#/types/timestamp": integer(least=0),
    "slack#/types/date": _text,
    "slack#/types/image": anything,
    "slack#/types/link": _text,
    "slack#/types/email": _text,
    "slack#/types/entity_ref": anything,
}


def _custom_value(value: object, pointer: str) -> Iterator[str]:
    """Check a custom field's value by its type."""
    if not isinstance(value, dict):
        return
    rule = _CUSTOM_VALUES.get(str(value.get("type")))
    if rule is not None and "value" in value:
        yield from rule(value["value"], f"{pointer}/value")
    elif value.get("type") in {"string", "integer", "slack#/types/timestamp", "slack#/types/channel_id"}:
        yield fault("missing required field: value", pointer)


_CUSTOM: Final = shape(
    {"key": _text, "label": _text, "type": one_of(*_CUSTOM_VALUES)},
    {
        **{key: rule for key, rule in _SHOWN.items() if key != "label"},
        **dict.fromkeys(("value", "image_url", "slack_file", "alt_text", "item_type"), anything),
        "user": _USER,
    },
    also=_custom_value,
)
_ATTRIBUTES: Final = shape(
    {"title": shape({"text": _text}, {"edit": anything})},
    {
        "display_type": _text,
        "display_id": _text,
        "product_icon": _ICON,
        "product_name": _text,
        "locale": _text,
        "full_size_preview": anything,
        "metadata_last_modified": integer(least=0),
    },
)


def _known_order(value: object, pointer: str) -> Iterator[str]:
    """Check that the order names fields that there are."""
    if not isinstance(value, dict):
        return
    fields, custom = value.get("fields"), value.get("custom_fields")
    known = {*(fields if isinstance(fields, dict) else ())}
    known |= (
        {field.get("key") for field in custom if isinstance(field, dict)}
        if isinstance(custom, list)
        else set()
    )
    order = value.get("display_order")
    for index, name in enumerate(order if isinstance(order, list) else ()):
        if name not in known:
            yield fault(f"no such field: {name}", f"{pointer}/display_order/{index}")


def _payload(fields: Rule) -> Rule:
    return shape(
        {"attributes": _ATTRIBUTES},
        {
            "fields": fields,
            "custom_fields": items(_CUSTOM, least=0),
            "display_order": items(_text, least=0),
            "slack_file": anything,
            "actions": anything,
        },
        also=_known_order,
    )


def _entity(value: object, pointer: str) -> Iterator[str]:
    is_incident = isinstance(value, dict) and value.get("entity_type") == INCIDENT
    yield from shape(
        {
            "entity_type": _TYPES,
            "url": _text,
            "external_ref": shape({"id": _text}, {"type": _text}),
            "entity_payload": _payload(_INCIDENT_FIELDS if is_incident else anything),
        },
        {"app_unfurl_url": _text, "entity_comments": anything},
    )(value, pointer)


def entity_faults(entity: object, pointer: str = "/metadata") -> list[str]:
    """Return the faults of one entity."""
    return list(_entity(entity, pointer))


def unfurl_faults(metadata: object) -> list[str]:
    """Return the faults of the metadata of `chat.unfurl`: each entity names the link that it is shown for."""
    faults = list(shape({"entities": items(_entity)})(metadata, "/metadata"))
    entities = metadata.get("entities") if isinstance(metadata, dict) else None
    for index, entity in enumerate(entities if isinstance(entities, list) else ()):
        if isinstance(entity, dict) and not entity.get("app_unfurl_url"):
            faults.append(fault("missing required field: app_unfurl_url", f"/metadata/entities/{index}"))
    return faults


def details_view(entity: Json | None) -> Json:
    """Return what the pane beside the conversation shows of an entity, as a dialog of the sandbox."""
    if entity is None:
        text = {"type": "mrkdwn", "text": "It was not found, or you may not see it."}
        return _view("Not found", [{"type": "section", "text": text}])
    payload = entity["entity_payload"]
    attributes = payload["attributes"]
    fields = {
        **payload.get("fields", {}),
        **{field["key"]: field for field in payload.get("custom_fields", ())},
    }
    order = payload.get("display_order") or list(fields)
    lines = [f"*{_label(key, fields[key])}*\n{_value(fields[key])}" for key in order]
    title = {"type": "plain_text", "text": attributes["title"]["text"][:150]}
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": line[:3000]}} for line in lines]
    name = " ".join(filter(None, [attributes.get("product_name"), attributes.get("display_id")]))
    return _view(name or "Details", [{"type": "header", "text": title}, *sections])


def _view(title: str, blocks: list[Json]) -> Json:
    return {"type": "modal", "title": {"type": "plain_text", "text": title[:24]}, "blocks": blocks}


def _label(key: str, field: Json) -> str:
    return str(field.get("label") or key.replace("_", " ").capitalize())


def _value(field: Json) -> str:
    """Return a field's value as mrkdwn."""
    user = field.get("user")
    if user:
        return f"<@{user['user_id']}>" if user.get("user_id") else _escaped(user["text"])
    value = field.get("value")
    if field.get("type") == "slack#/types/channel_id":
        return f"<#{value}>"
    if isinstance(value, int) and not isinstance(value, bool) and field.get("type") != "integer":
        return f"<!date^{value}^{{date_short_pretty}} {{time}}|{value}>"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
