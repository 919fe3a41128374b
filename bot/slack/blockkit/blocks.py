"""Block Kit blocks, built so that Slack refuses none: each text is escaped and cut to its limit.

Pure; the limits are those of https://docs.slack.dev/reference/block-kit.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack.blockkit.mrkdwn import cut, size
from bot.store.outbox import Block

MOST_BLOCKS = 50
MOST_CHARACTERS = 12_000
MOST_POINTS = 20
TEXT = 3_000
HEADER = 150
FIELD = 2_000
FIELDS = 10
BUTTON = 75
BUTTON_VALUE = 2_000
CONTEXT_ELEMENTS = 10
OPTION, OPTION_VALUE, PLACEHOLDER, MOST_OPTIONS = 75, 150, 150, 100
"""The lengths of texts of a menu; how many options it may have, or a group of them, and how many groups."""
CHART_TITLE, CHART_LABEL, AXIS_LABEL = 50, 20, 50
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30

_NOTHING = "–"
_HIDDEN_KEYS = frozenset({"type", "block_id", "action_id", "value", "url", "style"})


def _non_empty(text: str, limit: int) -> str:
    shortened = cut(text, limit)
    return str(shortened) if shortened.strip() else _NOTHING


def _mrkdwn(text: str, limit: int = TEXT) -> Block:
    # Verbatim: Slack must not look for links or mentions of its own in what people wrote.
    return {"type": "mrkdwn", "text": _non_empty(text, limit), "verbatim": True}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": _non_empty(text, limit), "emoji": True}


def header(text: str) -> Block:
    """Return one large line."""
    return {"type": "header", "text": _plain(text, HEADER)}


def section(text: str, *, accessory: Block | None = None) -> Block:
    """Return one paragraph, perhaps with a button beside it."""
    block = {"type": "section", "text": _mrkdwn(text)}
    return block if accessory is None else block | {"accessory": accessory}


def fields(texts: Sequence[str]) -> Block:
    """Return short facts side by side; those beyond ten are left out."""
    return {"type": "section", "fields": [_mrkdwn(text, FIELD) for text in texts[:FIELDS] or [_NOTHING]]}


def context(*texts: str) -> Block:
    """Return small print."""
    return {"type": "context", "elements": [_mrkdwn(t) for t in texts[:CONTEXT_ELEMENTS] or [_NOTHING]]}


def divider() -> Block:
    """Return a divider."""
    return {"type": "divider"}


def button(
    text: str, action_id: str, value: str = "", *, style: str | None = None, confirm: Block | None = None
) -> Block:
    """Return a button. `value` comes back when it is pressed; raises ValueError if Slack would refuse it."""
    if size(value) > BUTTON_VALUE:
        raise ValueError("a button's value is too long for Slack")
    block: Block = {"type": "button", "text": _plain(text, BUTTON), "action_id": action_id}
    optional = {"value": value or None, "style": style, "confirm": confirm}
    return block | {key: part for key, part in optional.items() if part is not None}


def select_menu(placeholder: str, action_id: str, choices: Sequence[tuple[str, str]]) -> Block:
    """Return a menu of values and their texts, in groups where Slack takes no list as long; at least one."""
    options = [{"text": _plain(text, OPTION), "value": value} for value, text in choices[: MOST_OPTIONS**2]]
    menu: Block = {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": _plain(placeholder, PLACEHOLDER),
    }
    if len(options) <= MOST_OPTIONS:
        return menu | {"options": options}
    groups = [options[start : start + MOST_OPTIONS] for start in range(0, len(options), MOST_OPTIONS)]
    return menu | {"option_groups": [_group(group) for group in groups]}


def tick_box(action_id: str, text: str, value: str, *, is_ticked: bool) -> Block:
    """Return a single checkbox. Its state comes with every press: an option that is chosen, or none."""
    option = {"text": _plain(text, OPTION), "value": value}
    box: Block = {"type": "checkboxes", "action_id": action_id, "options": [option]}
    return box | ({"initial_options": [option]} if is_ticked else {})


def _group(options: Sequence[Block]) -> Block:
    """Return a group of a menu, named after its first and last option."""
    first, last = (str(option["text"]["text"])[:30] for option in (options[0], options[-1]))
    return {"label": _plain(f"{first} – {last}", OPTION), "options": list(options)}


def confirmation(title: str, text: str, yes: str, no: str = "Cancel") -> Block:
    """Return the dialog that asks for confirmation before a button acts."""
    return {
        "title": _plain(title, CONFIRM_TITLE),
        "text": _plain(text, CONFIRM_TEXT),
        "confirm": _plain(yes, CONFIRM_BUTTON),
        "deny": _plain(no, CONFIRM_BUTTON),
    }


def actions(*buttons: Block) -> list[Block]:
    """Return a row of buttons; no row without buttons."""
    return [{"type": "actions", "elements": list(buttons[:25])}] if buttons else []


def line_chart(
    title: str, series: str, points: Sequence[tuple[str, float]], *, x_label: str, y_label: str
) -> list[Block]:
    """Return a line chart of the last 20 points; nothing if no point is finite."""
    finite = [(label, value) for label, value in points if math.isfinite(value)][-MOST_POINTS:]
    labels, values = [label for label, _ in finite], [value for _, value in finite]
    return lines_chart(title, labels, {series: values}, x_label=x_label, y_label=y_label)


def lines_chart(
    title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], *, x_label: str, y_label: str
) -> list[Block]:
    """Return a chart of several lines, at most six, each with a finite value for every one of 20 labels."""
    if not labels:
        return []
    labels = _distinct(labels)
    chart = {
        "type": "line",
        "series": [
            {
                "name": _non_empty(name, CHART_LABEL),
                "data": [
                    {"label": label, "value": value} for label, value in zip(labels, values, strict=True)
                ],
            }
            for name, values in series.items()
        ],
        "axis_config": {
            "categories": labels,
            "x_label": _non_empty(x_label, AXIS_LABEL),
            "y_label": _non_empty(y_label, AXIS_LABEL),
        },
    }
    return [{"type": "data_visualization", "title": _non_empty(title, CHART_TITLE), "chart": chart}]


def _distinct(labels: Sequence[str]) -> list[str]:
    """Return labels that are all different: Slack joins points to categories by label."""
    seen: dict[str, None] = {}
    for label in labels:
        name, number = _non_empty(label, CHART_LABEL), 2
        while name in seen:
            name = f"{_non_empty(label, CHART_LABEL - 4)} {number}"
            number += 1
        seen[name] = None
    return list(seen)


def visible_size(value: Any) -> int:
    """Return how many characters of blocks a reader sees; Slack limits the sum."""
    if isinstance(value, str):
        return size(value)
    if isinstance(value, list | tuple):
        return sum(map(visible_size, value))
    if isinstance(value, dict):
        return sum(visible_size(inner) for key, inner in value.items() if key not in _HIDDEN_KEYS)
    return 0


def fit(body: Sequence[Block], tail: Sequence[Block] = ()) -> list[Block]:
    """Return as many blocks as a message holds; `tail` (buttons) stays, the end of the body is left out."""
    if len(body) + len(tail) <= MOST_BLOCKS and visible_size([*body, *tail]) <= MOST_CHARACTERS:
        return [*body, *tail]
    note = context("There is more than a message holds.")
    remaining = MOST_CHARACTERS - visible_size([note, *tail])
    fitting: list[Block] = []
    for block in body[: MOST_BLOCKS - len(tail) - 1]:
        remaining -= visible_size(block)
        if remaining < 0:
            break
        fitting.append(block)
    return [*fitting, note, *tail]
