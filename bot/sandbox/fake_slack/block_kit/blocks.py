"""The rule of every block type; limits are in `limits.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.sandbox.fake_slack.block_kit.data_blocks import DATA_BLOCKS, block
from bot.sandbox.fake_slack.block_kit.elements import ELEMENTS, IMAGE, plain, text
from bot.sandbox.fake_slack.block_kit.rich_text import RICH_TEXT
from bot.sandbox.fake_slack.block_kit.rules import Rule, anything, boolean, by_type, items, one_of, string
from bot.sandbox.fake_slack.slack_facts import LIMITS


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

_CARD: Final = block(
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
    **DATA_BLOCKS,
    "actions": block(
        "actions",
        {"elements": items(_elements(*IN_ACTIONS), most=LIMITS["actions"]["elements"])},
    ),
    "context": block(
        "context",
        {
            "elements": items(
                by_type({"image": IMAGE, "mrkdwn": text(), "plain_text": text()}),
                most=LIMITS["context"]["elements"],
            )
        },
    ),
    "context_actions": block(
        "context_actions",
        {
            "elements": items(
                _elements("feedback_buttons", "icon_button"),
                most=LIMITS["context_actions"]["elements"],
            )
        },
    ),
    "divider": block("divider"),
    "file": block("file", {"external_id": string(), "source": one_of("remote")}),
    "header": block("header", {"text": plain(LIMITS["header"]["text"])}),
    "image": block(
        "image",
        {"alt_text": string(longest=LIMITS["image"]["alt_text"], shortest=1)},
        {
            "image_url": string(longest=LIMITS["image"]["image_url"], shortest=1),
            "slack_file": anything,
            "title": plain(LIMITS["image"]["title"]),
        },
        any_of=("image_url", "slack_file"),
    ),
    "input": block(
        "input",
        {"label": plain(LIMITS["input"]["label"]), "element": _elements(*IN_INPUT)},
        {
            "hint": plain(LIMITS["input"]["hint"]),
            "optional": boolean,
            "dispatch_action": boolean,
        },
    ),
    "markdown": block("markdown", {"text": string(longest=LIMITS["markdown"]["text"], shortest=1)}),
    "rich_text": RICH_TEXT,
    "section": block(
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
    "video": block(
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
    "carousel": block(
        "carousel",
        {"elements": items(by_type({"card": _CARD}), most=LIMITS["carousel"]["elements"])},
    ),
    "alert": block(
        "alert",
        {"text": text(LIMITS["alert"]["text"])},
        {"level": one_of("default", "info", "warning", "error", "success")},
    ),
}

_CONTAINER: Final = block(
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
