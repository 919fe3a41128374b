"""Series selectors: which of them differ only in label values, and how those are asked for as one.

https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors

`http_requests_total{service="a"}` and the same with `"b"` become `http_requests_total{service=~"a|b"}`,
summed `by (service)`. Pure; no clock, no I/O.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

_METRIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*")
_MATCHER = re.compile(
    r"""\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(?:,|(?=\}))"""
)
_END = re.compile(r"\s*\}\s*$")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
# What Go's regexp.QuoteMeta escapes, and no more: with these servers look the values up one by one.
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")

_MOST_UNASKED = 2
"""How many combinations of values may be matched for each one that is asked for."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher within the braces; `text` is how it was written."""

    label: str
    operator: str
    value: str
    text: str

    @property
    def may_vary(self) -> bool:
        """Whether selectors that differ in its value can be told apart by the label."""
        return self.operator == "=" and self.value != ""


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric's name and the matchers, ordered by label."""

    metric: str
    matchers: tuple[Matcher, ...]

    @property
    def shape(self) -> Hashable:
        """The same for selectors that differ only in the values that labels must equal."""
        kept = ((m.label, m.operator, None if m.may_vary else m.value) for m in self.matchers)
        return self.metric, tuple(kept)

    @property
    def values(self) -> dict[str, str]:
        """What labels must equal, by their name."""
        return {matcher.label: matcher.value for matcher in self.matchers if matcher.may_vary}


@dataclass(frozen=True, slots=True)
class JoinedSelector:
    """Several selectors as one: its text, the labels that tell them apart, and each one's values of these."""

    text: str
    by: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=16_384)
def parse(text: str) -> Selector | None:
    """Return what a selector says; None for everything that is not plainly one."""
    name = _METRIC.match(text)
    if name is None:
        return None
    at, matchers = name.end(), []
    if at < len(text):
        if text[at] != "{":
            return None
        at += 1
        while found := _MATCHER.match(text, at):
            value = _unquoted(found[3])
            if value is None:
                return None
            matchers.append(Matcher(found[1], found[2], value, f"{found[1]}{found[2]}{found[3]}"))
            at = found.end()
        if not _END.match(text, at):
            return None
    labels = {matcher.label for matcher in matchers}
    if len(labels) < len(matchers) or "__name__" in labels:
        return None
    return Selector(name[1], tuple(sorted(matchers, key=lambda matcher: matcher.label)))


@lru_cache(maxsize=16_384)
def is_part_of(part: str, whole: str) -> bool:
    """Return whether every series of one selector certainly is one of the other's."""
    narrow, wide = parse(part), parse(whole)
    if narrow is None or wide is None:
        return part == whole
    kept = {(matcher.label, matcher.operator, matcher.value) for matcher in narrow.matchers}
    asked = {(matcher.label, matcher.operator, matcher.value) for matcher in wide.matchers}
    return narrow.metric == wide.metric and asked <= kept


@lru_cache(maxsize=64)
def join(selectors: tuple[str, ...]) -> JoinedSelector:
    """Return one selector for several of one shape; a single one stays as it was written."""
    if len(set(selectors)) == 1:
        return JoinedSelector(selectors[0], (), ((),) * len(selectors))
    parsed = [_parsed(text) for text in selectors]
    by = _varying([selector.values for selector in parsed])
    values = tuple(tuple(selector.values[label] for label in by) for selector in parsed)
    matchers = [
        f'{matcher.label}=~"{_pattern({selector.values[matcher.label] for selector in parsed})}"'
        if matcher.label in by
        else matcher.text
        for matcher in parsed[0].matchers
    ]
    return JoinedSelector(f"{parsed[0].metric}{{{','.join(matchers)}}}", by, values)


def families(members: Sequence[tuple[str, ...]], at_most: int) -> list[list[int]]:
    """Sort members, each some selectors of the same shapes, into groups to ask together, by their index.

    A group's values are (nearly) all combinations of each label's, so that joining them asks for few
    series that nobody wants; none is larger than `at_most`.
    """
    values = [_values(member) for member in members]
    found: list[list[int]] = []
    waiting = [list(range(len(members)))]
    while waiting:
        group = waiting.pop()
        distinct = {label: {values[one][label] for one in group} for label in values[group[0]]}
        varying = sorted((len(texts), label) for label, texts in distinct.items() if len(texts) > 1)
        if not all(_is_dense(at, distinct, [values[one] for one in group]) for at in range(len(members[0]))):
            parts = defaultdict(list)
            for one in group:
                parts[values[one][varying[0][1]]].append(one)
            waiting += parts.values()
            continue
        group.sort(key=lambda one: [values[one][label] for _, label in varying])
        found += [group[at : at + at_most] for at in range(0, len(group), at_most)]
    return found


def _is_dense(
    at: int, distinct: Mapping[tuple[int, str], set[str]], values: Sequence[Mapping[tuple[int, str], str]]
) -> bool:
    """Return whether the selectors at one place take up most of the combinations of their values."""
    labels = [label for label in distinct if label[0] == at]
    taken = {tuple(each[label] for label in labels) for each in values}
    return prod(len(distinct[label]) for label in labels) <= _MOST_UNASKED * len(taken)


def _values(member: Sequence[str]) -> dict[tuple[int, str], str]:
    """Return what labels must equal, by the selector's place and their name."""
    return {
        (at, label): value for at, text in enumerate(member) for label, value in _parsed(text).values.items()
    }


def _parsed(text: str) -> Selector:
    selector = parse(text)
    if selector is None:
        raise ValueError(f"{text} cannot be joined with others")
    return selector


def _varying(values: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(label for label in values[0] if len({each[label] for each in values}) > 1)


def _pattern(values: set[str]) -> str:
    """Return a pattern that matches these values and no other, escaped for a query."""
    pattern = "|".join(_META.sub(r"\\\g<0>", value) for value in sorted(values))
    return pattern.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\r", r"\r")


def _unquoted(text: str) -> str | None:
    """Return what a quoted string stands for; None for escapes that are seldom used."""
    inner = text[1:-1]
    if text[0] == "`" or "\\" not in inner:
        return inner
    if any(sign not in _ESCAPED for sign in _ESCAPE.findall(inner)):
        return None
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], inner)
