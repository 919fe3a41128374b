"""What Slack refuses in blocks and views, before anybody sees them.

The tables name each block's fields and limits; `message_faults` and
`view_faults` add the rules that look across blocks: how many there may be, how
much they may say together, and which identifiers must be unique. Pure: no state,
no I/O. See https://docs.slack.dev/reference/block-kit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bot.sandbox.elements import ELEMENTS, IMAGE, plain, text
from bot.sandbox.facts import LIMITS
from bot.sandbox.rich_text import RICH_TEXT
from bot.sandbox.rules import (
    Rule,
    anything,
    boolean,
    by_type,
    fault,
    items,
    number,
    one_of,
    shape,
    string,
    whole,
)


def _elements(*kinds: str) -> Rule:
    return by_type({kind: ELEMENTS[kind] for kind in kinds}, noun="element")


_SINGLE_MENUS: Final = tuple(
    f"{source}_select" for source in ("static", "external", "users", "conversations", "channels")
)
_MULTI_MENUS: Final = tuple(f"multi_{menu}" for menu in _SINGLE_MENUS)
_CHOICES: Final = ("checkboxes", "radio_buttons")
_PICKERS: Final = ("datepicker", "timepicker", "datetimepicker")
_TYPED: Final = (
    "plain_text_input",
    "number_input",
    "email_text_input",
    "url_text_input",
    "rich_text_input",
    "file_input",
)

IN_ACTIONS: Final = (
    "button",
    "workflow_button",
    "overflow",
    *_CHOICES,
    *_PICKERS,
    *_SINGLE_MENUS,
    "rich_text_input",
)
IN_SECTION: Final = (
    "button",
    "workflow_button",
    "overflow",
    "image",
    *_CHOICES,
    "datepicker",
    "timepicker",
    *_SINGLE_MENUS,
    *_MULTI_MENUS,
)
IN_INPUT: Final = (*_TYPED, *_CHOICES, *_PICKERS, *_SINGLE_MENUS, *_MULTI_MENUS)


def _block(
    kind: str,
    required: Mapping[str, Rule] | None = None,
    optional: Mapping[str, Rule] | None = None,
    *,
    any_of: tuple[str, ...] = (),
    also: Rule = anything,
) -> Rule:
    return shape(
        {"type": one_of(kind), **(required or {})},
        {
            "block_id": string(longest=LIMITS["identifiers"]["block_id"], shortest=1),
            **(optional or {}),
        },
        any_of=any_of,
        also=also,
    )


def _same_width(value: object, pointer: str) -> Iterator[str]:
    rows = value.get("rows") if isinstance(value, dict) else None
    if isinstance(rows, list):
        widths = {len(row) for row in rows if isinstance(row, list)}
        if len(widths) > 1:
            yield fault("all rows must have the same number of cells", f"{pointer}/rows")


_CELL: Final = by_type(
    {
        "raw_text": shape({"type": one_of("raw_text"), "text": string(shortest=1)}),
        "raw_number": shape({"type": one_of("raw_number"), "value": number()}, {"text": string(shortest=1)}),
        "rich_text": RICH_TEXT,
    }
)
_COLUMN: Final = shape({}, {"align": one_of("left", "center", "right"), "is_wrapped": boolean})


def _table_characters(value: object, pointer: str) -> Iterator[str]:
    yield from _same_width(value, pointer)
    limit = LIMITS["data_table"]["content"]
    if isinstance(value, dict) and sum(map(len, visible_texts(value.get("rows")))) > limit:
        yield fault(f"must be less than {limit + 1} characters", f"{pointer}/rows")


def _points_match_categories(value: object, pointer: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    axis = value.get("axis_config")
    categories = axis.get("categories") if isinstance(axis, dict) else None
    series = value.get("series")
    if not isinstance(categories, list) or not isinstance(series, list):
        return
    for index, row in enumerate(series):
        points = row.get("data") if isinstance(row, dict) else None
        for number_, point in enumerate(points if isinstance(points, list) else ()):
            label = point.get("label") if isinstance(point, dict) else None
            if label not in categories:
                yield fault(
                    f"label is not in axis_config.categories: {label}",
                    f"{pointer}/series/{index}/data/{number_}/label",
                )


def _chart() -> Rule:
    limits = LIMITS["data_visualization"]
    label = string(longest=limits["label"], shortest=1)
    segment = shape({"label": label, "value": number(above=0)})
    series = shape(
        {
            "name": string(longest=limits["series_name"], shortest=1),
            "data": items(shape({"label": label, "value": number()}), most=limits["data"]),
        }
    )
    axis = shape(
        {"categories": items(label, most=limits["categories"])},
        {
            "x_label": string(longest=limits["axis_label"]),
            "y_label": string(longest=limits["axis_label"]),
        },
    )
    plotted = {
        kind: shape(
            {
                "type": one_of(kind),
                "series": items(series, most=limits["series"]),
                "axis_config": axis,
            },
            also=_points_match_categories,
        )
        for kind in ("line", "bar", "area")
    }
    pie = shape({"type": one_of("pie"), "segments": items(segment, most=limits["segments"])})
    return by_type({**plotted, "pie": pie}, noun="chart type")


_CARD: Final = _block(
    "card",
    None,
    {
        "title": text(LIMITS["card"]["title"]),
        "subtitle": text(LIMITS["card"]["subtitle"]),
        "body": text(LIMITS["card"]["body"]),
        "subtext": text(LIMITS["card"]["subtext"]),
        "icon": IMAGE,
        "hero_image": IMAGE,
        "actions": items(_elements("button"), most=LIMITS["card"]["actions"]),
    },
    any_of=("title", "body", "hero_image", "actions"),
)

_PLAIN_BLOCKS: Final[dict[str, Rule]] = {
    "actions": _block(
        "actions",
        {"elements": items(_elements(*IN_ACTIONS), most=LIMITS["actions"]["elements"])},
    ),
    "context": _block(
        "context",
        {
            "elements": items(
                by_type({"image": IMAGE, "mrkdwn": text(), "plain_text": text()}),
                most=LIMITS["context"]["elements"],
            )
        },
    ),
    "context_actions": _block(
        "context_actions",
        {
            "elements": items(
                _elements("feedback_buttons", "icon_button"),
                most=LIMITS["context_actions"]["elements"],
            )
        },
    ),
    "data_table": _block(
        "data_table",
        {
            "caption": string(shortest=1),
            "rows": items(
                items(_CELL, most=LIMITS["data_table"]["columns"]),
                least=LIMITS["data_table"]["rows_min"],
                most=LIMITS["data_table"]["rows"],
            ),
        },
        {
            "page_size": whole(least=1, most=LIMITS["data_table"]["page_size"]),
            "row_header_column_index": whole(least=0),
        },
        also=_table_characters,
    ),
    "data_visualization": _block(
        "data_visualization",
        {
            "title": string(longest=LIMITS["data_visualization"]["title"], shortest=1),
            "chart": _chart(),
        },
    ),
    "divider": _block("divider"),
    "file": _block("file", {"external_id": string(), "source": one_of("remote")}),
    "header": _block("header", {"text": plain(LIMITS["header"]["text"])}),
    "image": _block(
        "image",
        {"alt_text": string(longest=LIMITS["image"]["alt_text"], shortest=1)},
        {
            "image_url": string(longest=LIMITS["image"]["image_url"], shortest=1),
            "slack_file": anything,
            "title": plain(LIMITS["image"]["title"]),
        },
        any_of=("image_url", "slack_file"),
    ),
    "input": _block(
        "input",
        {"label": plain(LIMITS["input"]["label"]), "element": _elements(*IN_INPUT)},
        {
            "hint": plain(LIMITS["input"]["hint"]),
            "optional": boolean,
            "dispatch_action": boolean,
        },
    ),
    "markdown": _block("markdown", {"text": string(longest=LIMITS["markdown"]["text"], shortest=1)}),
    "rich_text": RICH_TEXT,
    "section": _block(
        "section",
        None,
        {
            "text": text(LIMITS["section"]["text"]),
            "fields": items(text(LIMITS["section"]["field"]), most=LIMITS["section"]["fields"]),
            "accessory": _elements(*IN_SECTION),
            "expand": boolean,
        },
        any_of=("text", "fields"),
    ),
    "table": _block(
        "table",
        {"rows": items(items(_CELL, most=LIMITS["table"]["columns"]), most=LIMITS["table"]["rows"])},
        {"column_settings": items(_COLUMN, most=LIMITS["table"]["column_settings"])},
        also=_same_width,
    ),
    "video": _block(
        "video",
        {
            "alt_text": string(longest=LIMITS["video"]["alt_text"], shortest=1),
            "title": plain(LIMITS["video"]["title"]),
            "thumbnail_url": string(longest=LIMITS["video"]["url"]),
            "video_url": string(longest=LIMITS["video"]["url"]),
        },
        {
            "author_name": string(longest=LIMITS["video"]["author_name"]),
            "description": plain(LIMITS["video"]["description"]),
            "provider_icon_url": string(),
            "provider_name": string(longest=LIMITS["video"]["provider_name"]),
            "title_url": string(longest=LIMITS["video"]["url"]),
        },
    ),
    "card": _CARD,
    "carousel": _block(
        "carousel",
        {"elements": items(by_type({"card": _CARD}), most=LIMITS["carousel"]["elements"])},
    ),
    "alert": _block(
        "alert",
        {"text": text(LIMITS["alert"]["text"])},
        {"level": one_of("default", "info", "warning", "error", "success")},
    ),
}

_CONTAINER: Final = _block(
    "container",
    {"child_blocks": items(by_type(_PLAIN_BLOCKS, noun="block"), most=LIMITS["container"]["child_blocks"])},
    {
        "title": plain(LIMITS["container"]["title"]),
        "subtitle": text(LIMITS["container"]["subtitle"]),
        "icon": IMAGE,
        "width": one_of("narrow", "standard", "wide", "full"),
        "is_collapsible": boolean,
        "default_collapsed": boolean,
    },
)

BLOCKS: Final[Mapping[str, Rule]] = {**_PLAIN_BLOCKS, "container": _CONTAINER}
"""Every block by its `type`."""

_NOT_IN_MESSAGES: Final = {"alert"}
_NOT_IN_MODALS: Final = {"file", "card", "carousel", "context_actions", "data_table"}
_NOT_IN_HOMES: Final = {"file", "alert", "card", "carousel", "context_actions", "data_table"}
_HIDDEN_KEYS: Final = {
    "type",
    "block_id",
    "action_id",
    "value",
    "url",
    "image_url",
    "style",
    "align",
}


def visible_texts(value: object) -> Iterator[str]:
    """Every text in `value` that a reader sees, for the limits on their sum."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from visible_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _HIDDEN_KEYS:
                yield from visible_texts(item)


