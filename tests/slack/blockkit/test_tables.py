"""Tables keep Slack's limits whatever is in them, and their rows can be read without them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from bot.sandbox.fake_slack.block_kit.validation import is_too_long, message_faults
from bot.slack.blockkit.tables import (
    ROWS,
    as_sections,
    channel_cell,
    joined_cell,
    number_cell,
    person_cell,
    table,
    text_cell,
    time_cell,
)
from bot.store.outbox import Block

NAMES = ("Service", "Left", "Reason")


def rows(count: int, text: str) -> list[Sequence[Block]]:
    return [(text_cell(text), number_cell(0.5, text), text_cell(text)) for _ in range(count)]


@pytest.mark.parametrize("text", ["", " ", "x", "checkout", "é" * 500, "🧊" * 3_000, "a " * 100_000])
@pytest.mark.parametrize("count", [1, 11, ROWS, 3 * ROWS])
def test_slack_takes_a_table_and_its_rows_as_text(count: int, text: str) -> None:
    blocks = table("What is left", NAMES, rows(count, text))
    assert not message_faults(blocks)
    assert not is_too_long(blocks)
    assert len(blocks[0]["rows"]) == min(count, ROWS) + 1
    sections = as_sections(blocks[0])
    assert not message_faults(sections)
    assert not is_too_long(sections)


def test_no_rows_are_no_table() -> None:
    assert table("What is left", NAMES, []) == []


def test_what_people_wrote_is_literal_and_mentions_nobody() -> None:
    said = "<!channel> & <@U1> @here <b>"
    (block,) = table(
        "<!channel>", NAMES, [(text_cell(said), text_cell(said), joined_cell([text_cell(said)]))]
    )
    shown = str(block) + str(as_sections(block))
    assert not any(ping in shown for ping in ("<!channel", "<@U1", "@here"))
    assert "& <" in block["rows"][1][0]["text"]
    assert "&amp; &lt;" in as_sections(block)[0]["text"]["text"]


def test_the_rows_as_text_say_what_the_cells_say() -> None:
    at = datetime(2026, 11, 23, 9, tzinfo=UTC)
    cells = [
        text_cell("checkout*"),
        number_cell(0.2, "20.0%"),
        time_cell(at),
        joined_cell([person_cell("U0SAM"), person_cell("governor")]),
        channel_cell("T1/C123"),
        text_cell(""),
        number_cell(None, "no data"),
        time_cell(None),
    ]
    heads = ("Service", "Left", "Since", "Held by", "Channel", "Reason", "Burn", "Until")
    (block,) = table("What is left", heads, [cells])
    assert not message_faults([block])
    (section,) = as_sections(block)
    assert section["text"]["text"] == (
        "*checkout∗* — Left: 20.0% · Since: <!date^1795424400^{date_short_pretty} {time}"
        "|2026-11-23 09:00 UTC>"
        " · Held by: <@U0SAM>, Governor · Channel: <#C123> · Burn: no data"
    )


def test_a_row_too_many_for_a_message_is_counted() -> None:
    heads = [f"Heading {number}" for number in range(8)]
    (block,) = table("t", heads, [[text_cell("x" * 100)] * 8 for _ in range(ROWS)])
    (*_, last) = as_sections(block)
    assert last["elements"][0]["text"].endswith(" more")
