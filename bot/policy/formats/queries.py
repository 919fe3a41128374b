"""PromQL queries of other tools as SLIs of the own format. Pure.

A query that counts events is reduced to the selectors of its counters: then the ledger counts each event
once, asks for many SLOs together, and fills in the past. The shapes, each also in brackets:

    count  sum [by (…)] (rate|increase (SELECTOR[W]))   count + count   count − count
           count or vector(0)   count > 0   clamp_min(count, 0)
    ratio  count / count   1 − ratio   clamp(ratio, 0, 1)   ratio or vector(0)   ratio >= 0

What has another shape stays as it is, a ratio over time: the mean of the query's values.
"""

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    VectorSelector,
)

from bot.budgets.sources.prometheus.samples import RATIO_WINDOW
from bot.budgets.sources.prometheus.selectors import quoted
from bot.formatting import duration_code
from bot.policy.documents.promql_shapes import TEXT, LongQueryError, is_balanced, parse_promql

_PLACEHOLDER = re.compile(
    r"\{\{-?\s*\.?window\s*-?\}\}|\$\{?(?:__)?window\}?|(?<=\[)window(?=[\]:])", re.IGNORECASE
)
_TEXT = re.compile(TEXT)
_SPACE = re.compile(rf"({TEXT})|(?:\s|#[^\n]*)+")
_QUOTED_AT_MOST = 80
_COUNTING = ("rate", "increase")
_CLAMPS = {"clamp": (0, 1), "clamp_min": (0,), "clamp_max": (1,)}
"""The limits that no share of events passes. Of these only the 0 is one of counts."""
_FILTERS = (">", ">=", "!=")
_OPERATORS = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
_LE = "le"
_SHORTEST, _LONGEST = Decimal("0.001"), Decimal(86_400)
_GOOD_BUCKET = (
    "the bad events are those of a histogram's bucket, at or below {}: these are usually the good ones"
)
_NO_SHARE = (
    "its two queries count the events of different times, such as `rate` those of a second and `increase` "
    "those of a window; here both are counted over the same time"
)
_UNSUMMED = "`{}` is not summed in the query; the events of all its series are added up"
_OTHER_LANGUAGE = "Prometheus does not read this query ({}); it is asked as it is"


class QueryError(Exception):
    """A query cannot be read at all; the message says why."""


@dataclass(frozen=True, slots=True)
class ReadSli:
    """What stands under the source's name in an SLI of the own format.

    `by` are the labels by which the query counts apart. `changes` are what it counts differently now, and
    `warnings` what looks like a mistake, each a plain sentence without its period.
    """

    spec: dict[str, Any]
    by: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_ratio(self) -> bool:
        """Whether it is asked as it is, as a ratio over time."""
        return "ratio" in self.spec


@dataclass(frozen=True, slots=True)
class _Count:
    """The events of some selectors, less those of others.

    `per` is the time whose events are counted: `1s` by a rate, the window by an increase.
    """

    plus: tuple[VectorSelector, ...]
    per: str = ""
    minus: tuple[VectorSelector, ...] = ()
    by: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def added(self) -> str:
        return " + ".join(selector_text(selector) for selector in self.plus)


def events_sli(total: str, *, bad: str | None = None, good: str | None = None) -> ReadSli:
    """Return the SLI of two queries that count events, all and either the bad or the good ones.

    Raises `QueryError`.
    """
    part = bad if bad is not None else good
    if part is None:
        raise QueryError("there is neither a query for the bad events nor one for the good ones")
    (total_expr, total_fault), (part_expr, part_fault) = _parse(total), _parse(part)
    if total_expr is not None and part_expr is not None:
        sli = _counted(_count(total_expr), _count(part_expr), is_good=bad is None)
        if sli is not None:
            return sli
    share = f"({_asked(part)}) / ({_asked(total)})"
    return _as_it_is(share if bad is not None else f"1 - {share}", total_fault or part_fault)


def ratio_sli(query: str, *, is_good: bool = False) -> ReadSli:
    """Return the SLI of one query for the share of bad events, or of good ones; raises `QueryError`."""
    parsed, fault = _parse(query)
    sli = _share(parsed, is_good=is_good) if parsed is not None else None
    if sli is not None:
        return sli
    return _as_it_is(f"1 - ({_asked(query)})" if is_good else _asked(query), fault)


def selector_sli(total: str, *, bad: str | None = None, good: str | None = None) -> ReadSli:
    """Return the SLI of series selectors; raises `QueryError` for what is none."""
    selectors: dict[str, VectorSelector] = {}
    for name, text in {"total": total, "bad": bad, "good": good}.items():
        if text is None:
            continue
        selectors[name] = plain_selector(text)
    part = selectors.get("bad") or selectors.get("good")
    if part is None:
        raise QueryError("there is neither a selector of the bad events nor one of the good ones")
    sli = _counted(_Count((selectors["total"],)), _Count((part,)), is_good="good" in selectors)
    if sli is None:
        raise QueryError(f"`{_short(total)}` does not select what the other selector is a part of")
    return sli


