"""What is wrong with a text that is not YAML, in plain words and where it began.

YAML's parser stops where it cannot go on, often lines after the mistake, and tells what it expected there.
"""

import re

from yaml.error import Mark, MarkedYAMLError

from bot.policy.faults import PolicyFault, quoted
from bot.policy.yaml.source_text import SourceText

_BRACKETS = {"{": ("brace", "}"), "[": ("bracket", "]")}
_KEY_WITHOUT_SPACE = re.compile(r"\s*(?:- )?[\w.-]+:(?=[^\s:/])")
_Said = tuple[Mark | int, str, str]


def syntax_fault(text: SourceText, error: MarkedYAMLError) -> PolicyFault:
    """Return the fault: where the mistake is, what it is, and what to write instead."""
    mark = error.problem_mark or error.context_mark
    index = mark.index if mark is not None else 0
    line = text.text.rfind("\n", 0, index) + 1
    if "${" in text.line_from(line) and "cannot start any token" not in (error.problem or ""):
        return text.fault(index, f"not YAML: {error.problem}", 'quotes around "${…}" within braces')
    place, message, allowed = _explained(text, error, index, line)
    return text.fault(place, message, allowed)


def _explained(text: SourceText, error: MarkedYAMLError, index: int, line: int) -> _Said:
    began = error.context_mark.index if error.context_mark is not None else index
    return _by_context(text, error.context or "", index, began) or _by_problem(text, error, index, line)


def _by_context(text: SourceText, context: str, index: int, began: int) -> _Said | None:
    """Return what is wrong with what the parser was reading since `began`; None where that says nothing."""
    sign = text.text[began : began + 1]
    said: _Said | None = None
    match context:
        case "while parsing a flow mapping" | "while parsing a flow sequence" if sign in _BRACKETS:
            said = _within_brackets(text, index, began)
        case "while scanning a quoted scalar":
            message = f"the quote {quoted(sign)} that begins here is not closed"
            said = began, message, f"{quoted(sign)} at the end"
        case "while scanning a double-quoted scalar" if text.text[index - 1 : index] == "\\":
            said = index, "the backslash in this quoted text is before a wrong character", "single quotes"
        case "while scanning a simple key":
            word = text.line_from(began).strip()
            said = began, f"there is no colon after {quoted(word)}", "KEY: VALUE"
        case "while scanning a block scalar":
            said = index, f"a text after {quoted(sign)} begins on the next line", "a new line here"
    return said


def _by_problem(text: SourceText, error: MarkedYAMLError, index: int, line: int) -> _Said:
    problem = error.problem or "this is not YAML"
    context = f" ({error.context})" if error.context else ""
    said: _Said = index, f"not YAML: {problem}{context}", ""
    if match := re.fullmatch(r"found character '(.+)' that cannot start any token", problem):
        if match[1] == "\\t":
            said = index, "a tab is used where YAML wants spaces", "indent with spaces"
        else:
            said = index, f"a text cannot begin with {quoted(match[1])}", "quotes around it"
    elif problem == "mapping values are not allowed here":
        said = _unexpected_key(text, index, line)
    elif problem.startswith(("expected <block end>", "expected the node content")):
        said = _unexpected(text, index, line)
    elif match := re.fullmatch(r"found undefined alias '?(.+?)'?", problem):
        said = index, f"undefined alias {quoted('*' + match[1])}", "quotes around it if it is text"
    return said


def _within_brackets(text: SourceText, index: int, began: int) -> _Said:
    """Return what is wrong within `{…}` or `[…]`, which begin at `began`."""
    name, closing = _BRACKETS[text.text[began]]
    found = text.text[index : index + 1]
    first, _ = text.position(began)
    if found in {"}", "]"} and found != closing:
        message = f"{quoted(found)} is where {quoted(closing)} has to close the {name} of line {first}"
        return index, message, quoted(closing)
    is_on_same_line = "\n" not in text.text[began:index] and index < len(text.text.rstrip())
    if is_on_same_line and found:
        return index, "a comma is missing before this", f"a comma, or {quoted(closing)}"
    return began, f"the {name} {quoted(text.text[began])} that opens here is not closed", quoted(closing)


def _unexpected_key(text: SourceText, index: int, line: int) -> _Said:
    """Return why there may be no key here: a colon too many, a space too few, or wrong indentation."""
    before = text.text[line:index]
    start = line + len(before) - len(before.lstrip())
    previous = _line_before(text, line)
    glued = _KEY_WITHOUT_SPACE.match(text.text[previous:line]) if previous is not None else None
    if glued is not None and ": " not in before:
        place = (previous or 0) + glued.end()
        return place, "a space is missing after the colon", "KEY: VALUE"
    if ": " in before or before.lstrip().startswith(("'", '"')):
        return index, "there is a second colon in one line", "quotes around a text with a colon in it"
    return (
        start,
        "this line is indented further than the one before it, which has a value already",
        ("the same indentation as the keys beside it"),
    )


def _unexpected(text: SourceText, index: int, line: int) -> _Said:
    """Return why something stands where nothing may stand."""
    found = text.text[index : index + 1]
    opened = None if found else _unclosed(text.text)
    if opened is not None:
        return _within_brackets(text, index, opened)
    if found in {"}", "]"}:
        return index, f"{quoted(found)} closes nothing", "take it out, or put quotes around the text"
    if text.text[line:index].strip():
        return index, "something comes after the end of the value", "quotes around the whole text"
    previous = _line_before(text, line)
    own, before = index - line, _indentation(text, previous)
    if own == before and found == "-":
        return index, "a list item is among keys", "KEY: before the list"
    message = "the indentation of this line fits none of the lines above it"
    return index, message, "the same indentation as the keys or items beside it"


def _unclosed(text: str) -> int | None:
    """Return where the last brace or bracket opens that is not closed."""
    opened: list[int] = []
    for index, sign in enumerate(text):
        if sign in _BRACKETS:
            opened.append(index)
        elif opened and sign == _BRACKETS[text[opened[-1]]][1]:
            opened.pop()
    return opened[-1] if opened else None


def _line_before(text: SourceText, line: int) -> int | None:
    """Return where the last line with something in it before the line at `line` begins."""
    while line > 0:
        line = text.text.rfind("\n", 0, line - 1) + 1
        if text.line_from(line).strip():
            return line
    return None


def _indentation(text: SourceText, line: int | None) -> int | None:
    if line is None:
        return None
    written = text.line_from(line)
    return len(written) - len(written.lstrip(" "))
