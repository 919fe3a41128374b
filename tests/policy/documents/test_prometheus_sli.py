"""The forms of an SLI that a Prometheus counts: what is allowed, what is refused, and what comes of it."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.catalog.slo import (
    IS_ONE,
    Condition,
    CounterSli,
    CounterSlicesSli,
    GaugeSli,
    GaugeSlicesSli,
    NativeHistogramSli,
    Operator,
    RatioSli,
    SourceSli,
)
from bot.policy.documents.sources.prometheus_sli import PrometheusSliSpec, parse_condition
from bot.policy.faults import InvalidValueError

MINUTE = timedelta(minutes=1)
SUM = 'http_total{a="b"} + grpc_total{c="+"}'


def sli(**spec: object) -> SourceSli:
    return PrometheusSliSpec.model_validate(spec).sli("p")


def at_least(number: str) -> Condition:
    return Condition(Operator.AT_LEAST, Decimal(number))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"total": SUM, "bad": "a+b"}, CounterSli("p", SUM, bad="a + b")),
        ({"ratio": "a / b"}, RatioSli("p", "a / b")),
        ({"gauge": "up"}, GaugeSli("p", "up", IS_ONE)),
        ({"gauge": "up", "goodWhen": "≥ 0.5"}, GaugeSli("p", "up", at_least("0.5"))),
        (
            {"gauge": "up", "slices": {"of": "5m", "goodWhen": ">= -1"}},
            GaugeSlicesSli("p", "up", 5 * MINUTE, at_least("-1")),
        ),
        (
            {"total": "a", "good": "b", "slices": {"goodWhen": "≥ 99.9%"}},
            CounterSlicesSli(CounterSli("p", "a", good="b"), MINUTE, at_least("0.999")),
        ),
        (
            {"histogram": "latency", "native": "true", "threshold": "300ms"},
            NativeHistogramSli("p", "latency", "", timedelta(milliseconds=300)),
        ),
    ],
)
def test_the_forms_of_an_sli(spec: dict[str, object], expected: SourceSli) -> None:
    assert sli(**spec) == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"ratio": "a", "total": "b"}, "`ratio` does not go with `total`"),
        ({"ratio": "a", "slices": {"goodWhen": "≥ 99%"}}, "`slices` does not go with `ratio`"),
        ({"total": "a", "bad": "b", "goodWhen": "== 1"}, "`goodWhen` does not go with `total`"),
        ({"gauge": "a", "native": True}, "`native` does not go with `gauge`"),
        ({"goodWhen": "== 1"}, "this names nothing to measure"),
        ({"slices": {"goodWhen": "≥ 99%"}}, "this names nothing to measure"),
        ({"native": True, "threshold": "1s"}, "`histogram` is missing"),
        ({"gauge": "a", "goodWhen": "about 99"}, "not a condition"),
        ({"gauge": "a", "goodWhen": 1}, "not a condition"),
        ({"gauge": "a", "goodWhen": ">= 99%"}, "not compared with a percentage"),
        ({"gauge": "a", "slices": {"goodWhen": ">= 99%"}}, "not compared with a percentage"),
        ({"gauge": "a", "goodWhen": "== 1", "slices": {"goodWhen": "> 1"}}, "stands within `slices`"),
        ({"total": "a", "bad": "b", "slices": {"goodWhen": "≥ 0.99"}}, "not a share of good events"),
        ({"total": "a", "bad": "b", "slices": {"goodWhen": "≥ 101%"}}, "not a share of good events"),
        ({"total": "a", "bad": "b", "slices": {"goodWhen": "> 100%"}}, "not a share of good events"),
        ({"total": "a", "bad": "b", "slices": {"goodWhen": "≥ 0%"}}, "not a share of good events"),
        ({"total": "a", "bad": "b", "slices": {"goodWhen": "< 99%"}}, "not a share of good events"),
        ({"total": "a", "bad": "b", "slices": {"of": "1m"}}, "Field required"),
        ({"gauge": "a", "slices": {"of": "30s", "goodWhen": "> 1"}}, "too short"),
        ({"gauge": "a", "slices": {"of": "7m", "goodWhen": "> 1"}}, "does not divide an hour"),
        ({"gauge": "a", "slices": {"of": "90s", "goodWhen": "> 1"}}, "does not divide an hour"),
        ({"ratio": "sum(a"}, "is not closed"),
        ({"ratio": " "}, "this is empty"),
        ({"total": "a + ", "bad": "b"}, "neither a series selector"),
        ({"total": "a + {}", "bad": "b"}, "selects every series"),
        ({"total": " + ".join("a" * 21), "bad": "b"}, "adds more than 20 selectors"),
        ({"total": "a - b", "bad": "b"}, "neither a series selector"),
    ],
)
def test_what_is_no_sli_is_refused_in_words(spec: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        sli(**spec)
    assert words in " ".join(error["msg"] for error in refused.value.errors())


@given(
    operator=st.sampled_from(Operator),
    number=st.decimals(-1_000_000, 1_000_000, places=6),
    value=st.floats(allow_nan=False),
)
def test_a_condition_reads_as_it_is_written(operator: Operator, number: Decimal, value: float) -> None:
    condition = Condition(operator, number)
    read = parse_condition(str(condition))
    assert read == (condition, False)
    assert parse_condition(f"  {operator}{number:f} %") == (Condition(operator, number / 100), True)
    # Python compares floats as its text says, and so does PromQL.
    assert condition.holds(value) is eval(f"{value!r} {operator} {float(number)!r}", {"inf": float("inf")})  # noqa: S307 - numbers of our own


@given(st.text() | st.from_regex(r"[<>=!≥≤≠]{1,2} ?-?[0-9]*%?", fullmatch=True))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with suppress(InvalidValueError):
        assert parse_condition(text).condition.number.is_finite()


@pytest.mark.parametrize(("sign", "meant"), [("≥", ">="), ("≤", "<="), ("≠", "!="), ("=", "==")])
def test_signs_mean_operators(sign: str, meant: str) -> None:
    assert parse_condition(f"{sign} 1") == parse_condition(f"{meant} 1")
