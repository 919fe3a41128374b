"""Service level objectives (SLOs) and indicators (SLIs), as plain values. Pure; no clock, no I/O."""

import operator as operators
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from bot.catalog.source_slis import OtherSli
from bot.catalog.window import Window


class Operator(StrEnum):
    """How a number is compared; the values are PromQL's operators."""

    EQUAL = "=="
    UNEQUAL = "!="
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


_HOLDS: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.EQUAL: operators.eq,
    Operator.UNEQUAL: operators.ne,
    Operator.ABOVE: operators.gt,
    Operator.AT_LEAST: operators.ge,
    Operator.BELOW: operators.lt,
    Operator.AT_MOST: operators.le,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison with a number."""

    operator: Operator
    number: Decimal

    def holds(self, value: float) -> bool:
        """Return whether a value meets the condition; compared as binary fractions, as sources do."""
        return _HOLDS[self.operator](value, float(self.number))

    def __str__(self) -> str:
        """Return the condition as PromQL and policies write it."""
        return f"{self.operator} {self.number:f}"


IS_ONE: Final = Condition(Operator.EQUAL, Decimal(1))
"""What a gauge of availability (`up`, a probe's success) is while all is well."""


@dataclass(frozen=True, slots=True)
class CounterSli:
    """Two counters of a source: all events, and either the bad or the good ones.

    Each text is a series selector of the source (`http_requests_total{service="checkout"}`), a sum of
    several (`a_total + b_total`), or a full query with `$window`, which the source replaces by the width of
    a time bucket; the query must then return the number of events in that time.
    """

    source: str
    total: str
    bad: str | None = None
    good: str | None = None


@dataclass(frozen=True, slots=True)
class LatencySli:
    """A histogram of a source: events at or below `threshold` are good.

    `histogram` is the metric's name without `_bucket`, `match` the label matchers within the braces.
    """

    source: str
    histogram: str
    match: str
    threshold: timedelta


@dataclass(frozen=True, slots=True)
class NativeHistogramSli:
    """A native histogram of a source: events at or below `threshold` are good.

    `histogram` is the metric's name, `match` the label matchers within the braces.
    """

    source: str
    histogram: str
    match: str
    threshold: timedelta


@dataclass(frozen=True, slots=True)
class RatioSli:
    """The share of bad events over time, between 0 and 1: what counts is the mean of its samples.

    Each sample of each series of the query is one event, of which that share is bad.
    """

    source: str
    query: str


@dataclass(frozen=True, slots=True)
class GaugeSli:
    """A gauge of a source: each sample of each series is one event, good where the condition holds."""

    source: str
    query: str
    good_when: Condition = IS_ONE


@dataclass(frozen=True, slots=True)
class CounterSlicesSli:
    """Slices of time, each one event: good where the share of the counters' good events meets the condition.

    A slice begins at a multiple of its length since the epoch; one without events is no event.
    """

    counters: CounterSli
    of: timedelta
    good_when: Condition

    @property
    def source(self) -> str:
        """The source that counts."""
        return self.counters.source


@dataclass(frozen=True, slots=True)
class GaugeSlicesSli:
    """Slices of time, each one event: good where the mean of a gauge over the slice meets the condition."""

    source: str
    query: str
    of: timedelta
    good_when: Condition


@dataclass(frozen=True, slots=True)
class EventsSli:
    """Good and bad events are pushed to `POST /api/v1/events`."""


@dataclass(frozen=True, slots=True)
class DowntimeSli:
    """Time itself is the event: the window's seconds are the total, recorded downtime the bad part."""


SourceSli = (
    CounterSli
    | LatencySli
    | NativeHistogramSli
    | RatioSli
    | GaugeSli
    | CounterSlicesSli
    | GaugeSlicesSli
    | OtherSli
)
"""What a source counts; each names its `source`."""

Sli = SourceSli | EventsSli | DowntimeSli


@dataclass(frozen=True, slots=True)
class Slo:
    """A service level objective: the share of events, between 0 and 1 exclusive, that must be good."""

    service: str
    name: str
    objective: Decimal
    window: Window
    sli: Sli

    def __hash__(self) -> int:
        # Distinguishes them, and is quick: thousands are looked up at every evaluation.
        return hash((self.service, self.name))

    @property
    def key(self) -> str:
        """`service/name`, unique in a workspace."""
        return f"{self.service}/{self.name}"
