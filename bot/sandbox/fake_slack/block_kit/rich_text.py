"""The `rich_text` block: sections, lists, quotes and code made of inline elements."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.block_kit.rules import (
    Rule,
    boolean,
    by_type,
    integer,
    items,
    one_of,
    shape,
    string,
)
from bot.sandbox.fake_slack.slack_facts import LIMITS

_STYLE: Final = shape(
    {},
    dict.fromkeys(
        ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), boolean
    ),
)


def _inline(kind: str, required: dict[str, Rule], **optional: Rule) -> Rule:
    return shape({"type": one_of(kind), **required}, {"style": _STYLE, **optional})


_INLINE: Final = by_type(
    {
        "text": _inline("text", {"text": string(shortest=1)}),
        "link": _inline("link", {"url": string(shortest=1)}, text=string(), unsafe=boolean),
        "emoji": _inline(
            "emoji",
            {"name": string(shortest=1)},
            unicode=string(),
            url=string(),
            skin_tone=integer(least=1),
        ),
        "user": _inline("user", {"user_id": string(shortest=1)}),
        "usergroup": _inline("usergroup", {"usergroup_id": string(shortest=1)}),
        "channel": _inline("channel", {"channel_id": string(shortest=1)}),
        "broadcast": _inline("broadcast", {"range": one_of("here", "channel", "everyone")}),
        "date": _inline(
            "date",
            {"timestamp": integer(least=0), "format": string(shortest=1)},
            url=string(),
            fallback=string(),
        ),
        "color": _inline("color", {"value": string(shortest=1)}),
    },
    noun="element",
)
_SECTION: Final = shape({"type": one_of("rich_text_section"), "elements": items(_INLINE, least=0)})
_LIST: Final = shape(
    {
        "type": one_of("rich_text_list"),
        "style": one_of("bullet", "ordered"),
        "elements": items(by_type({"rich_text_section": _SECTION})),
    },
    {"indent": integer(least=0), "offset": integer(least=0), "border": integer(least=0, most=1)},
)


def _quote_or_code(kind: str) -> Rule:
    optional: dict[str, Rule] = {"border": integer(least=0, most=1)}
    if kind == "rich_text_preformatted":
        optional["language"] = string()
    return shape({"type": one_of(kind), "elements": items(_INLINE)}, optional)


RICH_TEXT: Final = shape(
    {
        "type": one_of("rich_text"),
        "elements": items(
            by_type(
                {
                    "rich_text_section": _SECTION,
                    "rich_text_list": _LIST,
                    "rich_text_preformatted": _quote_or_code("rich_text_preformatted"),
                    "rich_text_quote": _quote_or_code("rich_text_quote"),
                },
                noun="element",
            )
        ),
    },
    {"block_id": string(longest=LIMITS["identifiers"]["block_id"], shortest=1)},
)
"""Accept a `rich_text` block."""
