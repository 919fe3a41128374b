"""Every published limit: the largest value is taken, one more is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.sandbox.fake_slack.block_kit.blocks import BLOCKS
from bot.sandbox.fake_slack.block_kit.elements import ELEMENTS
from bot.sandbox.fake_slack.block_kit.validation import (
    has_too_many_tables,
    is_too_long,
    message_faults,
    view_faults,
)

Json = dict[str, Any]


def plain(length: int) -> Json:
    return {"type": "plain_text", "text": "x" * length}


def mrkdwn(length: int) -> Json:
    return {"type": "mrkdwn", "text": "x" * length}


def option(text: int = 1, value: int = 1, **more: Any) -> Json:
    return {"text": plain(text), "value": "v" * value, **more}


def options(count: int) -> list[Json]:
    return [option() for _ in range(count)]


def button(**more: Any) -> Json:
    return {"type": "button", "text": plain(1), **more}


def actions(*elements: Json) -> list[Json]:
    return [{"type": "actions", "elements": list(elements)}]


def confirm(**more: Any) -> list[Json]:
    parts = {"title": plain(1), "text": mrkdwn(1), "confirm": plain(1), "deny": plain(1)}
    return actions(button(confirm=parts | more))


def input_block(**element: Any) -> list[Json]:
    return [{"type": "input", "label": plain(1), "element": element}]


def select(**more: Any) -> list[Json]:
    return actions({"type": "static_select", "options": options(1)} | more)


def chart(**more: Any) -> list[Json]:
    """Make a chart; a number sets the length of a text or the count of a list."""
    labels = [f"{number:02d}" for number in range(more.pop("categories", 1))]
    if "label" in more:
        labels = ["x" * more.pop("label")]
    points = [{"label": labels[n % len(labels)], "value": n} for n in range(more.pop("data", 1))]
    name = "n" * more.pop("series_name", 1)
    axis: Json = {"categories": labels}
    axis |= {key: "x" * more.pop(key) for key in ("x_label", "y_label") if key in more}
    series = [{"name": name, "data": points} for _ in range(more.pop("series", 1))]
    line_chart = {"type": "line", "series": series, "axis_config": axis}
    return [{"type": "data_visualization", "title": "t" * more.pop("title", 1), "chart": line_chart}]


def pie(count: int = 1, label: int = 1, value: float = 1) -> list[Json]:
    segments = [{"label": "x" * label, "value": value}] * count
    return [
        {
            "type": "data_visualization",
            "title": "t",
            "chart": {"type": "pie", "segments": segments},
        }
    ]


def table(rows: int, columns: int, kind: str = "table", **more: Any) -> list[Json]:
    cell = {"type": "raw_text", "text": more.pop("cell", "x")}
    return [{"type": kind, "rows": [[cell] * columns] * rows, **more}]


def video(**more: Any) -> list[Json]:
    parts = {"alt_text": "x", "title": plain(1), "thumbnail_url": "u", "video_url": "u"}
    return [{"type": "video", **parts, **more}]


def card(**more: Any) -> Json:
    return {"type": "card", "title": mrkdwn(1)} | more


def container(**more: Any) -> list[Json]:
    return [{"type": "container", "child_blocks": [{"type": "divider"}]} | more]


RICH_CELL: Json = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}],
}
Blocks = Callable[[int], list[Json]]

# What is limited, the most that is allowed, and blocks with so much of it.
LIMITS_OF_MESSAGES: dict[str, tuple[int, Blocks]] = {
    "blocks of a message": (50, lambda n: [{"type": "divider"}] * n),
    "charts of a message": (2, lambda n: chart() * n),
    "block_id": (255, lambda n: [{"type": "divider", "block_id": "b" * n}]),
    "action_id": (255, lambda n: actions(button(action_id="a" * n))),
    "section text": (3000, lambda n: [{"type": "section", "text": mrkdwn(n)}]),
    "section fields": (10, lambda n: [{"type": "section", "fields": [mrkdwn(1)] * n}]),
    "section field": (2000, lambda n: [{"type": "section", "fields": [mrkdwn(n)]}]),
    "header": (150, lambda n: [{"type": "header", "text": plain(n)}]),
    "actions elements": (25, lambda n: actions(*[button()] * n)),
    "context elements": (10, lambda n: [{"type": "context", "elements": [mrkdwn(1)] * n}]),
    "context text": (3000, lambda n: [{"type": "context", "elements": [mrkdwn(n)]}]),
    "input label": (
        2000,
        lambda n: [{"type": "input", "label": plain(n), "element": {"type": "plain_text_input"}}],
    ),
    "input hint": (
        2000,
        lambda n: [{**input_block(type="plain_text_input")[0], "hint": plain(n)}],
    ),
    "image_url": (3000, lambda n: [{"type": "image", "image_url": "u" * n, "alt_text": "a"}]),
    "alt_text": (2000, lambda n: [{"type": "image", "image_url": "u", "alt_text": "a" * n}]),
    "markdown": (12000, lambda n: [{"type": "markdown", "text": "x" * n}]),
    "markdown together": (
        12000,
        lambda n: [{"type": "markdown", "text": "x" * size} for size in (6000, n - 6000)],
    ),
    "button text": (75, lambda n: actions(button(text=plain(n)))),
    "button url": (3000, lambda n: actions(button(url="u" * n))),
    "button value": (2000, lambda n: actions(button(value="v" * n))),
    "button accessibility label": (75, lambda n: actions(button(accessibility_label="l" * n))),
    "confirm title": (100, lambda n: confirm(title=plain(n))),
    "confirm text": (300, lambda n: confirm(text=mrkdwn(n))),
    "confirm button": (30, lambda n: confirm(confirm=plain(n))),
    "confirm deny": (30, lambda n: confirm(deny=plain(n))),
    "option text": (75, lambda n: select(options=[option(text=n)])),
    "option value": (150, lambda n: select(options=[option(value=n)])),
    "option description": (75, lambda n: select(options=[option(description=plain(n))])),
    "overflow url": (
        3000,
        lambda n: actions({"type": "overflow", "options": [option(url="u" * n)]}),
    ),
    "select options": (100, lambda n: select(options=options(n))),
    "select placeholder": (150, lambda n: select(placeholder=plain(n))),
    "option groups": (
        100,
        lambda n: actions(
            {
                "type": "static_select",
                "option_groups": [{"label": plain(1), "options": options(1)}] * n,
            }
        ),
    ),
    "option group label": (
        75,
        lambda n: actions(
            {
                "type": "static_select",
                "option_groups": [{"label": plain(n), "options": options(1)}],
            }
        ),
    ),
    "option group options": (
        100,
        lambda n: actions(
            {
                "type": "static_select",
                "option_groups": [{"label": plain(1), "options": options(n)}],
            }
        ),
    ),
    "overflow options": (5, lambda n: actions({"type": "overflow", "options": options(n)})),
    "checkboxes": (10, lambda n: actions({"type": "checkboxes", "options": options(n)})),
    "radio buttons": (10, lambda n: actions({"type": "radio_buttons", "options": options(n)})),
    "typed text": (3000, lambda n: input_block(type="plain_text_input", max_length=n)),
    "files": (10, lambda n: input_block(type="file_input", max_files=n)),
    "table rows": (100, lambda n: table(n, 1)),
    "table columns": (20, lambda n: table(1, n)),
    "table column settings": (20, lambda n: table(1, 1, column_settings=[{}] * n)),
    "data table rows": (201, lambda n: table(n, 1, "data_table", caption="c")),
    "data table columns": (20, lambda n: table(2, n, "data_table", caption="c")),
    "data table page": (100, lambda n: table(2, 1, "data_table", caption="c", page_size=n)),
    "data table text": (20000, lambda n: table(2, 1, "data_table", caption="c", cell="x" * (n // 2 + n % 2))),
    "chart title": (50, lambda n: chart(title=n)),
    "chart series": (12, lambda n: chart(series=n)),
    "chart series name": (20, lambda n: chart(series_name=n)),
    "chart points": (20, lambda n: chart(data=n)),
    "chart categories": (20, lambda n: chart(categories=n)),
    "chart labels": (20, lambda n: chart(label=n)),
    "chart x label": (50, lambda n: chart(x_label=n)),
    "chart y label": (50, lambda n: chart(y_label=n)),
    "pie segments": (12, pie),
    "pie label": (20, lambda n: pie(label=n)),
    "video alt text": (200, lambda n: video(alt_text="x" * n)),
    "video title": (200, lambda n: video(title=plain(n))),
    "video author": (50, lambda n: video(author_name="x" * n)),
    "video description": (200, lambda n: video(description=plain(n))),
    "video provider": (50, lambda n: video(provider_name="x" * n)),
    "card title": (150, lambda n: [card(title=mrkdwn(n))]),
    "card subtitle": (150, lambda n: [card(subtitle=mrkdwn(n))]),
    "card body": (200, lambda n: [card(body=mrkdwn(n))]),
    "card subtext": (200, lambda n: [card(subtext=mrkdwn(n))]),
    "card actions": (3, lambda n: [card(actions=[button()] * n)]),
    "carousel": (10, lambda n: [{"type": "carousel", "elements": [card()] * n}]),
    "container title": (150, lambda n: container(title=plain(n))),
    "container subtitle": (150, lambda n: container(subtitle=mrkdwn(n))),
    "container blocks": (10, lambda n: container(child_blocks=[{"type": "divider"}] * n)),
    "context actions": (
        5,
        lambda n: [
            {
                "type": "context_actions",
                "elements": [{"type": "icon_button", "icon": "trash", "text": plain(1)}] * n,
            }
        ],
    ),
    "icon button readers": (
        10,
        lambda n: [
            {
                "type": "context_actions",
                "elements": [
                    {
                        "type": "icon_button",
                        "icon": "trash",
                        "text": plain(1),
                        "visible_to_user_ids": ["U0DANA"] * n,
                    }
                ],
            }
        ],
    ),
    "feedback button text": (75, lambda n: feedback(text=plain(n))),
    "feedback button value": (2000, lambda n: feedback(value="v" * n)),
    "feedback accessibility label": (75, lambda n: feedback(accessibility_label="l" * n)),
}


def feedback(**more: Any) -> list[Json]:
    button_fields = {"text": plain(1), "value": "v"}
    element = {
        "type": "feedback_buttons",
        "positive_button": button_fields | more,
        "negative_button": button_fields,
    }
    return [{"type": "context_actions", "elements": [element]}]


@pytest.mark.parametrize("what", LIMITS_OF_MESSAGES)
def test_the_largest_allowed_is_taken(what: str) -> None:
    limit, blocks = LIMITS_OF_MESSAGES[what]
    assert message_faults(blocks(limit)) == []


@pytest.mark.parametrize("what", LIMITS_OF_MESSAGES)
def test_one_more_than_allowed_is_refused(what: str) -> None:
    limit, blocks = LIMITS_OF_MESSAGES[what]
    assert message_faults(blocks(limit + 1))


REFUSED: dict[str, list[Json]] = {
    "an unknown block": [{"type": "sections"}],
    "a block without type": [{}],
    "an unknown field": [{"type": "divider", "colour": "red"}],
    "a section with neither text nor fields": [{"type": "section"}],
    "an empty text": [{"type": "section", "text": mrkdwn(0)}],
    "mrkdwn in a header": [{"type": "header", "text": mrkdwn(1)}],
    "a multi-select among actions": actions({"type": "multi_static_select", "options": options(1)}),
    "a text input among actions": actions({"type": "plain_text_input"}),
    "a button in an input": input_block(**button()),
    "an unknown element": actions({"type": "slider"}),
    "an unknown style": actions(button(style="warning")),
    "no options": select(options=[]),
    "options and groups": select(option_groups=[{"label": plain(1), "options": options(1)}]),
    "no elements": actions(),
    "a block_id twice": [{"type": "divider", "block_id": "b"}] * 2,
    "an action_id twice in a block": actions(button(action_id="a"), button(action_id="a")),
    "rows of different widths": [
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * n for n in (1, 2)]}
    ],
    "a data table of its head alone": table(1, 1, "data_table", caption="c"),
    "rich text in the head of a data table": [
        {"type": "data_table", "caption": "c", "rows": [[RICH_CELL], [RICH_CELL]]},
    ],
    "a data table named by a column that it lacks": table(
        2, 1, "data_table", caption="c", row_header_column_index=1
    ),
    "an empty cell": table(1, 1, cell=""),
    "a pie slice of nothing": pie(value=0),
    "a point outside the categories": [
        {
            "type": "data_visualization",
            "title": "t",
            "chart": {
                "type": "bar",
                "series": [{"name": "n", "data": [{"label": "b", "value": 1}]}],
                "axis_config": {"categories": ["a"]},
            },
        }
    ],
    "an unknown chart": [
        {"type": "data_visualization", "title": "t", "chart": {"type": "radar", "series": []}}
    ],
    "an alert outside a modal": [{"type": "alert", "text": mrkdwn(1)}],
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_message_is_refused_for(what: str) -> None:
    assert message_faults(REFUSED[what])


def test_a_fault_says_where_it_is() -> None:
    faults = message_faults([{"type": "divider"}, {"type": "header", "text": plain(151)}])
    assert faults == ["[ERROR] must be less than 151 characters [json-pointer:/blocks/1/text/text]"]


def test_the_same_action_id_may_stand_in_two_blocks() -> None:
    assert message_faults(actions(button(action_id="a")) * 2) == []


def test_a_message_says_at_most_12000_characters_over_all_its_blocks() -> None:
    section = [{"type": "section", "text": mrkdwn(3000)}]
    assert not is_too_long(section * 4)
    assert is_too_long([*section * 4, {"type": "section", "text": mrkdwn(1)}])


def test_a_message_has_one_table() -> None:
    assert not has_too_many_tables(table(1, 1))
    assert has_too_many_tables(table(1, 1) + table(2, 1, "data_table", caption="c"))


def modal(**more: Any) -> Json:
    view = {"type": "modal", "title": plain(1), "blocks": [{"type": "divider"}]}
    return view | more


LIMITS_OF_VIEWS: dict[str, tuple[int, Callable[[int], Json]]] = {
    "blocks": (100, lambda n: modal(blocks=[{"type": "divider"}] * n)),
    "title": (24, lambda n: modal(title=plain(n))),
    "submit": (24, lambda n: modal(submit=plain(n))),
    "close": (24, lambda n: modal(close=plain(n))),
    "private_metadata": (3000, lambda n: modal(private_metadata="x" * n)),
    "callback_id": (255, lambda n: modal(callback_id="x" * n)),
    "external_id": (255, lambda n: modal(external_id="x" * n)),
    "alert": (200, lambda n: modal(blocks=[{"type": "alert", "text": mrkdwn(n)}])),
}


@pytest.mark.parametrize("what", LIMITS_OF_VIEWS)
def test_a_view_may_have_the_largest_allowed_and_no_more(what: str) -> None:
    limit, view = LIMITS_OF_VIEWS[what]
    assert view_faults(view(limit), "modal") == []
    assert view_faults(view(limit + 1), "modal")


def test_a_modal_with_inputs_needs_a_submit_button() -> None:
    blocks = input_block(type="plain_text_input")
    assert view_faults(modal(blocks=blocks), "modal")
    assert view_faults(modal(blocks=blocks, submit=plain(1)), "modal") == []


def test_a_view_needs_blocks_a_title_and_the_right_type() -> None:
    assert view_faults(modal(blocks=[]), "modal")
    assert view_faults({"type": "modal", "blocks": [{"type": "divider"}]}, "modal")
    assert view_faults(modal(), "home")
    assert view_faults({"type": "home", "blocks": [{"type": "divider"}]}, "home") == []


def test_the_page_draws_every_block_and_element_that_is_taken(page_source: str) -> None:
    drawn_kinds = {kind for kind in (*BLOCKS, *ELEMENTS) if f"  {kind}" in page_source}
    missing = {*BLOCKS, *ELEMENTS} - drawn_kinds
    assert missing == {"rich_text_input", "file_input"}, "these two are not offered by the page"
