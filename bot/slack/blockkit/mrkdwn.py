"""Slack's mrkdwn: text in which nothing that people wrote becomes a mention, a link or a broadcast.

Text is either plain (`str`: whatever people or policies wrote) or `Markup` (ours: already mrkdwn). Every
function escapes the one and trusts the other; `cut` shortens without breaking an entity or a link. Pure.
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from bot.freezes.hold import GOVERNOR
from bot.texts import with_people

_ELLIPSIS = "…"
# Control characters, bidirectional overrides and lone surrogates: no reader needs them, some mislead.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_BROADCAST = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,20}")
_REFERENCE = re.compile(r"<(?=[!@#])")
_URL = re.compile(r"https?://[^\s<>|\x00-\x20\x7f-\x9f]+", re.ASCII)
_PIECES = re.compile(r"<[^<>]*>|&[a-z]+;|.", re.DOTALL)


class Markup(str):
    """Text that is Slack mrkdwn already; the builders take it as it is."""

    __slots__ = ()


NOTHING = Markup("")
"""No text."""


def escape(value: object) -> Markup:
    """Return text that Slack shows as it was written: without mentions, links or broadcasts."""
    if isinstance(value, Markup):
        return value
    text = _UNPRINTABLE.sub(" ", str(value))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Slack parses a bare @channel if a client asks for it: an invisible word joiner prevents that.
    return Markup(_BROADCAST.sub("@\u2060", text))


def literal(text: str, limit: int | None = None) -> str:
    """Return text for where Slack reads no mrkdwn, in at most `limit` UTF-16 units.

    Nothing in it becomes a mention, should a client read it as mrkdwn nevertheless.
    """
    clean = _BROADCAST.sub("@\u2060", _REFERENCE.sub("<\u2060", _UNPRINTABLE.sub(" ", text)))
    if limit is None or size(clean) <= limit:
        return clean
    kept = clean[: limit - 1]
    while size(kept) > limit - 1:
        kept = kept[:-1]
    return kept.rstrip() + _ELLIPSIS


def is_user_id(actor: str) -> bool:
    """Return whether that is a person's id in Slack, for which Slack shows the name."""
    return _USER_ID.fullmatch(actor) is not None


def markup(template: str, *values: object) -> Markup:
    """Fill `{}` in our own template; values that are not `Markup` are escaped."""
    return Markup(template.format(*map(escape, values)))


def join(separator: str, parts: Iterable[object]) -> Markup:
    """Join what is not empty, escaping what is not `Markup`."""
    return Markup(separator.join(text for part in parts if (text := escape(part))))


def bold(value: object) -> Markup:
    """Return the text in bold; its own asterisks, which would end it early, are replaced."""
    return Markup(f"*{escape(value).replace('*', '∗')}*")


def code(value: object) -> Markup:
    """Return the text in a code span."""
    return Markup(f"`{escape(value).replace('`', chr(39))}`")


def sentence(text: str) -> Markup:
    """Return an error's or a reason's text as a sentence."""
    capital = text[:1].upper() + text[1:].rstrip(".")
    return markup("{}", capital if capital.endswith("?") else f"{capital}.")


def mention(actor: str) -> Markup:
    """Mention a person by id, so that Slack shows the name; return the bot's and API tokens' own names."""
    if is_user_id(actor):
        return Markup(f"<@{actor}>")
    return escape("Governor" if actor == GOVERNOR else actor)


def naming(text: str) -> Markup:
    """Return a stored text with mentions of those whom it names by id, so that Slack shows their names."""
    return text if isinstance(text, Markup) else Markup(with_people(text, mention, escape))


def link(url: str, text: str) -> Markup:
    """Return a link with this text; only the text if the URL could end the link early."""
    return Markup(f"<{escape(url)}|{escape(text)}>") if _URL.fullmatch(url) else escape(text)


def channel_link(address: str) -> Markup:
    """Return `#name` as it is, an id as a link for which Slack shows the name."""
    return escape(address) if address.startswith("#") else Markup(f"<#{escape(address)}>")


def when(at: datetime) -> Markup:
    """Return a time that Slack shows in each reader's time zone."""
    fallback = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return Markup(f"<!date^{math.floor(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>")


def day(at: datetime) -> Markup:
    """Return the day of a time, which Slack shows in each reader's time zone."""
    return Markup(f"<!date^{math.floor(at.timestamp())}^{{date_short_pretty}}|{at:%Y-%m-%d}>")


def size(text: str) -> int:
    """Return the length as Slack's clients count it, in UTF-16 units: an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> Markup:
    """Return the text in at most `limit` UTF-16 units, with an ellipsis where something was left out."""
    safe = escape(text)
    if size(safe) <= limit:
        return safe
    pieces: list[str] = []
    remaining = limit - size(_ELLIPSIS)
    for piece in _PIECES.findall(safe):
        remaining -= size(piece)
        if remaining < 0:
            break
        pieces.append(piece)
    return Markup("".join(pieces).rstrip() + _ELLIPSIS)