def plain_selector(text: str) -> VectorSelector:
    """Return a series selector without `offset` and `@`; raises `QueryError` for what is none."""
    parsed, fault = _parse(text)
    if not isinstance(parsed, VectorSelector) or not _is_plain(parsed):
        raise QueryError(fault or f"`{_short(text)}` is not a series selector")
    return parsed


def selector_text(selector: VectorSelector, *, without: str | None = None) -> str:
    """Return a selector as text, its matchers as they were ordered; one label can be left out."""
    name = selector.name or ""
    matchers = _matchers(selector, without=without)
    return f"{name}{{{','.join(matchers)}}}" if matchers or not name else name


def _share(expr: Expr, *, is_good: bool) -> ReadSli | None:
    expr = _unwrapped(expr, is_share=True)
    match expr:
        case BinaryExpr() if _operator(expr) == "-" and _is_number(expr.lhs, 1):
            return _share(expr.rhs, is_good=not is_good)
        case BinaryExpr() if _operator(expr) == "/":
            total, part = _count(expr.rhs), _count(expr.lhs)
            return _counted(total, part, is_good=is_good)
        case _:
            return None


def _counted(total: _Count | None, part: _Count | None, *, is_good: bool) -> ReadSli | None:
    """Return the SLI of two counts; None where selectors cannot say it."""
    if total is None or part is None or total.minus or total.by != part.by:
        return None
    changes = tuple(dict.fromkeys((*total.changes, *part.changes)))
    if part.minus:
        # All but the others: what is left of the whole.
        if _texts(part.plus) != _texts(total.plus):
            return None
        part, is_good = replace(part, plus=part.minus, minus=()), not is_good
    warnings = (_NO_SHARE,) if total.per != part.per else ()
    histogram = _histogram(total, part) if is_good else None
    if histogram is not None:
        return ReadSli(histogram, total.by, changes, warnings)
    bounds = [] if is_good else [bound for each in part.plus if (bound := _bound(each)) is not None]
    if bounds and bounds[0] != "+Inf":
        warnings = (*warnings, _GOOD_BUCKET.format(bounds[0]))
    spec = {"total": total.added, "good" if is_good else "bad": part.added}
    return ReadSli(spec, total.by, changes, warnings)


def _histogram(total: _Count, good: _Count) -> dict[str, str] | None:
    """Return the latency SLI of a histogram's count and one of its buckets; None where they are not that."""
    if len(total.plus) != 1 or len(good.plus) != 1:
        return None
    whole, bucket = total.plus[0], good.plus[0]
    name, bound = (bucket.name or "").removesuffix("_bucket"), _bound(bucket)
    is_whole = whole.name == f"{name}_count" or (whole.name == bucket.name and _bound(whole) == "+Inf")
    if bound is None or not is_whole or not name.endswith("_seconds"):
        return None
    match, all_matches = (_matchers(selector, without=_LE) for selector in (bucket, whole))
    threshold = _threshold(bound)
    if threshold is None or sorted(match) != sorted(all_matches):
        return None
    return {"histogram": name, **({"match": ",".join(match)} if match else {}), "threshold": threshold}


def _threshold(bound: str) -> str | None:
    """Return a bucket's bound in seconds as policies write a duration; None where they cannot."""
    try:
        seconds = Decimal(bound)
    except InvalidOperation:
        return None
    if not seconds.is_finite() or not _SHORTEST <= seconds <= _LONGEST or seconds * 1000 % 1:
        return None
    return duration_code(timedelta(milliseconds=int(seconds * 1000)))


def _bound(selector: VectorSelector) -> str | None:
    """Return the bound of the one bucket that is selected."""
    bounds = [matcher for matcher in selector.matchers.matchers if matcher.name == _LE]
    return bounds[0].value if len(bounds) == 1 and bounds[0].op == MatchOp.Equal else None


def _count(expr: Expr) -> _Count | None:
    """Return whose events a query counts; None where selectors cannot say it."""
    expr = _unwrapped(expr)
    match expr:
        case AggregateExpr() if str(expr.op) == "sum":
            return _summed(expr)
        case Call() if expr.func.name in _COUNTING:
            count = _counter(expr)
            return count and replace(count, changes=(_UNSUMMED.format(_short(count.added)),))
        case BinaryExpr() if _operator(expr) in ("+", "-"):
            return _added(expr)
        case _:
            return None


def _added(expr: BinaryExpr) -> _Count | None:
    left, right = _count(expr.lhs), _count(expr.rhs)
    if left is None or right is None or (left.by, left.per) != (right.by, right.per):
        return None
    more, less = (right.plus, right.minus) if _operator(expr) == "+" else (right.minus, right.plus)
    changes = (*left.changes, *right.changes)
    return _Count((*left.plus, *more), left.per, (*left.minus, *less), left.by, changes)


