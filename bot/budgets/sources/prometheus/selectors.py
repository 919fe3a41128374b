"""Series selectors: which of them differ only in label values, and how to join those into one.

https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors

`http_requests_total{service="a"}` and the same with `"b"` become `http_requests_total{service=~"a|b"}`,
summed `by (service)`. The bound of a bucket (`le`) is a number: `"5"` and `"5.0"` are the same. Pure; no
clock, no I/O.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from bot.budgets.sources.prometheus.bounds import BOUND, bound_of, spellings

_TEXT = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"""
_METRIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*")
_COUNTER = re.compile("(.+)_(?:total|count|bucket|sum)")
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(?:,|(?=\}))"""
)
_TOKEN = re.compile(rf"(?s){_TEXT}|.")
# Of what stands in quotes, nothing is a matcher.
_BOUND_MATCHER = re.compile(rf"(?P<before>[{{,]\s*){BOUND}\s*(?P<operator>!?=)\s*(?P<value>{_TEXT})|{_TEXT}")
_END = re.compile(r"\s*\}\s*$")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
# Exactly what Go's regexp.QuoteMeta escapes: then servers look the values up one by one.
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")

_MOST_KNOWN = 100_000
"""How many selectors are remembered as they were parsed: more than any catalog has."""

_MOST_SURPLUS = 2
"""How many combinations of values may be matched for each one that is needed."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher within the braces; `text` is its source text."""

    label: str
    operator: str
    value: str
    text: str

    @property
    def may_vary(self) -> bool:
        """Whether the series of selectors that differ in its value can be distinguished by the label."""
        return self.operator == "=" and self.value != ""


@dataclass(frozen=True)
class Selector:
    """A metric's name and the matchers, ordered by label."""

    metric: str
    matchers: tuple[Matcher, ...]

    @cached_property
    def shape(self) -> Hashable:
        """The same for selectors that differ only in the values that labels must equal."""
        matchers = (
            (matcher.label, matcher.operator, None if matcher.may_vary else matcher.value)
            for matcher in self.matchers
        )
        return self.metric, tuple(matchers)

    @cached_property
    def values(self) -> Mapping[str, str]:
        """The values that labels must equal, by the label."""
        return {matcher.label: matcher.value for matcher in self.matchers if matcher.may_vary}


@dataclass(frozen=True, slots=True)
class JoinedSelector:
    """Several selectors as one: its text, the labels that distinguish them, and their values of these."""

    text: str
    by: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


def with_any_spelling(query: str) -> str:
    """Return a query in which every matcher of a bucket's bound matches the number, however it is spelt."""

    def matching(found: re.Match[str]) -> str:
        value = _unquoted(found["value"]) if found["value"] else None
        if value is None or bound_of(value) is None:
            return found[0]
        return f"{found['before']}{_matcher(BOUND, found['operator'], value, '').text}"

    return _BOUND_MATCHER.sub(matching, query)


