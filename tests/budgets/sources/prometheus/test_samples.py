"""Ratios over time, gauges, and slices by a gauge's mean: samples of a real Prometheus as events."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.source import (
    Bucket,
)
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import Condition, GaugeSli, GaugeSlicesSli, Operator, RatioSli, Sli
from bot.catalog.window import Span
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.servers import running_prometheus

BEGAN = NOW - 3 * HOUR
LATELY = Span(NOW - HOUR, NOW)
DOWN = Span(NOW - 30 * MINUTE, NOW - 20 * MINUTE)


def series(
    name: str, value: Callable[[datetime], float | str | None], until: datetime = NOW
) -> Iterator[str]:
    at = BEGAN
    while at <= until:
        if (sample := value(at)) is not None:
            yield f"{name} {sample} {at.timestamp()}"
        at += timedelta(seconds=15)


def down(at: datetime) -> bool:
    return DOWN.start < at <= DOWN.end


HISTORY = "\n".join(
    [
        "# TYPE up gauge",
        *series('up{job="api",instance="a"}', lambda at: 0 if down(at) else 1),
        *series('up{job="api",instance="b"}', lambda _: 1),
        *series('up{job="gone"}', lambda _: 1, NOW - 20 * MINUTE),
        *series('up{job="late"}', lambda _: 1, NOW - 4 * MINUTE),
        "# TYPE queue gauge",
        # Within each minute: 0, 10, 20, 30; four times that while down.
        *series("queue", lambda at: (at.second // 15) * 10 * (4 if down(at) else 1)),
        "# TYPE share gauge",
        *series("share", lambda at: "NaN" if at.minute % 2 else 0.25 if down(at) else 0),
        "# TYPE silent gauge",
        *series("silent", lambda _: "NaN"),
        "# TYPE percent gauge",
        *series("percent", lambda at: 25 if down(at) else 0),
        "# TYPE rounded gauge",
        *series("rounded", lambda _: "1.0000000001"),
        "# EOF",
        "",
    ]
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@asynccontextmanager
async def serving(home: Path) -> AsyncIterator[PrometheusSource]:
    async with (
        running_prometheus(home, openmetrics=HISTORY) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        yield PrometheusSource(prometheus.url, session)


def sums(buckets: list[Bucket]) -> tuple[float, float]:
    return sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets)


def at_most(number: str) -> Condition:
    return Condition(Operator.AT_MOST, Decimal(number))


MEAN_TOO_HIGH = GaugeSlicesSli("prometheus", "queue", MINUTE, at_most("20"))
COUNTED: dict[str, tuple[Sli, tuple[float, float]]] = {
    # Each series is sampled once a minute: ten of sixty minutes of one of two are bad.
    "up": (GaugeSli("prometheus", 'up{job="api"}'), (10, 120)),
    "query": (GaugeSli("prometheus", 'min by (job) (up{job="api"}) # all\n'), (10, 60)),
    "avg": (
        GaugeSli("prometheus", 'avg(up{job="api"})', Condition(Operator.ABOVE, Decimal("0.5"))),
        (10, 60),
    ),
    "not": (GaugeSli("prometheus", "share", Condition(Operator.UNEQUAL, Decimal("0.25"))), (5, 30)),
    # Every second minute is NaN, which is no sample; of five samples a quarter is bad.
    "ratio": (RatioSli("prometheus", "share"), (1.25, 30)),
    "ratio query": (RatioSli("prometheus", '1 - avg(up{job="api"})'), (5, 60)),
    "ratio with window": (
        RatioSli("prometheus", '1 - avg(avg_over_time(up{job="api"}[$window:1m]))'),
        (5, 60),
    ),
    "rounding": (RatioSli("prometheus", "rounded"), (60, 60)),
    "no traffic": (RatioSli("prometheus", "silent"), (0, 0)),
    # The mean is 15, 60 while down.
    "slices": (MEAN_TOO_HIGH, (10, 60)),
    "wide slices": (GaugeSlicesSli("prometheus", "queue", 20 * MINUTE, at_most("15")), (1, 3)),
    "slices of a query": (GaugeSlicesSli("prometheus", "sum(queue)", 5 * MINUTE, at_most("0")), (0, 12)),
    "slices of all series": (
        GaugeSlicesSli("prometheus", 'up{job="api"}', 10 * MINUTE, Condition(Operator.ABOVE, Decimal("0.5"))),
        (1, 6),
    ),
}


async def test_samples_are_events_however_wide_the_buckets_are(home: Path) -> None:
    async with serving(home) as source:
        for name, (sli, expected) in COUNTED.items():
            for step in (MINUTE, 5 * MINUTE, HOUR, timedelta(seconds=15)):
                counted = sums(list(await source.read(sli, LATELY, step)))
                assert counted == pytest.approx(expected), (name, step)
