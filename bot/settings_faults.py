"""What is wrong with a value, in words that say what to write instead. Pure; no value is repeated."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from bot.suggestions import did_you_mean, suggest

_PATTERNS = {
    "slack_command_prefix": "write lower-case letters, digits, - and _ only",
    "github_app_id": "write the App's id or client id: letters, digits, `.`, _ and -",
}
_PREFIXES = re.compile(r"^(Value error, |Assertion failed, )")


def setting_fault(fault: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Return `NAME: what to write` for one of pydantic's errors in the environment."""
    name = str(fault["loc"][0])
    return f"{name.upper()}: {_words(name, fault, fields)}"


def plain_fault(message: str) -> str:
    """Return one of pydantic's messages in words for those who typed the value."""
    message = _PREFIXES.sub("", message)
    known = re.fullmatch(r"Input should be a valid (\w+), unable to parse.*", message)
    if known is not None:
        return f"write {'a whole number' if known[1] == 'integer' else f'a {known[1]}'}"
    return message.replace("Input should be ", "write a value that is ", 1)


def _words(name: str, fault: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    kind = fault["type"]
    if kind == "string_pattern_mismatch" and name in _PATTERNS:
        return _PATTERNS[name]
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        return f"write {one_of(known)}{did_you_mean(suggest(str(fault['input']), known))}"
    bounds = [getattr(limit, side, None) for limit in fields[name].metadata for side in ("ge", "le")]
    least, most = ([bound for bound in bounds if bound is not None] + [None, None])[:2]
    if kind.startswith(("int_", "greater_than", "less_than")) and least is not None:
        return (
            f"write a whole number from {least} to {most}" if most else f"write a whole number from {least}"
        )
    return plain_fault(fault["msg"])


def one_of(names: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
