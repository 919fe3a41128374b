"""Words as they are meant, whatever keyboard typed them. Pure.

Phones and Slack's editors put “quotes” around words, turn `-` into `–` and leave full-width signs such as
`25％`. Only words that are read as a value are treated so: a reason stays as it was typed.
"""

import unicodedata
from collections.abc import Sequence

from bot.slack.arguments import QUOTES

_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−﹘﹣", "-"))
_AROUND = "".join({*QUOTES, *QUOTES.values()})


def plain(word: str) -> str:
    """Return a word in lower case, without quotes around it, with plain dashes, digits and signs."""
    normalized = unicodedata.normalize("NFKC", word).translate(_DASHES)
    return normalized.strip(_AROUND + ",;").casefold()


def take_name(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return a name and the words after it: one word, or several in quotes. There must be a word."""
    closing = QUOTES.get(words[0][0])
    if closing is not None:
        for last, word in enumerate(words):
            if word.endswith(closing) and (last or len(word) > 1):
                return " ".join(words[: last + 1])[1:-1].strip(), list(words[last + 1 :])
    return words[0], list(words[1:])
