"""Validation of the blocks of messages and views, as Slack does it.

`blocks` validates each block by itself; `message_faults` and `view_faults` add the rules
across blocks: their number, their total length, and which identifiers must be unique.
Pure: no state, no I/O.
See https://docs.slack.dev/reference/block-kit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from bot.sandbox.fake_slack.block_kit.blocks import BLOCKS
from bot.sandbox.fake_slack.block_kit.data_blocks import visible_texts
from bot.sandbox.fake_slack.block_kit.elements import plain
from bot.sandbox.fake_slack.block_kit.rules import (
    Rule,
    anything,
    boolean,
    by_type,
    fault,
    items,
    one_of,
    shape,
    string,
)
from bot.sandbox.fake_slack.slack_facts import LIMITS

_NOT_IN_MESSAGES: Final = {"alert"}
_CHART: Final = "data_visualization"
_NOT_IN_MODALS: Final = {_CHART, "file", "card", "carousel", "context_actions", "data_table"}
_NOT_IN_HOMES: Final = {_CHART, "file", "alert", "card", "carousel", "context_actions", "data_table"}


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
        for element_index, element in enumerate(elements if isinstance(elements, list) else ()):
            action_id = element.get("action_id") if isinstance(element, dict) else None
            if action_id is not None and action_id in actions:
                yield fault(
                    f"action_id already exists: {action_id}",
                    f"{pointer}/{index}/elements/{element_index}/action_id",
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
    return sum(block.get("type") in kinds for block in _dicts(blocks))


def message_faults(blocks: object, *, missing: Collection[str] = ()) -> list[str]:
    """Return the faults of a message's blocks, with JSON pointers; the workspace lacks `missing` types."""
    limits = LIMITS["message"]
    unsupported = {*_NOT_IN_MESSAGES, *missing}
    faults = list(_block_faults(blocks, "/blocks", most=limits["blocks"], unsupported=unsupported))
    if _count(blocks, _CHART) > limits["charts"]:
        faults.append(fault(f"no more than {limits['charts']} charts allowed", "/blocks"))
    markdown = [b.get("text") for b in _dicts(blocks) if b.get("type") == "markdown"]
    if sum(len(t) for t in markdown if isinstance(t, str)) > LIMITS["markdown"]["text"]:
        limit = LIMITS["markdown"]["text"]
        faults.append(fault(f"markdown must be less than {limit + 1} characters", "/blocks"))
    return faults


def has_too_many_tables(blocks: object) -> bool:
    """Return whether a message has more than one table, for which Slack has another error code."""
    return _count(blocks, "table", "data_table") > LIMITS["message"]["tables"]


def is_too_long(blocks: object) -> bool:
    """Return whether the total text of a message's blocks is longer than Slack accepts."""
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
    """Return the faults of a view that must be of one of `kinds` ("modal", "home")."""
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
