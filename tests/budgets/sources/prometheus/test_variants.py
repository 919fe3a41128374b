"""An SLI is narrowed to one value of a label, or to any other: as text, and on a real Prometheus."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.source import NoSeriesError, SourceRefusedError
from bot.budgets.sources.prometheus.selectors import parse
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.budgets.sources.prometheus.variants import narrowed
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, LatencySli, Sli
from bot.catalog.window import Span
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.servers import running_prometheus

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("selector", "matches", "others"),
    [
        ("requests_total", 'requests_total{variant="off"}', 'requests_total{variant!~"off|"}'),
        ("requests_total{}", 'requests_total{variant="off"}', 'requests_total{variant!~"off|"}'),
        (
            'requests_total{code="500", } ',
            'requests_total{code="500",variant="off"}',
            'requests_total{code="500",variant!~"off|"}',
        ),
    ],
)
def test_a_selector_gets_one_more_matcher(selector: str, matches: str, others: str) -> None:
    sli = CounterSli("prometheus", selector, good=selector)
    assert narrowed(sli, "variant", "off") == CounterSli("prometheus", matches, good=matches)
    assert narrowed(sli, "variant", "off", others=True) == CounterSli("prometheus", others, good=others)
    assert parse(matches) is not None
    assert parse(others) is not None


def test_characters_of_a_value_keep_their_meaning() -> None:
    sli = CounterSli("prometheus", "requests_total", bad="errors_total")
    assert narrowed(sli, "variant", 'v1.0 "b"').total == 'requests_total{variant="v1.0 \\"b\\""}'  # type: ignore[union-attr]
    other = narrowed(sli, "variant", "v1.0", others=True)
    assert isinstance(other, CounterSli)
    assert other.total == r'requests_total{variant!~"v1\\.0|"}'


@pytest.mark.parametrize("sli", [EventsSli(), DowntimeSli()])
def test_events_without_labels_are_refused(sli: Sli) -> None:
    with pytest.raises(SourceRefusedError, match="carry no labels"):
        narrowed(sli, "variant", "off")


START = NOW - 2 * HOUR


def series(name: str, per_scrape: float) -> Iterator[str]:
    at, value = START, 0.0
    while at <= NOW:
        yield f"{name} {value:g} {at.timestamp():.3f}"
        at, value = at + 15 * SECOND, value + per_scrape


def traffic() -> str:
    lines = ["# TYPE requests counter"]
    for variant, good, bad in (("off", 8, 1), ("on", 3, 2), ("beta", 1, 0)):
        labels = f'service="shop",variant="{variant}"'
        lines += series(f'requests_total{{{labels},code="200"}}', good)
        lines += series(f'requests_total{{{labels},code="500"}}', bad)
    # Requests that no flag was asked about.
    lines += series('requests_total{service="shop",code="200"}', 50)
    lines.append("# TYPE latency histogram")
    for variant, all_of, quick in (("off", 9, 8), ("on", 5, 1), ("beta", 1, 1)):
        lines += series(f'latency_bucket{{variant="{variant}",le="0.3"}}', quick)
        lines += series(f'latency_bucket{{variant="{variant}",le="+Inf"}}', all_of)
        lines += series(f'latency_count{{variant="{variant}"}}', all_of)
    return "\n".join([*lines, "# EOF", ""])


COUNTERS = CounterSli(
    "prometheus", 'requests_total{service="shop"}', bad='requests_total{service="shop",code=~"5.."}'
)
GOOD = CounterSli("prometheus", "requests_total", good='requests_total{code="200"}')
LATENCY = LatencySli("prometheus", "latency", "", timedelta(milliseconds=300))
QUERIES = CounterSli(
    "prometheus",
    "sum by (variant) (increase(requests_total[$window])) # all of them",
    bad='sum by (variant) (increase(requests_total{code="500"}[$window]))',
)


@pytest.mark.parametrize("sli", [COUNTERS, GOOD, LATENCY, QUERIES], ids=["bad", "good", "latency", "query"])
async def test_a_real_prometheus_counts_each_variant_apart(tmp_path: Path, sli: Sli) -> None:
    span = Span(NOW - 30 * MINUTE, NOW)
    scrapes = span.length / (15 * SECOND)
    is_latency = sli is LATENCY
    expected = {
        ("off", False): (scrapes, 9 * scrapes),
        ("on", False): ((4 if is_latency else 2) * scrapes, 5 * scrapes),
        ("off", True): ((4 if is_latency else 2) * scrapes, 6 * scrapes),
    }
    async with (
        running_prometheus(tmp_path, openmetrics=traffic()) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        for (value, others), (bad, total) in expected.items():
            buckets = await source.read(source.narrowed(sli, "variant", value, others=others), span, MINUTE)
            assert sum(each.bad for each in buckets) == pytest.approx(bad, rel=0.01)
            assert sum(each.total for each in buckets) == pytest.approx(total, rel=0.01)
        for label, value in (("variant", "none"), ("cohort", "off")):
            with pytest.raises(NoSeriesError):
                await source.read(source.narrowed(sli, label, value), span, MINUTE)
        with pytest.raises(NoSeriesError):
            await source.read(source.narrowed(sli, "cohort", "off", others=True), span, MINUTE)
