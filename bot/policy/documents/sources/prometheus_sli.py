"""Models of SLIs that a Prometheus counts: counters, histograms, ratios, gauges, and slices of time."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

from bot.catalog.slo import (
    IS_ONE,
    Condition,
    CounterSli,
    CounterSlicesSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    Operator,
    RatioSli,
    SourceSli,
)
from bot.policy.documents.fields import Histogram, Latency, Match, Query, Switch
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.promql_shapes import check_expression
from bot.policy.documents.quantities import duration_between
from bot.policy.faults import IT, InvalidValueError

_OPERATORS: Final = {
    **{operator.value: operator for operator in Operator},
    "=": Operator.EQUAL,
    "≠": Operator.UNEQUAL,
    "≥": Operator.AT_LEAST,
    "≤": Operator.AT_MOST,
}
_NUMBER = r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15})"
_CONDITION = rf"\s*(==|=|!=|≠|>=|≥|<=|≤|>|<)\s*({_NUMBER})\s*(%?)\s*"
_CONDITIONS = "a comparison with a number, such as == 1, > 0.5 or ≥ 99%"
_SHARES = "a least share of good events, above 0% and at most 100%, such as ≥ 99%"
_NUMBERS = "a comparison with a number as the gauge has it, such as ≥ 0.99"
_SLICE_LENGTHS = "1m, 2m, 3m, 4m, 5m, 6m, 10m, 12m, 15m, 20m, 30m or 1h"
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


class WrittenCondition(NamedTuple):
    """A condition as a policy has it; `is_share` where its number was written in percent."""

    condition: Condition
    is_share: bool


def parse_condition(value: object) -> WrittenCondition:
    """Read a condition such as `== 1`, `≥ 99%` or `< 0.25`; raises `InvalidValueError`."""
    match = re.fullmatch(_CONDITION, value) if isinstance(value, str) else None
    if match is None:
        raise InvalidValueError(f"{IT} is not a condition", _CONDITIONS)
    number = Decimal(match[2])
    if match[3]:
        number = number.scaleb(-2)
    return WrittenCondition(Condition(_OPERATORS[match[1]], number), bool(match[3]))


def _slice_length(value: object) -> timedelta:
    length = duration_between(value, "1m", "1h")
    if length % _MINUTE or _HOUR % length:
        raise InvalidValueError(f"{IT} does not divide an hour", _SLICE_LENGTHS)
    return length


GoodWhen = Annotated[
    WrittenCondition,
    PlainValidator(parse_condition),
    PlainSerializer(lambda written: str(written.condition)),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^(?:{_CONDITION}|.*[$%]\{{.+)$", "examples": ["== 1", "≥ 99%"]}
    ),
]
SliceLength = Annotated[
    timedelta,
    PlainValidator(_slice_length),
    WithJsonSchema({"type": "string", "examples": ["1m", "5m"]}),
]
Expression = Annotated[
    str,
    AfterValidator(check_expression),
    WithJsonSchema({"type": "string", "examples": ['up{job="checkout"}']}),
]


class SlicesSpec(Model):
    """Slices of time instead of events: each is one event, good or bad as a whole."""

    of: SliceLength = _MINUTE
    """How long a slice is: 1m to 1h, a part of an hour without rest."""
    good_when: GoodWhen
    """When a slice is good: by its share of good events (`≥ 99%`), or by the gauge's mean (`< 0.25`)."""


_FORMS: Final[Mapping[str, frozenset[str]]] = {
    "total": frozenset({"total", "bad", "good", "slices"}),
    "histogram": frozenset({"histogram", "match", "native", "threshold"}),
    "ratio": frozenset({"ratio"}),
    "gauge": frozenset({"gauge", "good_when", "slices"}),
}
"""The keys that go together, by the one that tells the form."""
_ONLY_BESIDE: Final = frozenset({"good_when", "slices", "native"})
"""The keys that tell no form by themselves."""
_ALLOWED = (
    "{total, bad}, {total, good}, {histogram, match, threshold}, {ratio} or {gauge, goodWhen}, "
    "the first two and {gauge} with {slices} too"
)


