"""The shop's simulated traffic: how many requests it serves and how many fail. No clock, no I/O.

The numbers are chosen so that the demo takes about a minute and a half at 60×, with
checkout's true 99.9% over 30 days:

- The budget is 0.1% of 30 days of mean traffic, 43.2 minutes' worth. The demo
  begins near the daily peak (1.9 × the mean), so a deploy that fails 30% of requests
  burns 0.3 / 0.001 / 43,200 × 1.9 = 1.3% of it a minute.
- History spends 88% and leaves 12%: 10% by scattered errors, 8% in two short
  incidents, and 70% in one long degradation that was in progress 30 days ago. As that
  leaves the window, the budget regains half a percent a minute. (It began at a full
  hour: a ledger that keeps old counts by the hour then cuts them without a step.)
- So a bad deploy nets -0.8% a minute and crosses zero after about 15 minutes.
  Ten minutes later it is at -8%. Rolled back, it needs 36 minutes to reach 10%
  and 15 more of dwell.
- The shop ends a scene by itself (`TrafficScenario.duration`) while the rest of the old
  degradation can still leave the window and restore the budget.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(days=30)
_FINE_SPAN: Final = timedelta(minutes=1)
_COARSE_SPAN: Final = timedelta(minutes=30)
_EARLIER_SPAN: Final = timedelta(hours=6)
_FINE_FOR: Final = timedelta(hours=4)
_FINE_AT_LAST: Final = timedelta(hours=1)
_DAILY_AMPLITUDE: Final = 0.9
_PEAK_AFTER: Final = timedelta(hours=1)
_NOISE: Final = 0.05

STORY_DURATION: Final = timedelta(minutes=140)
"""Simulated time until the old degradation has left the window, and the demo is over."""


@dataclass(frozen=True, slots=True)
class PastOutage:
    """A time in the past in which a fraction `bad` of requests failed."""

    before: timedelta
    """How long before the demo's start it began."""
    duration: timedelta
    bad: float
    from_full_hour: bool = False
    """Whether it began at the full hour before that."""

    def bounds(self, start: datetime) -> tuple[datetime, datetime]:
        """Return when it began and ended, for a demo that starts at `start`."""
        began = start - self.before
        return (full_hour(began) if self.from_full_hour else began), began + self.duration


