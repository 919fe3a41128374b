"""Tables: Slack's block `data_table`, which people sort, filter and page, and the same rows as text.

Slack has it in messages only, since May 2026, at most one in a message:
https://docs.slack.dev/reference/block-kit/blocks/data-table-block. What a cell says is literal text there,
not mrkdwn. Pure.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bot.slack.blockkit.blocks import HEADER, TEXT, context, section
from bot.slack.blockkit.mrkdwn import (
    Markup,
    bold,
    cut,
    escape,
    is_user_id,
    join,
    literal,
    markup,
    mention,
    size,
)
from bot.store.addresses import local
from bot.store.outbox import Block

TABLE = "data_table"
ROWS = 50
"""The rows of a table; Slack takes twice as many, but only so much text in a message."""
MANY = 10
"""A list of more rows than this is shown as a table; a shorter one has a button beside each row."""

_SHOWN_AT_ONCE = 10
_MOST_TEXT = 9_000
_MOST_FALLBACK = 10_500
_LONGEST_CELL = 200
_NOTHING = "–"


def text_cell(text: str) -> Block:
    """Return a cell of text as people wrote it."""
    return {"type": "raw_text", "text": text if text.strip() else _NOTHING}


def number_cell(value: float | Decimal | None, text: str) -> Block:
    """Return a cell that Slack sorts by `value` and shows as `text`; text alone where nothing is known."""
    if value is None or not math.isfinite(value) or not text.strip():
        return text_cell(text)
    return {"type": "raw_number", "value": round(float(value), 6), "text": text}


def time_cell(at: datetime | None) -> Block:
    """Return a cell with a time that Slack shows in each reader's time zone."""
    if at is None:
        return text_cell("")
    return _rich(
        {
            "type": "date",
            "timestamp": math.floor(at.timestamp()),
            "format": "{date_short_pretty} {time}",
            "fallback": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        }
    )


def person_cell(actor: str) -> Block:
    """Return a cell with a person, whose name Slack shows; the bot's and API tokens' own names as text."""
    if is_user_id(actor):
        return _rich({"type": "user", "user_id": actor})
    return text_cell(mention(actor))


def channel_cell(address: str | None) -> Block:
    """Return a cell with a link to a channel, of which Slack shows the name."""
    return _rich({"type": "channel", "channel_id": local(address)}) if address else text_cell("")


def joined_cell(cells: Sequence[Block]) -> Block:
    """Return a cell with what these cells say, separated by commas."""
    elements: list[dict[str, Any]] = []
    for cell in cells:
        elements += [_text(", ")] if elements else []
        elements += _elements(cell) if cell["type"] == "rich_text" else [_text(str(cell["text"]))]
    return _rich(*elements) if elements else text_cell("")


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[Block]]) -> list[Block]:
    """Return a table of at most 50 rows, the first column naming each; nothing without rows.

    Texts are cut where all of them together would be more than Slack takes.
    """
    shown = rows[:ROWS]
    if not shown:
        return []
    longest = _LONGEST_CELL
    if sum(_length(cell) for row in shown for cell in row) > _MOST_TEXT:
        longest = _MOST_TEXT // (len(shown) * len(headings))
    return [
        {
            "type": TABLE,
            "caption": str(literal(caption))[:HEADER],
            "page_size": min(len(shown), _SHOWN_AT_ONCE),
            "rows": [
                [text_cell(heading) for heading in headings],
                *([_shortened(cell, longest) for cell in row] for row in shown),
            ],
        }
    ]


def as_sections(block: Block) -> list[Block]:
    """Return a table's rows as text, for a workspace that does not take the block."""
    headings, *rows = block["rows"]
    lines = [_line([str(heading["text"]) for heading in headings], row) for row in rows]
    kept: list[Markup] = []
    left = _MOST_FALLBACK
    for line in lines:
        left -= size(line) + 1
        if left < 0:
            break
        kept.append(line)
    more = len(lines) - len(kept)
    return [*map(section, _paragraphs(kept)), *([context(f"and {more} more")] if more else [])]


def _line(headings: Sequence[str], row: Sequence[Block]) -> Markup:
    """Return a row in a line: `*checkout* — Left: 20.0% · SLO: availability`."""
    first, *rest = [_as_markup(cell) for cell in row]
    facts = [
        markup("{}: {}", heading, fact)
        for heading, fact in zip(headings[1:], rest, strict=True)
        if fact != _NOTHING
    ]
    return cut(join(" — ", [bold(first), join(" · ", facts)]), TEXT)


def _paragraphs(lines: Sequence[Markup]) -> list[Markup]:
    """Return the lines in as few texts as a section's length allows."""
    texts: list[list[Markup]] = []
    length = TEXT + 1
    for line in lines:
        if length + size(line) + 1 > TEXT:
            texts.append([])
            length = 0
        texts[-1].append(line)
        length += size(line) + 1
    return [join("\n", part) for part in texts]


def _rich(*elements: Block) -> Block:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": literal(text, _LONGEST_CELL)}


def _elements(cell: Block) -> list[dict[str, Any]]:
    return [element for part in cell["elements"] for element in part["elements"]]


def _as_markup(cell: Block) -> Markup:
    if cell["type"] != "rich_text":
        return escape(str(cell["text"]))
    return join("", [_element_markup(element) for element in _elements(cell)])


def _element_markup(element: dict[str, Any]) -> Markup:
    match element["type"]:
        case "date":
            shown = f"<!date^{element['timestamp']}^{element['format']}|{escape(element['fallback'])}>"
            return Markup(shown)
        case "user":
            return Markup(f"<@{element['user_id']}>")
        case "channel":
            return Markup(f"<#{element['channel_id']}>")
        case _:
            return escape(str(element.get("text", "")))


def _length(cell: Block) -> int:
    if cell["type"] != "rich_text":
        return size(str(cell["text"]))
    return sum(size(str(element.get("fallback") or element.get("text") or "")) for element in _elements(cell))


def _shortened(cell: Block, longest: int) -> Block:
    """Return a cell of literal text, cut to a length; what Slack fills in stays whole."""
    if cell["type"] == "rich_text":
        return cell
    return {**cell, "text": literal(str(cell["text"]), longest)}
