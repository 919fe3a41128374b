"""What the rules count of each kind of SLI is what the bot counts, on the same real Prometheus."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import (
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
from bot.catalog.window import Span
from bot.policy.prometheus_rules.expressions import InexpressibleError, check_promql, expressed
from tests.support.clock import HOUR, MINUTE
from tests.support.remote_write import write_native_histogram
from tests.support.servers import running_prometheus

SCRAPE = timedelta(seconds=15)
LENGTH = timedelta(hours=3)
COUNTERS = CounterSli("p", "requests_total", bad='requests_total{code="500"}')
SLIS: dict[str, SourceSli] = {
    "counters": COUNTERS,
    "good": CounterSli("p", "requests_total", good='requests_total{code="200"}'),
    "sums": CounterSli(
        "p",
        'requests_total{code="200"} + requests_total{code="500"}',
        bad='requests_total{code="500"} + never_seen_total',
    ),
    "queries": CounterSli(
        "p",
        "sum(increase(requests_total[$window]))",
        bad='sum(increase(requests_total{code="500"}[$window]))',
    ),
    "histogram": LatencySli("p", "seconds", "", timedelta(seconds=0.3)),
    "gauge": GaugeSli("p", "up"),
    "gauge query": GaugeSli("p", "avg(up) # of both", Condition(Operator.ABOVE, Decimal("0.6"))),
    "ratio": RatioSli("p", "share"),
    "slices": CounterSlicesSli(COUNTERS, MINUTE, Condition(Operator.AT_LEAST, Decimal("0.9"))),
    "gauge slices": GaugeSlicesSli("p", "load", 5 * MINUTE, Condition(Operator.BELOW, Decimal(80))),
}


def history(now: datetime) -> str:
    return "\n".join([*sorted(_samples(now), key=lambda line: line.split(" ")[0]), "# EOF", ""])


def _samples(now: datetime) -> Iterator[str]:
    chance = random.Random(7)  # noqa: S311 - made-up traffic keeps no secrets
    good = bad = quick = 0
    at = now - LENGTH
    while at <= now:
        time = f"{at.timestamp():.3f}"
        is_down = (now - at) // MINUTE % 7 in {1, 2}
        failed = 30 if is_down else 1
        good, bad, quick = good + 100 - failed, bad + failed, quick + 90
        yield f'requests_total{{code="200"}} {good} {time}'
        yield f'requests_total{{code="500"}} {bad} {time}'
        yield f"seconds_count {good + bad} {time}"
        yield f'seconds_bucket{{le="0.3"}} {quick} {time}'
        yield f'up{{instance="a"}} {int(not is_down)} {time}'
        yield f'up{{instance="b"}} 1 {time}'
        yield f"share {chance.uniform(0, 0.2):.4f} {time}"
        yield f"load {chance.uniform(20, 120) + 30 * is_down:.1f} {time}"
        at += SCRAPE


@pytest.mark.parametrize("window", [5 * MINUTE, HOUR, 2 * HOUR], ids=["5m", "1h", "2h"])
async def test_rules_count_what_the_bot_counts(window: timedelta, tmp_path: Path) -> None:
    # On a whole five minutes: slices of another length would have begun in one and ended in the next.
    now = datetime.now(UTC)
    now -= timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
    async with (
        running_prometheus(tmp_path, openmetrics=history(now)) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        for name, sli in SLIS.items():
            buckets = await source.read(sli, Span(now - window, now), 5 * MINUTE)
            total, bad = sum(each.total for each in buckets), sum(each.bad for each in buckets)
            rules = expressed(sli)
            assert total > 0, name
            assert bad > 0 or window < HOUR, name
            events = await prometheus.value(rules.events(window), now)
            errors = await prometheus.value(rules.errors(window), now)
            assert events == pytest.approx(total, rel=0.005), name
            assert errors == pytest.approx(bad, rel=0.005), name
            assert await prometheus.query(rules.missing, now) == [], name
            gone = now + timedelta(hours=2)
            assert await prometheus.value(rules.missing, gone) == 1, name


async def test_native_histograms_are_counted_as_the_bot_does(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    async with running_prometheus(tmp_path) as prometheus:
        counts = [((now - HOUR).timestamp() + 15 * step, 10 * step) for step in range(241)]
        await write_native_histogram(prometheus.url, "seconds", {"job": "a"}, counts)
        # Its one bucket reaches from half a second to a whole one.
        for threshold, share in ((timedelta(seconds=2), 0.0), (timedelta(milliseconds=250), 1.0)):
            rules = expressed(NativeHistogramSli("p", "seconds", 'job="a"', threshold))
            events = await prometheus.value(rules.events(30 * MINUTE), now)
            errors = await prometheus.value(rules.errors(30 * MINUTE), now)
            assert events == pytest.approx(1_200, rel=0.02)
            assert errors / events == pytest.approx(share, abs=0.001)


def test_a_query_that_is_too_long_for_the_parser_gets_no_rules() -> None:
    query = "(" * 100_000 + "x[$window]" + ")" * 100_000
    with pytest.raises(InexpressibleError, match="its query is too long"):
        check_promql(expressed(CounterSli("p", query, bad=query)))


def test_slices_of_long_sums_get_rules() -> None:
    total, bad = (" + ".join(f'{name}{number}{{a="b"}}' for number in range(20)) for name in ("t", "b"))
    condition = Condition(Operator.AT_LEAST, Decimal("0.99"))
    check_promql(expressed(CounterSlicesSli(CounterSli("p", total, bad=bad), 5 * MINUTE, condition)))
