"""The rules of composition objects and interactive elements.

Each has the fields that Slack documents and their limits from `limits.json`. Which block
accepts which element is in `blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from bot.sandbox.fake_slack.slack_facts import LIMITS

_IDS: Final = LIMITS["identifiers"]


def plain(longest: int = LIMITS["text"]["text"]) -> Rule:
    """Accept a `plain_text` object of at most `longest` characters."""
    return shape(
        {"type": one_of("plain_text"), "text": string(longest=longest, shortest=1)},
        {"emoji": boolean},
    )


def text(longest: int = LIMITS["text"]["text"]) -> Rule:
    """Accept a `plain_text` or `mrkdwn` object of at most `longest` characters."""
    return shape(
        {"type": one_of("plain_text", "mrkdwn"), "text": string(longest=longest, shortest=1)},
        {"emoji": boolean, "verbatim": boolean},
    )


CONFIRM: Final = shape(
    {
        "title": plain(LIMITS["confirm"]["title"]),
        "text": text(LIMITS["confirm"]["text"]),
        "confirm": plain(LIMITS["confirm"]["confirm"]),
        "deny": plain(LIMITS["confirm"]["deny"]),
    },
    {"style": one_of("primary", "danger")},
)


def option(label: Rule, **more: Rule) -> Rule:
    """Accept an option whose text satisfies `label`; `more` are fields of some menus only."""
    limits = LIMITS["option"]
    return shape(
        {"text": label, "value": string(longest=limits["value"], shortest=1)},
        {"description": label, **more},
    )


_PLAIN_OPTION: Final = option(plain(LIMITS["option"]["text"]))
_TEXT_OPTION: Final = option(text(LIMITS["option"]["text"]))
_OVERFLOW_OPTION: Final = option(plain(LIMITS["option"]["text"]), url=string(longest=LIMITS["option"]["url"]))
_OPTIONS: Final = items(_PLAIN_OPTION, most=LIMITS["select"]["options"])
_GROUPS: Final = items(
    shape(
        {
            "label": plain(LIMITS["option_group"]["label"]),
            "options": items(_PLAIN_OPTION, most=LIMITS["option_group"]["options"]),
        }
    ),
    most=LIMITS["select"]["option_groups"],
)
_FILTER: Final = shape(
    {},
    {
        "include": items(one_of("im", "mpim", "private", "public")),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)
_DISPATCH: Final = shape(
    {}, {"trigger_actions_on": items(one_of("on_enter_pressed", "on_character_entered"), most=2)}
)
_COMMON: Final[Mapping[str, Rule]] = {
    "action_id": string(longest=_IDS["action_id"], shortest=1),
    "confirm": CONFIRM,
    "focus_on_load": boolean,
}
_PLACEHOLDER: Final[Mapping[str, Rule]] = {"placeholder": plain(LIMITS["select"]["placeholder"])}


def _one_kind_of_options(value: object, pointer: str) -> Iterator[str]:
    if isinstance(value, dict) and value.get("options") and value.get("option_groups"):
        yield fault("only one of options and option_groups is allowed", pointer)


def _element(
    kind: str,
    required: Mapping[str, Rule] | None = None,
    optional: Mapping[str, Rule] | None = None,
    *,
    any_of: tuple[str, ...] = (),
    also: Rule = anything,
) -> Rule:
    return shape(
        {"type": one_of(kind), **(required or {})},
        {**_COMMON, **(optional or {})},
        any_of=any_of,
        also=also,
    )


def _menus(source: str, *, conversations: bool = False) -> dict[str, Rule]:
    """Return the single and multiple select menu of one source other than static."""
    key = f"initial_{source[:-1]}"
    more: dict[str, Rule] = {**_PLACEHOLDER}
    single: dict[str, Rule] = {**more, "response_url_enabled": boolean}
    if conversations:
        more |= {"filter": _FILTER, "default_to_current_conversation": boolean}
        single |= more
    return {
        f"{source}_select": _element(f"{source}_select", None, {**single, key: string()}),
        f"multi_{source}_select": _element(
            f"multi_{source}_select",
            None,
            {**more, f"{key}s": items(string()), "max_selected_items": integer(least=1)},
        ),
    }


def _static(kind: str, initial: Mapping[str, Rule]) -> Rule:
    return _element(
        kind,
        None,
        {"options": _OPTIONS, "option_groups": _GROUPS, **_PLACEHOLDER, **initial},
        any_of=("options", "option_groups"),
        also=_one_kind_of_options,
    )


_SELECTS: Final[dict[str, Rule]] = {
    "static_select": _static("static_select", {"initial_option": _PLAIN_OPTION}),
    "multi_static_select": _static(
        "multi_static_select",
        {"initial_options": items(_PLAIN_OPTION), "max_selected_items": integer(least=1)},
    ),
    "external_select": _element(
        "external_select",
        None,
        {"initial_option": _PLAIN_OPTION, "min_query_length": integer(least=0), **_PLACEHOLDER},
    ),
    "multi_external_select": _element(
        "multi_external_select",
        None,
        {
            "initial_options": items(_PLAIN_OPTION),
            "min_query_length": integer(least=0),
            "max_selected_items": integer(least=1),
            **_PLACEHOLDER,
        },
    ),
    **_menus("users"),
    **_menus("channels"),
    **_menus("conversations", conversations=True),
}

_PICKERS: Final[dict[str, Rule]] = {
    "datepicker": _element("datepicker", None, {"initial_date": string(), **_PLACEHOLDER}),
    "timepicker": _element(
        "timepicker", None, {"initial_time": string(), "timezone": string(), **_PLACEHOLDER}
    ),
    "datetimepicker": _element("datetimepicker", None, {"initial_date_time": integer(least=0)}),
}

_INPUTS: Final[dict[str, Rule]] = {
    "plain_text_input": _element(
        "plain_text_input",
        None,
        {
            "initial_value": string(longest=LIMITS["plain_text_input"]["max_length"]),
            "multiline": boolean,
            "min_length": integer(least=0, most=LIMITS["plain_text_input"]["max_length"]),
            "max_length": integer(least=1, most=LIMITS["plain_text_input"]["max_length"]),
            "dispatch_action_config": _DISPATCH,
            **_PLACEHOLDER,
        },
    ),
    "number_input": _element(
        "number_input",
        {"is_decimal_allowed": boolean},
        {
            "initial_value": string(),
            "min_value": string(),
            "max_value": string(),
            "dispatch_action_config": _DISPATCH,
            **_PLACEHOLDER,
        },
    ),
    **{
        kind: _element(
            kind,
            None,
            {"initial_value": string(), "dispatch_action_config": _DISPATCH, **_PLACEHOLDER},
        )
        for kind in ("email_text_input", "url_text_input")
    },
    "rich_text_input": _element(
        "rich_text_input",
        None,
        {"initial_value": anything, "dispatch_action_config": _DISPATCH, **_PLACEHOLDER},
    ),
    "file_input": _element(
        "file_input",
        None,
        {
            "filetypes": items(string()),
            "max_files": integer(least=1, most=LIMITS["file_input"]["max_files"]),
        },
    ),
}

_FEEDBACK: Final = shape(
    {
        "text": plain(LIMITS["button"]["text"]),
        "value": string(longest=LIMITS["button"]["value"]),
    },
    {"accessibility_label": string(longest=LIMITS["button"]["accessibility_label"])},
)

_BUTTONS: Final[dict[str, Rule]] = {
    "button": _element(
        "button",
        {"text": plain(LIMITS["button"]["text"])},
        {
            "url": string(longest=LIMITS["button"]["url"]),
            "value": string(longest=LIMITS["button"]["value"]),
            "style": one_of("primary", "danger"),
            "accessibility_label": string(longest=LIMITS["button"]["accessibility_label"]),
        },
    ),
    "workflow_button": _element(
        "workflow_button",
        {"text": plain(LIMITS["button"]["text"]), "workflow": anything},
        {
            "style": one_of("primary", "danger"),
            "accessibility_label": string(longest=LIMITS["button"]["accessibility_label"]),
        },
    ),
    "feedback_buttons": _element(
        "feedback_buttons", {"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}
    ),
    "icon_button": _element(
        "icon_button",
        {"icon": one_of("trash"), "text": plain(LIMITS["button"]["text"])},
        {
            "value": string(longest=LIMITS["button"]["value"]),
            "accessibility_label": string(longest=LIMITS["button"]["accessibility_label"]),
            "visible_to_user_ids": items(string(), most=LIMITS["icon_button"]["visible_to_user_ids"]),
        },
    ),
}

_CHOICES: Final[dict[str, Rule]] = {
    "overflow": _element(
        "overflow", {"options": items(_OVERFLOW_OPTION, most=LIMITS["overflow"]["options"])}
    ),
    "checkboxes": _element(
        "checkboxes",
        {"options": items(_TEXT_OPTION, most=LIMITS["checkboxes"]["options"])},
        {"initial_options": items(_TEXT_OPTION)},
    ),
    "radio_buttons": _element(
        "radio_buttons",
        {"options": items(_TEXT_OPTION, most=LIMITS["radio_buttons"]["options"])},
        {"initial_option": _TEXT_OPTION},
    ),
}

IMAGE: Final = shape(
    {
        "type": one_of("image"),
        "alt_text": string(longest=LIMITS["image"]["alt_text"], shortest=1),
    },
    {
        "image_url": string(longest=LIMITS["image"]["image_url"], shortest=1),
        "slack_file": anything,
    },
    any_of=("image_url", "slack_file"),
)

ELEMENTS: Final[Mapping[str, Rule]] = {
    **_BUTTONS,
    **_CHOICES,
    **_SELECTS,
    **_PICKERS,
    **_INPUTS,
    "image": IMAGE,
}
"""Every element by its `type`."""