def quoted(text: str) -> str:
    """Return a label's value as a selector has it."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")
    return f'"{escaped}"'


def addends(text: str) -> list[str]:
    """Return the parts of a sum: what stands between the `+` that are in no quotes."""
    if "+" not in text:
        return [text]
    parts = [""]
    for token in _TOKEN.findall(text):
        if token == "+":  # noqa: S105 - a piece of a query
            parts.append("")
        else:
            parts[-1] += token
    return parts


@lru_cache(maxsize=_MOST_KNOWN)
def parse(text: str) -> Selector | None:
    """Return the parsed selector; None for anything that is not a plain selector."""
    name = _METRIC.match(text)
    if name is None:
        return None
    position, matchers = name.end(), []
    if position < len(text):
        if text[position] != "{":
            return None
        position += 1
        while match := _MATCHER.match(text, position):
            value = _unquoted(match[3])
            if value is None:
                return None
            matchers.append(_matcher(match[1], match[2], value, f"{match[1]}{match[2]}{match[3]}"))
            position = match.end()
        if not _END.match(text, position):
            return None
    labels = {matcher.label for matcher in matchers}
    if len(labels) < len(matchers) or "__name__" in labels:
        return None
    return Selector(name[1], tuple(sorted(matchers, key=lambda matcher: matcher.label)))


def created_selector(text: str) -> str | None:
    """Return what selects the series that say since when counters count; None where there are none.

    https://prometheus.io/docs/specs/om/open_metrics_spec/#counter
    """
    selector = parse(text)
    name = None if selector is None else _COUNTER.fullmatch(selector.metric)
    if selector is None or name is None:
        return None
    matchers = ",".join(matcher.text for matcher in selector.matchers if matcher.label != BOUND)
    return f"{name[1]}_created{{{matchers}}}"


@lru_cache(maxsize=_MOST_KNOWN)
def is_part_of(part: str, whole: str) -> bool:
    """Return whether every series of `part` is certainly one of `whole`."""
    narrow, wide = parse(part), parse(whole)
    if narrow is None or wide is None:
        return part == whole
    narrow_matchers = {(matcher.label, matcher.operator, matcher.value) for matcher in narrow.matchers}
    wide_matchers = {(matcher.label, matcher.operator, matcher.value) for matcher in wide.matchers}
    return narrow.metric == wide.metric and wide_matchers <= narrow_matchers


@lru_cache(maxsize=64)
def join(selectors: tuple[str, ...]) -> JoinedSelector:
    """Return one selector for several of the same shape; a single one keeps its text."""
    if len(set(selectors)) == 1:
        return JoinedSelector(_of_any_spelling(selectors[0]), (), ((),) * len(selectors))
    parsed = [_parsed(text) for text in selectors]
    by = _varying([selector.values for selector in parsed])
    values = tuple(tuple(selector.values[label] for label in by) for selector in parsed)
    matchers = [
        _joined(matcher.label, {selector.values[matcher.label] for selector in parsed})
        if matcher.label in by
        else matcher.text
        for matcher in parsed[0].matchers
    ]
    return JoinedSelector(f"{parsed[0].metric}{{{','.join(matchers)}}}", by, values)


def _joined(label: str, values: set[str]) -> str:
    return f'{label}=~"{_pattern(label, values)}"'


def families(members: Sequence[tuple[str, ...]], at_most: int) -> list[list[int]]:
    """Divide members, each some selectors of the same shapes, into groups of indices to join.

    A group's values are (nearly) all combinations of each label's, so that the joined selector matches few
    series that are not needed; no group is larger than `at_most`.
    """
    values = [_values(member) for member in members]
    groups: list[list[int]] = []
    pending = [list(range(len(members)))]
    while pending:
        group = pending.pop()
        distinct = {label: {values[index][label] for index in group} for label in values[group[0]]}
        varying = sorted(
            (len(label_values), label) for label, label_values in distinct.items() if len(label_values) > 1
        )
        if not all(
            _is_dense(place, distinct, [values[index] for index in group]) for place in range(len(members[0]))
        ):
            by_value = defaultdict(list)
            for index in group:
                by_value[values[index][varying[0][1]]].append(index)
            pending += by_value.values()
            continue
        group.sort(key=lambda index: [values[index][label] for _, label in varying])
        groups += _divided(group, values, [label for _, label in reversed(varying)], at_most)
    return groups


def _divided(
    group: Sequence[int],
    values: Sequence[Mapping[tuple[int, str], str]],
    labels: Sequence[tuple[int, str]],
    at_most: int,
) -> list[list[int]]:
    """Divide a group that is too large between values of its labels, so that each part is as dense.

    Cut anywhere, a part would match the combinations of its values that another part needs.
    """
    if len(group) <= at_most or not labels:
        return [list(group[first : first + at_most]) for first in range(0, len(group), at_most)]
    by_value: dict[str, list[int]] = defaultdict(list)
    for index in group:
        by_value[values[index][labels[0]]].append(index)
    parts: list[list[int]] = []
    filling: list[int] = []
    for alike in by_value.values():
        if filling and len(filling) + len(alike) > at_most:
            parts.append(filling)
            filling = []
        if len(alike) > at_most:
            parts += _divided(alike, values, labels[1:], at_most)
        else:
            filling = filling + alike
    return [*parts, filling] if filling else parts


def _is_dense(
    place: int, distinct: Mapping[tuple[int, str], set[str]], values: Sequence[Mapping[tuple[int, str], str]]
) -> bool:
    """Return whether the selectors at one place use most of the combinations of their values."""
    labels = [label for label in distinct if label[0] == place]
    used = {tuple(member_values[label] for label in labels) for member_values in values}
    return prod(len(distinct[label]) for label in labels) <= _MOST_SURPLUS * len(used)


def _values(member: Sequence[str]) -> dict[tuple[int, str], str]:
    """Return the values that labels must equal, by the selector's place and the label."""
    return {
        (place, label): value
        for place, text in enumerate(member)
        for label, value in _parsed(text).values.items()
    }


def _parsed(text: str) -> Selector:
    selector = parse(text)
    if selector is None:
        raise ValueError(f"{text} cannot be joined with others")
    return selector


def _varying(values: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(
        label for label in values[0] if len({selector_values[label] for selector_values in values}) > 1
    )


def _matcher(label: str, operator: str, value: str, text: str) -> Matcher:
    """Return a matcher; one of a bucket's bound matches the number, however it is spelt."""
    if label == BOUND and operator in ("=", "!=") and bound_of(value) is not None:
        value = bound_of(value) or value
        matches = "=~" if operator == "=" else "!~"
        text = f'{label}{matches}"{_pattern(label, {value})}"'
    return Matcher(label, operator, value, text)


def _of_any_spelling(text: str) -> str:
    """Return a selector whose bound of a bucket is matched as a number; any other text as it is."""
    selector = parse(text)
    if selector is None or not any(matcher.label == BOUND for matcher in selector.matchers):
        return text
    return f"{selector.metric}{{{','.join(matcher.text for matcher in selector.matchers)}}}"


def _pattern(label: str, values: set[str]) -> str:
    """Return a pattern that matches these values and no other, escaped for a query."""
    texts = [text for value in sorted(values) for text in (spellings(value) if label == BOUND else (value,))]
    pattern = "|".join(_META.sub(r"\\\g<0>", text) for text in texts)
    return pattern.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")


def _unquoted(text: str) -> str | None:
    """Return the value of a quoted string; None where it uses rare escapes."""
    inner = text[1:-1]
    if text[0] == "`" or "\\" not in inner:
        return inner
    if any(character not in _ESCAPED for character in _ESCAPE.findall(inner)):
        return None
    return _ESCAPE.sub(lambda match: _ESCAPED[match[1]], inner)
