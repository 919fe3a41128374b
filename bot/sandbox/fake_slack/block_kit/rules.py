"""Combinators for the validation of JSON values, with Slack's error messages.

A rule takes a value and its JSON pointer and yields the faults it finds. The rules of
blocks and elements are built from these; nothing here knows what a block is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

Rule = Callable[[object, str], Iterator[str]]


def fault(message: str, pointer: str) -> str:
    """Return a fault in the form of Slack's `response_metadata.messages`."""
    return f"[ERROR] {message} [json-pointer:{pointer}]"


def anything(_value: object, _pointer: str) -> Iterator[str]:
    """Accept every value."""
    yield from ()


def boolean(value: object, pointer: str) -> Iterator[str]:
    """Accept `true` and `false`."""
    if not isinstance(value, bool):
        yield fault("must provide a boolean", pointer)


def string(*, longest: int | None = None, shortest: int = 0) -> Rule:
    """Accept a string of `shortest` to `longest` characters."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield fault("must provide a string", pointer)
        elif longest is not None and len(value) > longest:
            yield fault(f"must be less than {longest + 1} characters", pointer)
        elif len(value) < shortest:
            yield fault(f"must be more than {shortest - 1} characters", pointer)

    return check


def number(*, above: float | None = None) -> Rule:
    """Accept any number, or only those greater than `above`."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield fault("must provide a number", pointer)
        elif above is not None and value <= above:
            yield fault(f"must be greater than {above:g}", pointer)

    return check


def integer(*, least: int, most: int | None = None) -> Rule:
    """Accept an integer from `least` to `most`."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int):
            yield fault("must provide an integer", pointer)
        elif value < least or (most is not None and value > most):
            yield fault(f"must be between {least} and {most}", pointer)

    return check


def one_of(*values: str) -> Rule:
    """Accept one of the named strings."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if value not in values:
            yield fault(f"must be a valid enum value ({', '.join(values)})", pointer)

    return check


def items(rule: Rule, *, most: int | None = None, least: int = 1) -> Rule:
    """Accept a list of `least` to `most` values that each satisfy `rule`."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield fault("must provide an array", pointer)
            return
        if most is not None and len(value) > most:
            yield fault(f"no more than {most} items allowed", pointer)
        if len(value) < least:
            yield fault(f"no less than {least} items allowed", pointer)
        for index, item in enumerate(value):
            yield from rule(item, f"{pointer}/{index}")

    return check


def shape(
    required: Mapping[str, Rule],
    optional: Mapping[str, Rule] | None = None,
    *,
    any_of: Sequence[str] = (),
    also: Rule = anything,
) -> Rule:
    """Accept an object with the `required` fields, perhaps `optional` ones, and no others.

    `any_of` names optional fields of which one must be present; `also` is a rule for the
    whole object, applied last.
    """
    known = {**required, **(optional or {})}

    def check(value: object, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield fault("must provide an object", pointer)
            return
        for name in required:
            if value.get(name) is None:
                yield fault(f"missing required field: {name}", pointer)
        if any_of and all(value.get(name) is None for name in any_of):
            yield fault(f"must have at least one of: {', '.join(any_of)}", pointer)
        for name, field in value.items():
            if name not in known:
                yield fault(f"invalid additional property: {name}", pointer)
            elif field is not None:
                yield from known[name](field, f"{pointer}/{name}")
        yield from also(value, pointer)

    return check


def by_type(shapes: Mapping[str, Rule], *, noun: str = "type") -> Rule:
    """Accept an object whose `type` is a key of `shapes` and which satisfies that rule."""

    def check(value: object, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield fault("must provide an object", pointer)
            return
        kind = value.get("type")
        if kind is None:
            yield fault("missing required field: type", pointer)
        elif not isinstance(kind, str) or kind not in shapes:
            yield fault(f"unsupported {noun}: {kind}", f"{pointer}/type")
        else:
            yield from shapes[kind](value, pointer)

    return check
