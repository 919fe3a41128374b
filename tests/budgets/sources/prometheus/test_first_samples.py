"""What a series counted before its first sample counts, if it is proven since when that was."""

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Births
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, LatencySli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.remote_write import write_samples
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


TARGET = 'service="shop",job="shop",instance="10.0.0.1:80"'


def scraped(begins: datetime, value: int) -> Iterator[str]:
    """Return the `up` of the shop's target, which is scraped from `begins` on."""
    at = begins
    while at <= NOW:
        yield f'up{{job="shop",instance="10.0.0.1:80"}} {value} {at.timestamp():.3f}'
        at += 15 * SECOND


@pytest.mark.parametrize("together", [True, False])
async def test_the_first_series_of_a_target_is_proven_by_its_scrapes_before(
    tmp_path: Path, database: Database, together: bool
) -> None:
    # The first request in hours fails: until then the target had no series of requests.
    first = series(f'{TARGET},code="500"', DEPLOYED, 40, 0)
    samples = history(first, series(OTHER, BEGAN, 0, 1), scraped(BEGAN, 1))
    assert await counted(tmp_path, database, samples, together=together) == (40, 40)


@pytest.mark.parametrize("up", [(DEPLOYED, 1), (BEGAN, 0)], ids=["new", "down"])
async def test_a_target_that_was_not_scraped_before_proves_nothing(
    tmp_path: Path, database: Database, up: tuple[datetime, int]
) -> None:
    first = series(f'{TARGET},code="500"', DEPLOYED, 5_000, 1)
    samples = history(first, series(OTHER, BEGAN, 0, 1), scraped(*up))
    assert await counted(tmp_path, database, samples, together=True) == (79, 79)


async def test_series_that_get_a_new_name_are_not_new(tmp_path: Path) -> None:
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    target = {"job": "shop", "instance": "10.0.0.1:80"}
    named = {**target, "service": "shop", "code": "500"}

    def times(begins: datetime, end: datetime) -> list[float]:
        scrapes = range((end - begins) // (15 * SECOND))
        return [(begins + number * 15 * SECOND).timestamp() for number in scrapes]

    before = [(at, 1_000_000 + number) for number, at in enumerate(times(BEGAN, DEPLOYED))]
    after = [(at, before[-1][1] + 1 + number) for number, at in enumerate(times(DEPLOYED, NOW))]
    async with running_prometheus(tmp_path, late=DAY) as prometheus, aiohttp.ClientSession() as session:
        await write_samples(prometheus.url, "up", [(target, [(at, 1.0) for at in times(BEGAN, NOW)])])
        ended = (DEPLOYED.timestamp(), stale)
        await write_samples(
            prometheus.url, "requests_total", [(named, [*before, ended]), ({**named, "version": "2"}, after)]
        )
        source = PrometheusSource(prometheus.url, session)
        span = Span(NOW - 30 * MINUTE, NOW - MINUTE)
        buckets = await source.read(SHOP.sli, span, MINUTE)
        births = await source.births(SHOP.sli, Span(BEGAN - DAY, NOW))
    assert sum(bucket.total for bucket in buckets) == 39 + 75
    assert births == Births(series=2, uncounted=2, events=before[0][1] + after[0][1])


@pytest.mark.parametrize(("ago", "counts"), [(20 * SECOND, True), (21 * DAY, False)])
async def test_a_creation_time_proves_since_when_a_series_counts(
    tmp_path: Path, database: Database, ago: timedelta, *, counts: bool
) -> None:
    began = DEPLOYED - ago
    labels = 'service="shop",code="500"'
    times = (line.rsplit(" ", 1)[1] for line in series(labels, DEPLOYED, 0))
    created = (f"requests_created{{{labels}}} {began.timestamp()} {at}" for at in times)
    samples = history(series(labels, DEPLOYED, 40, 0), series(OTHER, BEGAN, 0, 1), created)
    known = (40, 40) if counts else (0, 0)
    assert await counted(tmp_path, database, samples, together=True) == known


async def test_a_sample_of_0_at_the_creation_is_where_a_series_begins(
    tmp_path: Path, database: Database
) -> None:
    """Prometheus writes one with the feature `created-timestamp-zero-ingestion`."""
    zero = iter([f'requests_total{{service="shop",code="500"}} 0 {(DEPLOYED - 90 * SECOND).timestamp()}'])
    shop = (*zero, *series('service="shop",code="500"', DEPLOYED, 40, 0))
    samples = history(iter(shop), series(OTHER, BEGAN, 0, 1))
    assert await counted(tmp_path, database, samples, together=True) == (40, 40)


async def test_births_in_a_window_are_counted(tmp_path: Path) -> None:
    samples = history(
        series(f'{TARGET},code="200"', NOW - 3 * DAY, 0, 1),
        series(f'{TARGET},code="500"', DEPLOYED - HOUR, 30),
        series(f'{TARGET},code="503"', DEPLOYED - HOUR, 0),
        series('service="shop",pod="x",code="500"', DEPLOYED - 2 * HOUR, 7_000),
        series(OTHER, BEGAN, 1, 1),
    )
    async with (
        running_prometheus(tmp_path, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        found = await source.births(SHOP.sli, Span(NOW - DAY, NOW))
        without_series = CounterSli("prometheus", "sum(increase(x[$window]))", bad="vector(0)")
        assert await source.births(without_series, Span(NOW - DAY, NOW)) is None
    assert found == Births(series=3, uncounted=1, events=7_000)
