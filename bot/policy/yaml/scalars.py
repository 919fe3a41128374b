"""The values of YAML scalars on which YAML 1.1 (PyYAML), YAML 1.2 (editors) and people agree. Pure.

A scalar that they read differently is refused: `12:30` is 750 in YAML 1.1, `1e3` is a text in 1.1 and a
number in 1.2, `0100` is 64 in one and 100 in the other.
"""

import math
import re

from yaml import ScalarNode

from bot.policy.faults import IT, InvalidValueError

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,30}")
# Numbers of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).
_NUMBER_1_2 = re.compile(
    r"[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_QUOTES = "put quotes around it if it is text"


def scalar_value(node: ScalarNode) -> str | int | float | bool:
    """Return the scalar's value; raises `InvalidValueError` where it has none or more than one meaning."""
    text: str = node.value
    match node.tag.removeprefix(_TAG):
        case "str":
            return _text(node, text)
        case "bool" if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        case "int" if _INT.fullmatch(text):
            return int(text)
        case "float" if _FLOAT.fullmatch(text):
            return _finite(float(text))
        case "null":
            raise InvalidValueError("there is no value here", "a value; or leave the key out")
        case "int" | "float":
            raise InvalidValueError(f"YAML would read {IT} as another number than it shows", _QUOTES)
        case "timestamp":
            raise InvalidValueError(f"YAML would read {IT} as a date", _QUOTES)
        case "value" | "merge":
            raise InvalidValueError(f"{IT} has a special meaning in YAML", _QUOTES)
        case _:
            raise InvalidValueError("YAML tags are not used in policies", "a value without `!`")


def foreign_value(node: ScalarNode) -> str | int | float | bool | None:
    """Return the scalar's value as programs in Go read it; what is no plain number is text.

    Raises `InvalidValueError` for half a character.
    """
    text: str = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool" if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        case "int" if _INT.fullmatch(text):
            return int(text)
        case "float" if _FLOAT.fullmatch(text):
            return float(text)
        case _:
            return whole_characters(text)


def _text(node: ScalarNode, text: str) -> str:
    # libyaml's style is '' where that of PyYAML's own parser is None.
    is_plain = not node.style
    if is_plain and _NUMBER_1_2.fullmatch(text):
        raise InvalidValueError(f"some programs read {IT} as a number, some as text", _QUOTES)
    return whole_characters(text)


def whole_characters(text: str) -> str:
    """Return a text; raises `InvalidValueError` where it holds half a character."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValueError("this holds half a character (a lone surrogate)", "whole characters")
    return text


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise InvalidValueError(f"{IT} is not a finite number", "a number")
    return number
