"""Durations, percentages and selectors as people write them."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.documents.promql_shapes import check_histogram, check_match, check_query
from bot.policy.documents.quantities import (
    parse_duration,
    parse_objective,
    parse_percentage,
)
from bot.policy.faults import InvalidValueError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("4h", 14_400),
        ("7d", 604_800),
        ("4w", 2_419_200),
        ("1h30m", 5_400),
        ("1w2d", 777_600),
        ("300ms", 0.3),
        ("2.5s", 2.5),
        ("0s", 0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        30,
        1.5,
        True,
        None,
        [],
        "",
        "30",
        "1:30",
        "-5m",
        "+5m",
        "30m1h",
        "5 m",
        "5M",
        "1y",
        "2mo",
        "5min",
        "٣s",
        "1e3s",
        "s",
        "5m\n",
        "9" * 400 + "w",
        "99999w",
    ],
)
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(InvalidValueError):
        parse_duration(value)


@pytest.mark.parametrize("value", [99.9, "99.9", "99.9%", "99.9 %", "+99.90%"])
def test_a_percentage_is_exactly_its_fraction(value: object) -> None:
    assert parse_percentage(value) == Decimal("0.999")


@given(st.decimals(min_value="1", max_value="99.999999", places=6))
def test_a_percentage_loses_nothing_to_binary_fractions(percent: Decimal) -> None:
    assert parse_percentage(f"{percent}%") == percent / 100


@pytest.mark.parametrize("value", [True, None, "", "%", "many", "99,9", "9.", "nan", "inf", "1e3"])
def test_anything_else_is_no_percentage(value: object) -> None:
    with pytest.raises(InvalidValueError):
        parse_percentage(value)


@pytest.mark.parametrize("value", [100, "100%", 100.0, "100.000", 101, 0, "0%", -1, "-0.1%"])
def test_an_objective_lies_strictly_between_0_and_100(value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_objective(value)
    assert "strictly between 0 and 100" in caught.value.allowed


def test_an_objective_of_100_is_refused_for_the_budget_it_does_not_leave() -> None:
    with pytest.raises(InvalidValueError, match="no error budget at all"):
        parse_objective(100)


def test_an_objective_written_as_a_fraction_is_not_taken_for_percent() -> None:
    with pytest.raises(InvalidValueError, match="less than one percent"):
        parse_objective(0.999)
    assert parse_objective("0.999%") == Decimal("0.00999")


@pytest.mark.parametrize(
    "text",
    [
        "up",
        "job:errors:total",
        'x_total{a="b"}',
        "x_total{}",
        '{__name__="x_total"}',
        '{"http.requests", "service.name"="a"}',
        "x_total{a='b',c=~\"5..\",}",
        'x_total { a = "b" , c !~ `d}` }',
        'x_total{a="quote \\" and } brace"}',
        'sum(increase(x_total{job="a"}[$window]))',
        'increase(x_total{a=")"}[$window]) or vector(0)',
    ],
)
def test_a_query_is_a_selector_or_holds_the_window(text: str) -> None:
    assert check_query(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{}",
        "{ }",
        "x_total{",
        "x_total}",
        "x_total{a=b}",
        'x_total{a="b}',
        'x_total{a=="b"}',
        'x_total{a="b" c="d"}',
        'x_total{a="b"}[5m]',
        "sum(x_total)",
        "rate(x_total[5m])",
        "x_total offset 5m",
        "x y",
        "sum(increase(x_total[$window])",
        "sum(increase(x_total[$window)])",
        'increase(x_total{a="b}[$window])',
        "increase(x_total[$windows])",
        "increase(x_total[$__range])",
    ],
)
def test_what_is_neither_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_query(text)
    assert "series selector" in caught.value.allowed
    assert "$window" in caught.value.allowed


def test_matchers_are_written_without_braces() -> None:
    assert check_match('service="checkout", code!~"5..",') == 'service="checkout", code!~"5.."'
    assert check_match("") == ""
    for text in ('{service="checkout"}', "service=checkout", 'a="b" c="d"'):
        with pytest.raises(InvalidValueError):
            check_match(text)


def test_a_histogram_is_named_without_its_suffix() -> None:
    assert check_histogram("http_seconds") == "http_seconds"
    for text in ("http_seconds_bucket", "http seconds", 'http_seconds{a="b"}', ""):
        with pytest.raises(InvalidValueError):
            check_histogram(text)


@given(st.text(alphabet="ab{}[]()\"'`\\,=~!$window \n"))
def test_odd_queries_are_refused_or_taken_never_worse(text: str) -> None:
    for check in (check_query, check_match, check_histogram):
        with suppress(InvalidValueError):
            assert check(text) in (text, text.strip(), text.strip().rstrip(",").rstrip())