@dataclass(frozen=True, slots=True)
class Stream:
    """The requests counted by one SLO of a service. `usual_bad` is a fraction."""

    service: str
    slo: str
    objective: float
    per_minute: float
    usual_bad: float
    outages: tuple[PastOutage, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The service and the SLO."""
        return self.service, self.slo


@dataclass(frozen=True, slots=True)
class Count:
    """Requests between `at` - `span` and `at`."""

    service: str
    slo: str
    at: datetime
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class TrafficScenario:
    """A scene of the demo: the fraction of requests that fail, by service and SLO."""

    name: str
    label: str
    description: str
    bad: Mapping[tuple[str, str], float]
    duration: timedelta | None = None
    flag: str | None = None
    """If set, only customers for whom this flag is on are affected; `bad` is their fraction."""
    mended: str = ""
    """What is the case once the scene is over."""
    deploys: str | None = None
    """The service that is deployed at the start of the scene."""

    def bad_for(self, stream: Stream, exposure: float) -> float:
        """Return the fraction of a stream's requests that fail; `exposure` is the flag's, from 0 to 1."""
        bad = self.bad.get(stream.key)
        if bad is None:
            return stream.usual_bad
        return bad if self.flag is None else stream.usual_bad + exposure * bad


STREAMS: Final = (
    Stream(
        "checkout",
        "availability",
        objective=0.999,
        per_minute=600,
        usual_bad=0.0001,
        outages=(
            PastOutage(WINDOW, STORY_DURATION, 0.115, from_full_hour=True),
            PastOutage(timedelta(days=21, hours=7), timedelta(minutes=6), 0.3),
            PastOutage(timedelta(days=12, hours=4), timedelta(minutes=9), 0.2),
        ),
    ),
    Stream("checkout", "latency", objective=0.99, per_minute=600, usual_bad=0.0035),
    Stream(
        "search",
        "latency",
        objective=0.99,
        per_minute=900,
        usual_bad=0.0046,
        outages=(PastOutage(timedelta(days=9, hours=2), timedelta(minutes=90), 0.55),),
    ),
    Stream("search", "availability", objective=0.999, per_minute=900, usual_bad=0.0004),
    Stream(
        "payments",
        "availability",
        objective=0.995,
        per_minute=240,
        usual_bad=0.0012,
        outages=(PastOutage(timedelta(days=16, hours=5), timedelta(minutes=25), 0.7),),
    ),
)

SCENES: Final = {
    scene.name: scene
    for scene in (
        TrafficScenario("normal", "Normal", "All services are healthy.", {}),
        TrafficScenario(
            "bad_deploy",
            "Bad deploy",
            "A deploy makes checkout fail 30% of requests.",
            {("checkout", "availability"): 0.3, ("checkout", "latency"): 0.05},
            timedelta(minutes=45),
            mended="The deploy is rolled back.",
            deploys="checkout",
        ),
        TrafficScenario(
            "slow_search",
            "Slow search",
            "70% of searches take longer than they should.",
            {("search", "latency"): 0.7},
            timedelta(hours=2),
            mended="Searches are fast again.",
        ),
        TrafficScenario(
            "outage",
            "Outage",
            "Payments is down, and checkout fails 60% of requests.",
            {
                ("payments", "availability"): 1.0,
                ("checkout", "availability"): 0.6,
                ("checkout", "latency"): 0.2,
            },
            timedelta(minutes=15),
            mended="Payments and checkout are back.",
        ),
        TrafficScenario(
            "risky_flag",
            "Risky flag",
            "Checkout fails 20% of requests from those who see new-checkout. Ramp it with /flag.",
            {("checkout", "availability"): 0.2},
            timedelta(hours=3),
            mended="The code behind new-checkout is fixed.",
            flag="new-checkout",
        ),
        TrafficScenario("recover", "Recover", "Old errors leave the window, and budget comes back.", {}),
    )
}


def full_hour(at: datetime) -> datetime:
    """Return the last full hour (UTC)."""
    return at.replace(minute=0, second=0, microsecond=0)


def rate(stream: Stream, at: datetime, start: datetime) -> float:
    """Return the requests a minute at a time, with the peak soon after the demo's start."""
    hours = (at - start - _PEAK_AFTER) / timedelta(hours=1)
    return stream.per_minute * (1 + _DAILY_AMPLITUDE * math.cos(2 * math.pi * hours / 24))


def bad_fraction(stream: Stream, at: datetime, start: datetime) -> float:
    """Return the fraction that failed at a time in the past."""
    for outage in stream.outages:
        began, ended = outage.bounds(start)
        if began <= at < ended:
            return outage.bad
    return stream.usual_bad


def count(stream: Stream, at: datetime, span: timedelta, start: datetime, bad: float | None = None) -> Count:
    """Count the requests of the `span` before `at`, with noise that is the same for the same time."""
    seed = f"{stream.service}/{stream.slo}/{at.timestamp():.0f}"
    generator = random.Random(seed)  # noqa: S311 - reproducible, not secret
    middle = at - span / 2
    usual = rate(stream, middle, start) * (span / timedelta(minutes=1))
    total = round(usual * generator.uniform(1 - _NOISE, 1 + _NOISE))
    failing = bad_fraction(stream, middle, start) if bad is None else bad
    failed = min(total, math.floor(total * failing * generator.uniform(0.92, 1.08) + generator.random()))
    return Count(stream.service, stream.slo, at, total - failed, failed)


def history(start: datetime) -> Iterator[Count]:
    """Count the 30 days before `start`, by the half hour.

    By the minute where the demo's window moves, and at last, where the windows of burn rates are.
    """
    for stream in STREAMS:
        at = full_hour(start - WINDOW)
        while at < start:
            is_fine = at < start - WINDOW + _FINE_FOR or at >= start - _FINE_AT_LAST
            edges = [min(at + _FINE_SPAN, start)] if is_fine else _coarse_edges(stream, at, start)
            for edge in edges:
                yield count(stream, edge, edge - at, start)
                at = edge


def earlier_history(start: datetime) -> Iterator[Count]:
    """Count the 30 days before those of `history`, without outages: old budgets are drawn from them."""
    for stream in STREAMS:
        begins = full_hour(start - WINDOW)
        at = begins - WINDOW
        while at < begins:
            yield count(stream, at + _EARLIER_SPAN, _EARLIER_SPAN, start, stream.usual_bad)
            at += _EARLIER_SPAN


def _coarse_edges(stream: Stream, at: datetime, start: datetime) -> list[datetime]:
    """Return the edges of the next half hour, split where an outage begins or ends."""
    end = min(at + _COARSE_SPAN, start)
    edges = {end}
    for outage in stream.outages:
        edges |= {edge for edge in outage.bounds(start) if at < edge < end}
    return sorted(edges)


def live(
    since: datetime, now: datetime, start: datetime, scene: TrafficScenario, exposure: float = 0.0
) -> list[Count]:
    """Count the requests of every stream between two moments of a scene; `exposure` is its flag's."""
    return [count(stream, now, now - since, start, scene.bad_for(stream, exposure)) for stream in STREAMS]


def remaining(counts: Iterable[Count], stream: Stream, now: datetime) -> float:
    """Return the fraction of a stream's budget that is left at `now`."""
    good = bad = 0
    for row in counts:
        if (row.service, row.slo) == stream.key and now - WINDOW < row.at <= now:
            good += row.good
            bad += row.bad
    return 1 - bad / ((good + bad) * (1 - stream.objective))
