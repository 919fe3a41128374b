"""Block Kit, built so that Slack refuses nothing and nobody's text pings anybody.

Text is either plain (`str`: whatever people or policies wrote) or `Markup` (ours: already mrkdwn). Every
builder escapes the one and trusts the other, and cuts what is too long without tearing an entity or a
link apart. Pure; the limits are those of https://docs.slack.dev/reference/block-kit.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.freezes.hold import GOVERNOR
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
CHART_TITLE, CHART_LABEL, AXIS_LABEL = 50, 20, 50
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30

_NOTHING = "–"
_ELLIPSIS = "…"
_HIDDEN_KEYS = frozenset({"type", "block_id", "action_id", "value", "url", "style"})
# Control characters, bidirectional overrides and torn surrogates: no reader needs them, some lie.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
_URL = re.compile(r"https?://[^\s<>|\x00-\x20\x7f-\x9f]+", re.ASCII)
_PIECES = re.compile(r"<[^<>]*>|&[a-z]+;|.", re.DOTALL)


class Markup(str):
    """Text that is Slack mrkdwn already; the builders take it as it is."""

    __slots__ = ()


NOTHING = Markup("")
"""No text."""


def escape(value: object) -> Markup:
    """Return text that Slack shows as it was written: no mention, link or broadcast comes alive."""
    if isinstance(value, Markup):
        return value
    text = _UNPRINTABLE.sub(" ", str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Slack reads a bare @channel where a client asks for parsing: a word joiner stops that unseen.
    return Markup(_BROADCAST.sub("@\u2060", text))


def markup(template: str, *values: object) -> Markup:
    """Fill `{}` in our own template; values that are not `Markup` are escaped."""
    return Markup(template.format(*map(escape, values)))


def join(separator: str, parts: Iterable[object]) -> Markup:
    """Join what is not empty, escaping what is not `Markup`."""
    return Markup(separator.join(text for part in parts if (text := escape(part))))


def bold(value: object) -> Markup:
    """Return the text in bold; asterisks of its own would end it early, so they go."""
    return Markup(f"*{escape(value).replace('*', '∗')}*")


def code(value: object) -> Markup:
    """Return the text as it would be typed."""
    return Markup(f"`{escape(value).replace('`', chr(39))}`")


def mention(actor: str) -> Markup:
    """Name a person by id, so that Slack shows the name; the bot and API tokens by their own names."""
    if _USER_ID.fullmatch(actor):
        return Markup(f"<@{actor}>")
    return escape("Governor" if actor == GOVERNOR else actor)


def link(url: str, text: str) -> Markup:
    """Name a page by words; for a URL that could end the link early, only the words."""
    return Markup(f"<{escape(url)}|{escape(text)}>") if _URL.fullmatch(url) else escape(text)


def channel_link(address: str) -> Markup:
    """Name a channel: `#name` as it is, an id so that Slack shows the name."""
    return escape(address) if address.startswith("#") else Markup(f"<#{escape(address)}>")


def when(at: datetime) -> Markup:
    """Show a time in each reader's own zone."""
    fallback = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return Markup(f"<!date^{math.floor(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>")


def day(at: datetime) -> Markup:
    """Show the day of a time, in each reader's own zone."""
    return Markup(f"<!date^{math.floor(at.timestamp())}^{{date_short_pretty}}|{at:%Y-%m-%d}>")


