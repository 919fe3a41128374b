"""`%{label}`: the placeholder for a label's value in a Service document with `forEach`. Pure.

Nothing else in a document looks like it. In PromQL `%` is an operator and `{service}`, without a comparison,
is no selector, so outside of quotes it is never valid; within a pattern `%{2}` repeats a character, so only a
letter after the brace makes a placeholder. `${…}` is for the environment, `$window` for the time, `{{…}}`
belongs to the programs that write YAML files, and `[[…]]` is a range with one bracket too many.

How a value is written depends on the text: unchanged in a description, escaped within PromQL's quotes, and
with the characters replaced that a name may not have.
"""

import re
import unicodedata
from collections.abc import Callable
from enum import Enum

from bot.policy.documents.promql_shapes import TEXT
from bot.policy.faults import IT, InvalidValueError, Path, quoted

SAMPLE = "example"
"""A value that is valid everywhere: a document is validated with it before any value is known."""

_MENTION = re.compile(r"%\{(?P<name>[A-Za-z_][^{}]*)(?P<end>\}?)")
_QUOTED = re.compile(rf"(?P<matches>(?:=~|!~)\s*)?(?P<text>{TEXT})")
# The characters of Go's regexp.QuoteMeta: the patterns of Prometheus are Go's.
_IN_PATTERNS = re.compile(r"[\\.+*?()|\[\]{}^$]")
_QUERIES = frozenset({"total", "bad", "good", "match", "histogram", "ratio", "gauge"})


class Spelling(Enum):
    """How a value is written in a text of a document."""

    AS_IT_IS = ""
    NAME = "a-z0-9-"
    CHANNEL = "a-z0-9_-"
    HANDLE = "a-z0-9._-"
    KEY = "A-Za-z0-9._-"
    QUERY = "PromQL"
    NOWHERE = "nowhere"


_SPELLINGS = {
    "channel": Spelling.CHANNEL,
    "teams": Spelling.HANDLE,
    "flags": Spelling.KEY,
    "lowRisk": Spelling.KEY,
    "variants": Spelling.NOWHERE,
    "repository": Spelling.KEY,
    # Everything else under these is the same for all services.
    "slos": Spelling.NOWHERE,
    "maintenance": Spelling.NOWHERE,
    "errorBudgetPolicy": Spelling.NOWHERE,
    "workspace": Spelling.NOWHERE,
    "forEach": Spelling.NOWHERE,
}


def spelling_at(path: Path) -> Spelling:
    """Return how a value is written in the text at this path of a Service document."""
    match path:
        case ("metadata", "name"):
            return Spelling.NAME
        case ("spec", "slos", int(), "sli", _, str(key)) if key in _QUERIES:
            return Spelling.QUERY
        case ("spec", "variants", "flags", *_):
            return Spelling.KEY
        case ("spec", "maintenance", int(), "reason"):
            return Spelling.AS_IT_IS
        case ("spec", str(key), *_):
            return _SPELLINGS.get(key, Spelling.AS_IT_IS)
        case _:
            return Spelling.NOWHERE


def has_placeholder(text: str) -> bool:
    """Return whether the text contains a placeholder, valid or not."""
    return _MENTION.search(text) is not None


def check(text: str, spelling: Spelling, label: str | None) -> None:
    """Raise `InvalidValueError` if a placeholder in the text is not the label's, or not allowed there.

    `label` is None in a document of a single service.
    """
    for mention in _MENTION.finditer(text):
        expected = f"%{{{label}}}"
        if label is None:
            # A description may contain any text.
            if spelling is Spelling.AS_IT_IS:
                return
            allowed = "spec.forEach: {label: …}"
            raise InvalidValueError(
                f"{quoted(mention[0])} is replaced by a value only where `forEach` names a label", allowed
            )
        if spelling is Spelling.NOWHERE:
            raise InvalidValueError(f"{quoted(expected)} cannot be used here", "the same for all services")
        if mention["name"] != label or not mention["end"]:
            raise InvalidValueError(f"{quoted(mention[0])} is not the value of {quoted(label)}", expected)
    if label is not None and spelling is Spelling.QUERY:
        _check_query(text, label)


def filled(text: str, spelling: Spelling, value: str) -> str:
    """Return the text with the value in it; raises `InvalidValueError` if no character of it is allowed."""
    if spelling is Spelling.QUERY:
        return _QUOTED.sub(lambda quote: _fill(quote[0], _escape_for(quote, value)), text)
    return _fill(text, lambda: spelled(value, spelling))


def spelled(value: str, spelling: Spelling) -> str:
    """Return a value in the allowed characters; raises `InvalidValueError` if no letter or digit is left.

    Letters lose their accents, and become lower case where needed; each run of other characters is a `-`.
    """
    if spelling is Spelling.AS_IT_IS:
        return value
    characters = spelling.value
    text = unicodedata.normalize("NFKD", value)
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = text if "A-Z" in characters else text.lower()
    text = re.sub(rf"[^{characters}]+", "-", text).strip("-")
    if not re.search("[A-Za-z0-9]", text):
        raise InvalidValueError(f"no sign of it can stand in {IT}")
    return text


def escaped(value: str, quote: str, *, in_pattern: bool) -> str:
    """Return the value escaped for PromQL's quotes (`"` or `'`).

    The escapes are Go's: https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
    """
    if in_pattern:
        value = _IN_PATTERNS.sub(r"\\\g<0>", value)
    return "".join(_escaped_character(character, quote) for character in value)


def _escaped_character(character: str, quote: str) -> str:
    if character in {"\\", quote}:
        return "\\" + character
    # A `$` might become `$window` with what follows.
    if character == "$" or ord(character) < 0x20 or ord(character) == 0x7F:
        return f"\\x{ord(character):02x}"
    return character


def _escape_for(quote: re.Match[str], value: str) -> Callable[[], str]:
    in_pattern = quote["matches"] is not None
    return lambda: escaped(value, quote["text"][0], in_pattern=in_pattern)


def _fill(text: str, write: Callable[[], str]) -> str:
    return _MENTION.sub(lambda _: write(), text)


def _check_query(text: str, label: str) -> None:
    outside = _QUOTED.sub("", text)
    allowed = f'within quotes, such as {label}="%{{{label}}}"'
    if has_placeholder(outside):
        raise InvalidValueError(f"{quoted(f'%{{{label}}}')} is outside quotes", allowed)
    if any(quote["text"][0] == "`" and has_placeholder(quote[0]) for quote in _QUOTED.finditer(text)):
        # There are no escapes between backticks.
        raise InvalidValueError(
            f"{quoted(f'%{{{label}}}')} is between backticks", allowed.replace("within", "in")
        )
