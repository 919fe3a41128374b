"""The syntax of PromQL in a policy: selectors, matchers, queries. Pure.

Not a PromQL parser: it distinguishes the two allowed forms and rejects what can be neither. The grammar
of selectors: https://prometheus.io/docs/prometheus/latest/querying/basics/

ValueError
└── LongQueryError   a query is too long for the parser
"""

import re
from typing import Final

import promql_parser

from bot.budgets.sources.prometheus.selectors import addends
from bot.policy.faults import IT, InvalidValueError

METRIC = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
TEXT = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`"""
_MATCHER = rf"(?:{LABEL}|{TEXT})\s*(?:=~|!~|!=|=)\s*(?:{TEXT})"
# Since Prometheus 3 a quoted metric name may be among the matchers.
_MATCHERS = rf"\s*(?:(?:{_MATCHER}|{TEXT})\s*(?:,\s*(?:{_MATCHER}|{TEXT})\s*)*,?\s*)?"
_SELECTOR = re.compile(rf"\s*(?=[^\s])(?:{METRIC})?\s*(?:\{{(?P<within>{_MATCHERS})\}})?\s*")
WINDOW = re.compile(r"\$window(?![A-Za-z0-9_])")
_MOST_ADDENDS = 20
_BRACES = re.compile(r"\{[^{}]*\}")
_OPERATOR = re.compile(r"[^\w\s]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_MOST_OPERATORS: Final = 300
"""How many brackets and operators, each of which may be a level of its tree, a query has at most."""
_CLOSING = {")": "(", "]": "[", "}": "{"}

FORMS = (
    'either a series selector, such as http_requests_total{service="checkout"}, a sum of several, '
    "or a full query that counts the events in $window, such as "
    'sum(increase(http_requests_total{service="checkout"}[$window]))'
)


class LongQueryError(ValueError):
    """A query has more brackets and operators than can be parsed."""


def parse_promql(text: str, most: int = _MOST_OPERATORS) -> promql_parser.Expr:
    """Return the tree of a query; raises `ValueError`, and `LongQueryError` for what the parser cannot take.

    Several thousand nested brackets or operators would end the process, as its stack is used up.
    """
    if len(text) > most and len(_OPERATOR.findall(_BRACES.sub("", re.sub(TEXT, "", text)))) > most:
        raise LongQueryError(f"it has more than {most} brackets and operators")
    return promql_parser.parse(text)


def check_query(text: str) -> str:
    """Return the text if it is a plain selector, a sum of several, or a full query with `$window`."""
    if WINDOW.search(text):
        return _checked_expression(text, FORMS)
    selectors = addends(text)
    if len(selectors) > _MOST_ADDENDS:
        raise InvalidValueError(f"{IT} adds more than {_MOST_ADDENDS} selectors", FORMS)
    return " + ".join(map(_checked_selector, selectors))


def check_expression(text: str) -> str:
    """Return the text if it can be a query: a selector, or anything whose brackets and quotes are closed."""
    return _checked_expression(text, "a series selector or a query")


def check_selector(text: str) -> str:
    """Return the text if it is a plain selector, without `$window`."""
    if WINDOW.search(text):
        example = 'a series selector, such as http_requests_total{env="production"}'
        raise InvalidValueError("a query with $window does not go here", example)
    return _checked_selector(text)


def check_match(text: str) -> str:
    """Return the text if it can stand within the braces of a selector."""
    example = 'label matchers without braces, such as service="checkout",code!~"5.."'
    if text.strip().startswith("{"):
        raise InvalidValueError("the braces around the matchers are not written here", example)
    if not re.fullmatch(_MATCHERS, text):
        raise InvalidValueError(f"{IT} is not a list of label matchers", example)
    return text.strip().rstrip(",").rstrip()


def check_histogram(text: str) -> str:
    """Return the text if it is the name of a histogram metric."""
    example = "the metric's name, such as http_request_duration_seconds"
    if not re.fullmatch(METRIC, text):
        raise InvalidValueError(f"{IT} is not a metric name", f"{example}; matchers belong under `match`")
    if text.endswith("_bucket"):
        raise InvalidValueError(f"{IT} is one series of the histogram", f"{example}, without `_bucket`")
    return text


def _checked_expression(text: str, allowed: str) -> str:
    if not text.strip():
        raise InvalidValueError("this is empty", allowed)
    if not is_balanced(text):
        raise InvalidValueError(f"a bracket or a quote in {IT} is not closed", allowed)
    return text


def _checked_selector(text: str) -> str:
    match = _SELECTOR.fullmatch(text)
    if match is None:
        raise InvalidValueError(f"{IT} is neither a series selector nor a query with $window", FORMS)
    if text.lstrip().startswith("{") and not (match["within"] or "").strip():
        raise InvalidValueError(f"{IT} selects every series", FORMS)
    return text.strip()


def is_balanced(text: str) -> bool:
    """Return whether every bracket and quote of a query is closed."""
    open_brackets = [""]
    for character in re.sub(TEXT, "", text):
        if character in "\"'`":
            return False
        if character in "([{":
            open_brackets.append(character)
        elif character in _CLOSING and open_brackets.pop() != _CLOSING[character]:
            return False
    return open_brackets == [""]