def _repeated_ids(blocks: Sequence[object], pointer: str) -> Iterator[str]:
    seen: set[object] = set()
    for index, block in enumerate(blocks):
        if not isinstance(block, dict):
            continue
        block_id = block.get("block_id")
        if block_id is not None:
            if block_id in seen:
                yield fault(f"block_id already exists: {block_id}", f"{pointer}/{index}/block_id")
            seen.add(block_id)
        actions: set[object] = set()
        elements = block.get("elements")
        for number_, element in enumerate(elements if isinstance(elements, list) else ()):
            action_id = element.get("action_id") if isinstance(element, dict) else None
            if action_id is not None and action_id in actions:
                yield fault(
                    f"action_id already exists: {action_id}",
                    f"{pointer}/{index}/elements/{number_}/action_id",
                )
            actions.add(action_id)


def _block_faults(
    blocks: object, pointer: str, *, most: int, unsupported: set[str], least: int = 0
) -> Iterator[str]:
    allowed = {kind: rule for kind, rule in BLOCKS.items() if kind not in unsupported}
    yield from items(by_type(allowed), most=most, least=least)(blocks, pointer)
    if isinstance(blocks, list):
        yield from _repeated_ids(blocks, pointer)


def _count(blocks: object, *kinds: str) -> int:
    found = blocks if isinstance(blocks, list) else []
    return sum(1 for block in found if isinstance(block, dict) and block.get("type") in kinds)


