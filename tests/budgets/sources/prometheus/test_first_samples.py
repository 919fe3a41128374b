"""What a series counted before its first sample counts, if it is proven since when that was."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.collector import Collector
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, LatencySli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.servers import running_prometheus
from tests.support.values import slo

SECOND = timedelta(seconds=1)
BEGAN = NOW - 3 * HOUR
DEPLOYED = NOW - 20 * MINUTE + 4 * SECOND


def promised(service: str) -> Slo:
    total = f'requests_total{{service="{service}"}}'
    bad = f'requests_total{{service="{service}",code=~"5.."}}'
    return slo(service, sli=CounterSli("prometheus", total, bad=bad), window=RollingWindow(DAY))


SHOP, CART = promised("shop"), promised("cart")


def series(labels: str, begins: datetime, first: int, per_scrape: int = 0) -> Iterator[str]:
    """Return a series that is scraped every 15 s from `begins` on, at first with the value `first`."""
    at, value = begins, first
    while at <= NOW:
        yield f"requests_total{{{labels}}} {value} {at.timestamp():.3f}"
        at, value = at + 15 * SECOND, value + per_scrape


def history(*all_series: Iterator[str]) -> str:
    return "\n".join(["# TYPE requests counter", *(line for one in all_series for line in one), "# EOF", ""])


def pods(
    number: int, begins: datetime, errors_begin: datetime, errors: int, per_scrape: int
) -> Iterator[str]:
    for pod in range(number):
        labels = f'service="shop",job="shop",instance="10.0.0.{pod}:80",pod="shop-{pod}"'
        yield from series(f'{labels},code="200"', begins, 0, 1)
        yield from series(f'{labels},code="500"', errors_begin, errors, per_scrape)


OTHER = 'service="cart",job="cart",instance="10.1.0.1:80",code="200"'


async def counted(
    folder: Path, database: Database, openmetrics: str, *, together: bool
) -> tuple[float, float]:
    """Return the shop's bad events and all, read minute by minute, and check that the first sight agrees."""
    ledger, slos = Ledger(database), [SHOP, CART]
    async with (
        running_prometheus(folder, openmetrics=openmetrics) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        collector = Collector(ledger, {"prometheus": PrometheusSource(prometheus.url, session)})
        for minutes in range(30, -1, -2):
            now = NOW - minutes * MINUTE
            for batch in [slos] if together else [[one] for one in slos]:
                await collector.collect(batch, now, MINUTE)
        events = (await assessed(ledger, SHOP, NOW)).events
        assert events is not None
        at_once = CounterSli("prometheus", SHOP.sli.total, bad=f"{SHOP.sli.bad} ")  # type: ignore[union-attr]
        again = slo("again", sli=at_once, window=RollingWindow(DAY))
        await collector.collect([again], NOW, MINUTE)
        first_sight = (await assessed(ledger, again, NOW)).events
    assert first_sight == events
    return events.bad, events.total


@pytest.mark.parametrize("together", [True, False])
async def test_errors_that_come_with_the_first_sample_are_counted(
    tmp_path: Path, database: Database, together: bool
) -> None:
    # Two pods have served for hours; their first errors are a burst between two scrapes.
    samples = history(pods(2, BEGAN, DEPLOYED, 75, 0), series(OTHER, BEGAN, 0, 1))
    bad, total = await counted(tmp_path, database, samples, together=together)
    assert bad == 150
    assert total == 2 * 720 + 150


async def test_a_burst_that_goes_on_is_counted_whole(tmp_path: Path, database: Database) -> None:
    samples = history(pods(1, BEGAN, NOW - 30 * SECOND, 150, 1), series(OTHER, BEGAN, 0, 1))
    assert await counted(tmp_path, database, samples, together=True) == (152, 720 + 152)


@pytest.mark.parametrize("together", [True, False])
async def test_new_pods_first_errors_are_counted_once_another_series_was_scraped(
    tmp_path: Path, database: Database, together: bool
) -> None:
    samples = history(
        pods(100, DEPLOYED, DEPLOYED + 15 * SECOND, 1, 0),
        series('service="shop",pod="old",code="200"', BEGAN, 0, 1),
        series(OTHER, BEGAN, 0, 1),
    )
    bad, total = await counted(tmp_path, database, samples, together=together)
    assert bad == 100
    assert total == 100 * 79 + 720 + 100


async def test_first_values_that_prove_nothing_are_not_counted(tmp_path: Path, database: Database) -> None:
    samples = history(
        # A target is new with all its series: since when it counts is unknown.
        pods(1, DEPLOYED, DEPLOYED, 5_000, 1),
        # A target's series all get another name at once, as when a label is added.
        series('service="shop",pod="a",code="200"', NOW - 10 * MINUTE, 1_000_000, 1),
        series('service="shop",pod="a",code="500"', NOW - 10 * MINUTE, 40_000, 0),
        # Another cluster has a target of the same address.
        series('service="shop",cluster="b",instance="10.0.0.9:80",code="200"', BEGAN, 0, 1),
        series('service="shop",cluster="c",instance="10.0.0.9:80",code="500"', DEPLOYED, 9_000, 0),
        series(OTHER, BEGAN, 0, 1),
    )
    bad, total = await counted(tmp_path, database, samples, together=True)
    assert bad == 79
    assert total == 79 + 79 + 40 + 720


async def test_slow_requests_of_a_new_route_are_counted(tmp_path: Path) -> None:
    """The series of a route's histogram come with its first request."""
    lines = ["# TYPE latency histogram"]
    for route, begins, first in (("/", BEGAN, 0), ("/new", DEPLOYED, 30)):
        names = [f'latency_bucket{{route="{route}",le="{le}"}}' for le in ("0.3", "+Inf")]
        for name in (*names, f'latency_count{{route="{route}"}}'):
            value = 0 if 'le="0.3"' in name and first else first
            at = begins
            while at <= NOW:
                lines.append(f"{name} {value} {at.timestamp():.3f}")
                at += 15 * SECOND
    sli = LatencySli("prometheus", "latency", "", timedelta(milliseconds=300))
    text = "\n".join([*lines, "# EOF", ""])
    async with (
        running_prometheus(tmp_path, openmetrics=text) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        buckets = await source.read(sli, Span(NOW - 30 * MINUTE, NOW), MINUTE)
    assert sum(bucket.total for bucket in buckets) == 30
    assert sum(bucket.bad for bucket in buckets) == 30
