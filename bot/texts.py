"""The one rule for text from outside: free text is cleaned, ids and filters are refused.

PostgreSQL stores no NUL and nobody stores half a character (a lone surrogate); other control characters are
commands to a terminal. What people or machines wrote to be read loses them and keeps newline and tab; a name
by which something is found must not be changed, so it is refused instead.
"""

import re
from collections.abc import Callable
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL_BUT_LAYOUT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORBIDDEN_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_END = re.compile("\r\n?")
# A Slack user id where it can be nothing else: as a mention, after an "@", or in the bot's own words.
_PERSON = re.compile(
    r"<@([UW][A-Z0-9]{2,20})(?:\|[^<>]*)?>"
    r"|(?<![\w@])@([UW](?=[A-Z0-9]*\d)[A-Z0-9]{2,20})(?!\w)"
    r"|(?<=asked for by )([UW][A-Z0-9]{2,20})(?!\w)"
)


def clean(text: str) -> str:
    """Return free text without control characters but newline and tab, U+FFFD for each lone surrogate."""
    if text.isprintable():
        return text
    return _CONTROL_BUT_LAYOUT.sub("", _SURROGATE.sub(REPLACEMENT, _LINE_END.sub("\n", text)))


def clean_line(text: str, most: int) -> str:
    """Return free text on one line, cut to so many characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def clean_all(value: Any) -> Any:
    """Clean all texts in a value that JSON can have, in place where it is a list or an object; return it.

    Names of an object's members stay as they are.
    """
    if isinstance(value, str):
        return clean(value)
    waiting = [value] if isinstance(value, dict | list) else []
    while waiting:
        container = waiting.pop()
        members = list(container.items() if isinstance(container, dict) else enumerate(container))
        for key, member in members:
            if isinstance(member, str):
                container[key] = clean(member)
            elif isinstance(member, dict | list):
                waiting.append(member)
    return value


def is_name(text: str) -> bool:
    """Return whether a text may be an id or a filter: without control characters and lone surrogates."""
    return _FORBIDDEN_IN_NAMES.search(text) is None


def people_in(text: str) -> list[str]:
    """Return the Slack user ids of those whom a text names, each once."""
    return list(dict.fromkeys(match[match.lastindex or 0] for match in _PERSON.finditer(text)))


def with_people(text: str, shown: Callable[[str], str], written: Callable[[str], str] = str) -> str:
    """Return a text in which `shown` says who each Slack user id is; `written` writes the rest."""
    parts, end = [], 0
    for match in _PERSON.finditer(text):
        parts += [written(text[end : match.start()]), shown(match[match.lastindex or 0])]
        end = match.end()
    return "".join([*parts, written(text[end:])])