class PrometheusSliSpec(Model):
    """What Prometheus counts: counters, a histogram, a ratio over time, a gauge, or slices of time."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["total", "bad"]},
                {"required": ["total", "good"]},
                {"required": ["histogram", "threshold"]},
                {"required": ["ratio"]},
                {"required": ["gauge"]},
            ]
        }
    )

    total: Query | None = None
    """All events: a series selector, a sum of several, or a full query that counts them in `$window`."""
    bad: Query | None = None
    """The events that failed, written like `total`. Instead of `good`."""
    good: Query | None = None
    """The events that succeeded, written like `total`. Instead of `bad`."""
    histogram: Histogram | None = None
    """Name of a histogram metric without `_bucket`. Instead of `total`."""
    match: Match | None = None
    """Label matchers that select the histogram's series, without braces."""
    native: Switch | None = None
    """`true` for a native histogram, which has no series `…_bucket`."""
    threshold: Latency | None = None
    """Events of the histogram at or below this are good; best a bucket's bound. 1ms to 1d."""
    ratio: Expression | None = None
    """A query for the share of bad events, 0 to 1; the mean of its samples counts. Instead of `total`."""
    gauge: Expression | None = None
    """A gauge, as a selector or query: each sample, one a minute, is one event. Instead of `total`."""
    good_when: GoodWhen | None = None
    """When a sample of the gauge is good: `==`, `!=`, `>`, `≥`, `<` or `≤` a number; `== 1` if left out."""
    slices: SlicesSpec | None = None
    """Slices of time as events, beside `total` with `bad` or `good`, or beside `gauge`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the keys make exactly one of the forms."""
        keys = [key for key in type(self).model_fields if getattr(self, key) is not None]
        telling = [key for key in keys if key not in _ONLY_BESIDE]
        if not telling:
            yield BrokenRule((), "this names nothing to measure", _ALLOWED)
            return
        form = next(form for form, own in _FORMS.items() if telling[0] in own)
        strange = next((key for key in keys if key not in _FORMS[form]), None)
        if strange is not None:
            key = _written(strange)
            yield BrokenRule((key,), f"`{key}` does not go with `{telling[0]}`", _ALLOWED)
        elif {"bad", "good"} <= set(keys):
            yield BrokenRule(("good",), "`good` and `bad` exclude each other", _ALLOWED)
        elif missing := self._missing(form):
            yield BrokenRule((), f"{missing} is missing", _ALLOWED)
        else:
            yield from self._broken_conditions()

    def _missing(self, form: str) -> str | None:
        match form:
            case "total" if self.total is None:
                return "`total`"
            case "total" if self.bad is None and self.good is None:
                return "one of `bad` and `good`"
            case "histogram" if self.histogram is None:
                return "`histogram`"
            case "histogram" if self.threshold is None:
                return "`threshold`"
        return None

    def _broken_conditions(self) -> Iterator[BrokenRule]:
        if self.slices is not None and self.good_when is not None:
            allowed = "slices: {of, goodWhen}"
            yield BrokenRule(("goodWhen",), "`goodWhen` stands within `slices` here", allowed)
        elif self.slices is not None and self.total is not None and not _is_least(self.slices.good_when):
            yield BrokenRule(("slices", "goodWhen"), "this is not a share of good events", _SHARES)
        for path, written in (
            (("goodWhen",), self.good_when),
            (("slices", "goodWhen"), self.slices.good_when if self.gauge and self.slices else None),
        ):
            if written is not None and written.is_share:
                yield BrokenRule(path, "a gauge is not compared with a percentage", _NUMBERS)

    def sli(self, source: str) -> SourceSli:
        """Return the SLI as a plain value; of a spec without broken rules."""
        match self:
            case PrometheusSliSpec(ratio=str(query)):
                return RatioSli(source, query)
            case PrometheusSliSpec(gauge=str(query), slices=SlicesSpec(of=of, good_when=written)):
                return GaugeSlicesSli(source, query, of, written.condition)
            case PrometheusSliSpec(gauge=str(query)):
                return GaugeSli(source, query, self.good_when.condition if self.good_when else IS_ONE)
            case PrometheusSliSpec(histogram=str(histogram), threshold=timedelta() as threshold):
                kind = NativeHistogramSli if self.native else LatencySli
                return kind(source, histogram, self.match or "", threshold)
        counters = CounterSli(source, self.total or "", self.bad, self.good)
        if self.slices is None:
            return counters
        return CounterSlicesSli(counters, self.slices.of, self.slices.good_when.condition)


def _is_least(written: WrittenCondition) -> bool:
    """Return whether a condition is a least share of events that can be reached and missed."""
    condition, is_share = written
    match condition.operator:
        case Operator.AT_LEAST | Operator.EQUAL:
            return is_share and 0 < condition.number <= 1
        case Operator.ABOVE:
            return is_share and 0 <= condition.number < 1
        case _:
            return False


def _written(key: str) -> str:
    return "goodWhen" if key == "good_when" else key
