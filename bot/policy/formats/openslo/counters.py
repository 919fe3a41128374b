"""Counters as OpenSLO writes them: queries without a time window, such as `sum(requests_total)`. Pure.

OpenSLO says beside a query whether it is a monotonically increasing counter, and leaves it to the program how
its increase is asked for.
"""

import re
from typing import Final

from promql_parser import AggregateExpr, BinaryExpr, Expr, ParenExpr, VectorSelector

from bot.policy.documents.promql_shapes import parse_promql
from bot.policy.formats.queries import selector_text

WINDOW: Final = "{{.window}}"
"""The placeholder for a time window, as Sloth writes it; `queries` knows it."""
_ADDING: Final = ("+", "-")
_COUNTER: Final = re.compile(r"(?:_total|_count|_bucket|_sum)$")
_PLACEHOLDER: Final = re.compile(
    r"\{\{-?\s*\.?window\s*-?\}\}|\$\{?(?:__)?window\}?|(?<=\[)window(?=[\]:])", re.IGNORECASE
)


def increase_of(query: str) -> str | None:
    """Return the query for the increase of counters that a query names or sums; None where it is another."""
    tree = _parsed(query)
    return _increase(tree) if tree is not None else None


def counters_of(query: str) -> tuple[str, ...]:
    """Return the names of the counters in a query that asks for their values, by their usual names."""
    tree = _parsed(query)
    if tree is None or _increase(tree) is None:
        return ()
    return tuple(name for name in _names(tree) if _COUNTER.search(name))


def is_promql(query: str) -> bool:
    """Return whether a query is one in Prometheus' language."""
    return _parsed(query) is not None


def _parsed(query: str) -> Expr | None:
    try:
        return parse_promql(_PLACEHOLDER.sub("5m", query))
    except ValueError:
        return None


def _increase(tree: Expr) -> str | None:
    match tree:
        case ParenExpr():
            return _increase(tree.expr)
        case VectorSelector():
            return f"sum(increase({selector_text(tree)}[{WINDOW}]))" if _is_plain(tree) else None
        case AggregateExpr() if str(tree.op) == "sum" and tree.param is None:
            return _summed(tree)
        case BinaryExpr() if str(tree.op) in _ADDING and tree.modifier is None:
            left, right = _increase(tree.lhs), _increase(tree.rhs)
            return f"({left}) {tree.op} ({right})" if left and right else None
        case _:
            return None


def _summed(tree: AggregateExpr) -> str | None:
    inner = tree.expr
    while isinstance(inner, ParenExpr):
        inner = inner.expr
    if not isinstance(inner, VectorSelector) or not _is_plain(inner):
        return None
    by = f" {tree.modifier} " if tree.modifier is not None else ""
    return f"sum{by}(increase({selector_text(inner)}[{WINDOW}]))"


def _is_plain(selector: VectorSelector) -> bool:
    return selector.offset is None and selector.at is None and not selector.matchers.or_matchers


def _names(tree: Expr) -> list[str]:
    match tree:
        case ParenExpr() | AggregateExpr():
            return _names(tree.expr)
        case BinaryExpr():
            return [*_names(tree.lhs), *_names(tree.rhs)]
        case VectorSelector():
            return [tree.name or ""]
        case _:
            return []


def over(query: str, window: str) -> str:
    """Return a query on one line, its placeholder for the time window replaced."""
    return " ".join(_PLACEHOLDER.sub(window, query).split())


def has_placeholder(query: str) -> bool:
    """Return whether a query leaves its time window to whoever asks it."""
    return _PLACEHOLDER.search(query) is not None
