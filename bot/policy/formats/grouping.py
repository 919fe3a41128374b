"""One SLO for each value of a label, as `forEach` of the own format has it. Pure."""

from collections.abc import Mapping
from typing import Any

from promql_parser import BinaryExpr, Expr, ParenExpr, VectorSelector

from bot.policy.documents.promql_shapes import parse_promql
from bot.policy.formats.queries import selector_text

_SELECTORS = ("total", "bad", "good", "gauge")


class NotGroupedError(ValueError):
    """An SLI in which no label can be named."""


def grouped(slo: Mapping[str, Any], label: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the SLO of one value of a label, and where its values come from: keys of `forEach`.

    Raises `NotGroupedError`.
    """
    ((source, spec),) = slo["sli"].items()
    placeholder = f'{label}="%{{{label}}}"'
    named: dict[str, Any] = dict(spec) if isinstance(spec, Mapping) else {}
    if "histogram" in named:
        match = named.get("match", "")
        named["match"] = ",".join(filter(None, (match, placeholder)))
        name = named["histogram"] + ("" if named.get("native") else "_count")
        selector = f"{name}{{{match}}}" if match else name
    else:
        texts = [key for key in _SELECTORS if key in named]
        if not texts:
            raise NotGroupedError(source)
        parsed = {key: _parsed(named[key]) for key in texts}
        selector = selector_text(_selectors(parsed[texts[0]])[0])
        named |= {
            key: " + ".join(_with_matcher(selector, placeholder) for selector in _selectors(tree))
            for key, tree in parsed.items()
        }
    return {**slo, "sli": {source: named}}, {"label": label, "source": source, "match": selector}


def _parsed(query: str) -> Expr:
    try:
        return parse_promql(query)
    except ValueError as error:
        raise NotGroupedError(query) from error


def _selectors(tree: Expr) -> list[VectorSelector]:
    """Return the selectors that are added up."""
    match tree:
        case VectorSelector():
            return [tree]
        case ParenExpr():
            return _selectors(tree.expr)
        case BinaryExpr() if str(tree.op) == "+":
            return [*_selectors(tree.lhs), *_selectors(tree.rhs)]
        case _:
            raise NotGroupedError(str(tree))


def _with_matcher(selector: VectorSelector, matcher: str) -> str:
    text = selector_text(selector)
    return f"{text[:-1]},{matcher}}}" if text.endswith("}") else f"{text}{{{matcher}}}"