def message_faults(blocks: object) -> list[str]:
    """What is wrong with a message's blocks, worded with JSON pointers; empty if nothing."""
    limits = LIMITS["message"]
    faults = list(_block_faults(blocks, "/blocks", most=limits["blocks"], unsupported=_NOT_IN_MESSAGES))
    if _count(blocks, "data_visualization") > limits["charts"]:
        faults.append(fault(f"no more than {limits['charts']} charts allowed", "/blocks"))
    markdown = [b.get("text") for b in _dicts(blocks) if b.get("type") == "markdown"]
    if sum(len(t) for t in markdown if isinstance(t, str)) > LIMITS["markdown"]["text"]:
        limit = LIMITS["markdown"]["text"]
        faults.append(fault(f"markdown must be less than {limit + 1} characters", "/blocks"))
    return faults


def has_too_many_tables(blocks: object) -> bool:
    """Whether a message holds more than its one table, which Slack words differently."""
    return _count(blocks, "table", "data_table") > LIMITS["message"]["tables"]


def is_too_long(blocks: object) -> bool:
    """Whether a message's blocks say more together than Slack takes."""
    return sum(map(len, visible_texts(blocks))) > LIMITS["message"]["block_characters"]


def _dicts(blocks: object) -> list[dict[str, object]]:
    return [b for b in blocks if isinstance(b, dict)] if isinstance(blocks, list) else []


def _view_shape(kind: str, required: Mapping[str, Rule]) -> Rule:
    limits = LIMITS["view"]
    return shape(
        {"type": one_of(kind), "blocks": anything, **required},
        {
            "title": plain(limits["title"]),
            "submit": plain(limits["submit"]),
            "close": plain(limits["close"]),
            "private_metadata": string(longest=limits["private_metadata"]),
            "callback_id": string(longest=limits["callback_id"]),
            "external_id": string(longest=limits["external_id"]),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
    )


_VIEWS: Final = {
    "modal": _view_shape("modal", {"title": plain(LIMITS["view"]["title"])}),
    "home": _view_shape("home", {}),
}


def view_faults(view: object, *kinds: str) -> list[str]:
    """What is wrong with a view of one of `kinds` ("modal", "home"); empty if nothing."""
    faults = list(by_type({kind: _VIEWS[kind] for kind in kinds})(view, "/view"))
    if not isinstance(view, dict) or "blocks" not in view:
        return faults
    unsupported = _NOT_IN_HOMES if view.get("type") == "home" else _NOT_IN_MODALS
    most = LIMITS["view"]["blocks"]
    faults += _block_faults(view["blocks"], "/view/blocks", most=most, unsupported=unsupported, least=1)
    needs_submit = _count(view["blocks"], "input") > 0 and view.get("type") == "modal"
    if needs_submit and not view.get("submit"):
        faults.append(fault("missing required field: submit", "/view"))
    return faults
