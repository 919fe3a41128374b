"""Service level objectives (SLOs) and indicators (SLIs), as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from bot.catalog.source_slis import OtherSli
from bot.catalog.window import Window


@dataclass(frozen=True, slots=True)
class CounterSli:
    """Two counters of a source: all events, and either the bad or the good ones.

    Each text is a series selector of the source (`http_requests_total{service="checkout"}`), or a full
    query with `$window`, which the source replaces by the width of a time bucket; the query must then
    return the number of events in that time.
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
class EventsSli:
    """Good and bad events are pushed to `POST /api/v1/events`."""


@dataclass(frozen=True, slots=True)
class DowntimeSli:
    """Time itself is the event: the window's seconds are the total, recorded downtime the bad part."""


SourceSli = CounterSli | LatencySli | OtherSli
"""What a source counts."""
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