def _summed(expr: AggregateExpr) -> _Count | None:
    by: tuple[str, ...] = ()
    if expr.modifier is not None:
        if str(expr.modifier).startswith("without"):
            return None
        by = tuple(expr.modifier.labels)
    inner = _unwrapped(expr.expr)
    # Of vectors that are added or subtracted, only the series that have a partner are left.
    count = _counter(inner) if isinstance(inner, Call) else None
    if count is None and isinstance(inner, AggregateExpr):
        count = _count(inner)
    return replace(count, by=by) if count is not None else None


def _counter(call: Call) -> _Count | None:
    if call.func.name not in _COUNTING or not isinstance(call.args[0], MatrixSelector):
        return None
    selector = call.args[0].vector_selector
    per = "1s" if call.func.name == "rate" else str(call.args[0].range)
    return _Count((selector,), per) if _is_plain(selector) else None


def _is_plain(selector: VectorSelector) -> bool:
    return selector.offset is None and selector.at is None and not selector.matchers.or_matchers


def _unwrapped(expr: Expr, *, is_share: bool = False) -> Expr:
    """Return a query without its brackets, and without its guards against nothing and what cannot be.

    A count is not below 0, a share is between 0 and 1. Any other limit changes what is counted, and stays.
    """
    while True:
        match expr:
            case ParenExpr():
                expr = expr.expr
            case Call() if _is_clamped_in_vain(expr, is_share=is_share):
                expr = expr.args[0]
            case BinaryExpr() if _operator(expr) == "or" and _is_constant_vector(expr.rhs):
                expr = expr.lhs
            case BinaryExpr() if (
                _operator(expr) in _FILTERS and _is_number(expr.rhs, 0) and not _is_bool(expr)
            ):
                expr = expr.lhs
            case _:
                return expr


def _operator(expr: BinaryExpr) -> str:
    return str(expr.op).lower()


def _is_bool(expr: BinaryExpr) -> bool:
    return expr.modifier is not None and expr.modifier.return_bool


def _is_number(expr: Expr, value: float) -> bool:
    while isinstance(expr, ParenExpr):
        expr = expr.expr
    if isinstance(expr, Call) and expr.func.name in ("vector", "scalar") and expr.args:
        return _is_number(expr.args[0], value)
    return isinstance(expr, NumberLiteral) and expr.val == value


def _is_clamped_in_vain(call: Call, *, is_share: bool) -> bool:
    """Return whether the limits of a call are ones that what is limited does not pass."""
    limits = _CLAMPS.get(call.func.name)
    if limits is None or not (is_share or limits == (0,)):
        return False
    return all(_is_number(each, limit) for each, limit in zip(call.args[1:], limits, strict=True))


def _is_constant_vector(expr: Expr) -> bool:
    """Return whether the query is a `vector(0)`, which stands for nothing."""
    while isinstance(expr, ParenExpr):
        expr = expr.expr
    return isinstance(expr, Call) and expr.func.name == "vector" and _is_number(expr, 0)


def _matchers(selector: VectorSelector, *, without: str | None = None) -> list[str]:
    return [
        f"{matcher.name}{_OPERATORS[str(matcher.op)]}{quoted(matcher.value)}"
        for matcher in selector.matchers.matchers
        if matcher.name != without
    ]


def _texts(selectors: tuple[VectorSelector, ...]) -> list[tuple[str | None, list[str]]]:
    """Return what distinguishes selectors, in whatever order they and their matchers are written."""
    return sorted(((each.name, sorted(_matchers(each))) for each in selectors), key=str)


def _parse(query: str) -> tuple[Expr | None, str | None]:
    """Return the tree of a query, or what Prometheus' language lacks of it; raises `QueryError`."""
    if not query.strip():
        raise QueryError("the query is empty")
    text = _asked(query)
    if "{{" in text or "}}" in text:
        raise QueryError(f"`{_short(query)}` holds a template that was not filled in")
    if not is_balanced(text):
        raise QueryError(f"a bracket or a quote in `{_short(query)}` is not closed")
    try:
        # The parser knows no texts in backticks.
        return parse_promql(_TEXT.sub(_in_double_quotes, text)), None
    except LongQueryError:
        return None, None
    except ValueError as error:
        return None, str(error)


def _in_double_quotes(text: re.Match[str]) -> str:
    found = text[0]
    return quoted(found[1:-1]) if found.startswith("`") else found


def _asked(query: str) -> str:
    """Return a query as it is asked at each moment, on one line; `RATIO_WINDOW` is its window."""
    return _SPACE.sub(lambda found: found[1] or " ", _PLACEHOLDER.sub(RATIO_WINDOW, query)).strip()


def _as_it_is(query: str, fault: str | None) -> ReadSli:
    return ReadSli({"ratio": query}, warnings=(_OTHER_LANGUAGE.format(fault),) if fault else ())


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED_AT_MOST else f"{text[: _QUOTED_AT_MOST - 1]}…"
