"""Parsing of the arguments that people type after a command. Pure.

Slack's editors change what is typed: quotes become “smart”, spaces become no-break spaces, mentions arrive
as `<@U123|dana>`. What cannot be read raises `UsageError`, whose message says what to type instead.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from bot.formatting import listed
from bot.slack.blockkit.mrkdwn import Markup, code, join, markup

MOST_REASON = 500
MOST_NAME = 100

QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "”": "”", "’": "’"}
_REFERENCE = re.compile(r"<(@|#|!subteam\^)([^<>|]*)(?:\|([^<>]*))?>")
_LINK = re.compile(r"<([a-z]+:[^<>|]*)(?:\|[^<>]*)?>")


class UsageError(Exception):
    """A command cannot be read or carried out as typed; `text` tells the person what to type."""

    def __init__(self, text: Markup) -> None:
        super().__init__(str(text))
        self.text = text


def name_bot(text: str, bot_user_id: str | None) -> str:
    """Return the text with mentions of the bot itself as `@governor`, its name in the audit log."""
    return re.sub(rf"<@{re.escape(bot_user_id)}(?:\|[^<>]*)?>", "@governor", text) if bot_user_id else text


def split(text: str) -> list[str]:
    """Return the words of a command: mentions as names, unusual spaces and control characters as spaces."""
    named = _REFERENCE.sub(_name_of_reference, text)
    linked = _LINK.sub(lambda match: match[1], named)
    plain = linked.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return "".join(character if _is_printable(character) else " " for character in plain).split()


def _name_of_reference(match: re.Match[str]) -> str:
    sign = "#" if match[1] == "#" else "@"
    return sign + (match[3] or match[2]).lstrip("@#")


def _is_printable(character: str) -> bool:
    # Joiners hold emoji together; other invisible characters only mislead.
    return character == "\u200d" or unicodedata.category(character) not in {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
        "Zs",
    }


def unquoted(text: str) -> str:
    """Return the text without a pair of quotes around it."""
    text = text.strip()
    if len(text) >= 2 and QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


def reason(words: Sequence[str]) -> str:
    """Return the words as one reason, unquoted, cut at 500 characters; empty if there are none."""
    text = unquoted(" ".join(words))
    return text if len(text) <= MOST_REASON else text[: MOST_REASON - 1].rstrip() + "…"


def name(word: str) -> str:
    """Return a word as a name: unquoted and cut at 100 characters."""
    return unquoted(word)[:MOST_NAME]


def did_you_mean(names: Sequence[str]) -> Markup:
    """Ask whether one of the names was meant; empty where there is none."""
    codes = Markup(listed([code(name) for name in names], "or"))
    return markup("Did you mean {}?", codes) if codes else codes


def unknown(what: str, word: str, near: Sequence[str], instead: str) -> UsageError:
    """Return the error that a word is not known, with the most similar ones and what lists all."""
    missing = markup("There is no {} {}.", what, code(word[:MOST_NAME]))
    return UsageError(join(" ", [missing, did_you_mean(near), Markup(instead)]))