def size(text: str) -> int:
    """Count as Slack's clients do, in UTF-16 units: an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> Markup:
    """Return the text in at most `limit` UTF-16 units, with an ellipsis where something was left out."""
    safe = escape(text)
    if size(safe) <= limit:
        return safe
    kept: list[str] = []
    room = limit - size(_ELLIPSIS)
    for piece in _PIECES.findall(safe):
        room -= size(piece)
        if room < 0:
            break
        kept.append(piece)
    return Markup("".join(kept).rstrip() + _ELLIPSIS)


def _filled(text: str, limit: int) -> str:
    fitting = cut(text, limit)
    return str(fitting) if fitting.strip() else _NOTHING


def _mrkdwn(text: str, limit: int = TEXT) -> Block:
    # Verbatim: Slack must not look for links or mentions of its own in what people wrote.
    return {"type": "mrkdwn", "text": _filled(text, limit), "verbatim": True}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": _filled(text, limit), "emoji": True}


def header(text: str) -> Block:
    """One large line."""
    return {"type": "header", "text": _plain(text, HEADER)}


def section(text: str, *, accessory: Block | None = None) -> Block:
    """One paragraph, perhaps with a button beside it."""
    block = {"type": "section", "text": _mrkdwn(text)}
    return block if accessory is None else block | {"accessory": accessory}


def fields(texts: Sequence[str]) -> Block:
    """Short facts side by side; what goes beyond ten is left out."""
    return {"type": "section", "fields": [_mrkdwn(text, FIELD) for text in texts[:FIELDS] or [_NOTHING]]}


def context(*texts: str) -> Block:
    """Small print."""
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
    more = {"value": value or None, "style": style, "confirm": confirm}
    return block | {key: given for key, given in more.items() if given is not None}


def confirmation(title: str, text: str, yes: str, no: str = "Cancel") -> Block:
    """Return the dialog that asks again before a button acts."""
    return {
        "title": _plain(title, CONFIRM_TITLE),
        "text": _plain(text, CONFIRM_TEXT),
        "confirm": _plain(yes, CONFIRM_BUTTON),
        "deny": _plain(no, CONFIRM_BUTTON),
    }


def actions(*buttons: Block) -> list[Block]:
    """Return a row of buttons; no row where there is none."""
    return [{"type": "actions", "elements": list(buttons[:25])}] if buttons else []


def line_chart(
    title: str, series: str, points: Sequence[tuple[str, float]], *, x_label: str, y_label: str
) -> list[Block]:
    """Draw a line through the last 20 points; nothing where no finite point is known."""
    known = [(label, value) for label, value in points if math.isfinite(value)][-MOST_POINTS:]
    if not known:
        return []
    labels = _distinct([label for label, _ in known])
    data = [{"label": label, "value": value} for label, (_, value) in zip(labels, known, strict=True)]
    chart = {
        "type": "line",
        "series": [{"name": _filled(series, CHART_LABEL), "data": data}],
        "axis_config": {
            "categories": labels,
            "x_label": _filled(x_label, AXIS_LABEL),
            "y_label": _filled(y_label, AXIS_LABEL),
        },
    }
    return [{"type": "data_visualization", "title": _filled(title, CHART_TITLE), "chart": chart}]


def _distinct(labels: Sequence[str]) -> list[str]:
    """Slack joins points to categories by their label, so no two may be alike."""
    seen: dict[str, None] = {}
    for label in labels:
        name, number = _filled(label, CHART_LABEL), 2
        while name in seen:
            name = f"{_filled(label, CHART_LABEL - 4)} {number}"
            number += 1
        seen[name] = None
    return list(seen)


def visible_size(value: Any) -> int:
    """Count what a reader sees of blocks; Slack limits the sum."""
    if isinstance(value, str):
        return size(value)
    if isinstance(value, list | tuple):
        return sum(map(visible_size, value))
    if isinstance(value, dict):
        return sum(visible_size(inner) for key, inner in value.items() if key not in _HIDDEN_KEYS)
    return 0


def fit(body: Sequence[Block], tail: Sequence[Block] = ()) -> list[Block]:
    """Return as many blocks as a message holds; `tail` (buttons) stays, the body's end gives way."""
    if len(body) + len(tail) <= MOST_BLOCKS and visible_size([*body, *tail]) <= MOST_CHARACTERS:
        return [*body, *tail]
    note = context("There is more than a message holds.")
    room = MOST_CHARACTERS - visible_size([note, *tail])
    kept: list[Block] = []
    for block in body[: MOST_BLOCKS - len(tail) - 1]:
        room -= visible_size(block)
        if room < 0:
            break
        kept.append(block)
    return [*kept, note, *tail]
