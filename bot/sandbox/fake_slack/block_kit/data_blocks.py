"""Tables and charts, with the rules between their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bot.sandbox.fake_slack.block_kit.rich_text import RICH_TEXT
from bot.sandbox.fake_slack.block_kit.rules import (
    Rule,
    anything,
    boolean,
    by_type,
    fault,
    integer,
    items,
    number,
    one_of,
    shape,
    string,
)
from bot.sandbox.fake_slack.slack_facts import LIMITS

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


def block(
    kind: str,
    required: Mapping[str, Rule] | None = None,
    optional: Mapping[str, Rule] | None = None,
    *,
    any_of: tuple[str, ...] = (),
    also: Rule = anything,
) -> Rule:
    """Accept a block of type `kind` with these fields and an optional `block_id`."""
    return shape(
        {"type": one_of(kind), **(required or {})},
        {
            "block_id": string(longest=LIMITS["identifiers"]["block_id"], shortest=1),
            **(optional or {}),
        },
        any_of=any_of,
        also=also,
    )


def visible_texts(value: object) -> Iterator[str]:
    """Yield every text in `value` that a reader sees, for the limits on their total length."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from visible_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _HIDDEN_KEYS:
                yield from visible_texts(item)


def _same_width(value: object, pointer: str) -> Iterator[str]:
    rows = value.get("rows") if isinstance(value, dict) else None
    if isinstance(rows, list):
        widths = {len(line) for line in rows if isinstance(line, list)}
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


def _data_table(value: object, pointer: str) -> Iterator[str]:
    """Check a data table: its text, its header of plain cells, and the column that names the rows."""
    yield from _table_characters(value, pointer)
    rows = value.get("rows") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(rows, list) or not rows or not isinstance(rows[0], list):
        return
    for index, cell in enumerate(rows[0]):
        if isinstance(cell, dict) and cell.get("type") == "rich_text":
            yield fault("rich_text is not allowed in the header row", f"{pointer}/rows/0/{index}")
    named = value.get("row_header_column_index")
    if isinstance(named, int) and named >= len(rows[0]):
        yield fault("must be the index of a column", f"{pointer}/row_header_column_index")


def _points_match_categories(value: object, pointer: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    axis = value.get("axis_config")
    categories = axis.get("categories") if isinstance(axis, dict) else None
    series = value.get("series")
    if not isinstance(categories, list) or not isinstance(series, list):
        return
    for index, line in enumerate(series):
        points = line.get("data") if isinstance(line, dict) else None
        for point_index, point in enumerate(points if isinstance(points, list) else ()):
            label = point.get("label") if isinstance(point, dict) else None
            if label not in categories:
                yield fault(
                    f"label is not in axis_config.categories: {label}",
                    f"{pointer}/series/{index}/data/{point_index}/label",
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


DATA_BLOCKS: Final[Mapping[str, Rule]] = {
    "data_table": block(
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
            "page_size": integer(least=1, most=LIMITS["data_table"]["page_size"]),
            "row_header_column_index": integer(least=0),
        },
        also=_data_table,
    ),
    "data_visualization": block(
        "data_visualization",
        {
            "title": string(longest=LIMITS["data_visualization"]["title"], shortest=1),
            "chart": _chart(),
        },
    ),
    "table": block(
        "table",
        {"rows": items(items(_CELL, most=LIMITS["table"]["columns"]), most=LIMITS["table"]["rows"])},
        {"column_settings": items(_COLUMN, most=LIMITS["table"]["column_settings"])},
        also=_same_width,
    ),
}
"""Tables and charts by their `type`."""
