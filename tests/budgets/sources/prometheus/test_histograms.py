"""Series without the threshold's bucket make an SLI unmeasurable; they never count as slow events."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.budget import SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import NoSeriesError, UnmeasurableError
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, LatencySli, NativeHistogramSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.remote_write import write_native_histogram
from tests.support.servers import running_prometheus
from tests.support.values import slo

DEPLOYED, ROLLED_BACK = NOW - 60 * MINUTE, NOW - 40 * MINUTE
LAST = Span(NOW - 10 * MINUTE, NOW)


def latency(service: str) -> LatencySli:
    return LatencySli("prometheus", "latency", f'service="{service}"', timedelta(milliseconds=300))


def promised(service: str) -> Slo:
    return slo(service, sli=latency(service), window=RollingWindow(DAY))


def pod(name: str, bounds: tuple[str, ...], span: Span, service: str = "shop") -> Iterator[str]:
    """Return a pod that answers four requests a minute, all within 0.1 s."""
    labels = f'service="{service}",pod="{name}"'
    for series in (*(f'latency_bucket{{{labels},le="{le}"}}' for le in bounds), f"latency_count{{{labels}}}"):
        at, count = span.start, 0
        while at <= span.end:
            yield f"{series} {count} {at.timestamp()}"
            at, count = at + timedelta(seconds=15), count + 1


def history(*pods: Iterator[str]) -> str:
    return "\n".join(["# TYPE latency histogram", *(line for one in pods for line in one), "# EOF", ""])


OLD, NEW = ("0.1", "0.3", "+Inf"), ("0.1", "0.25", "0.5", "+Inf")
ROLLING = history(
    pod("old", OLD, Span(NOW - 3 * HOUR, NOW)),
    pod("new", NEW, Span(DEPLOYED, ROLLED_BACK)),
    pod("other", OLD, Span(NOW - 3 * HOUR, NOW), service="cart"),
)


@pytest.mark.parametrize("together", [True, False])
async def test_pods_with_other_buckets_are_told_and_freeze_nothing(
    tmp_path: Path, database: Database, together: bool
) -> None:
    ledger, shop, cart = Ledger(database), promised("shop"), promised("cart")
    async with (
        running_prometheus(tmp_path, openmetrics=ROLLING) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        collector = Collector(ledger, {"prometheus": PrometheusSource(prometheus.url, session)})

        async def collect(now: datetime) -> None:
            for slos in [[shop, cart]] if together else [[shop], [cart]]:
                await collector.collect(slos, now, MINUTE)

        await collect(DEPLOYED - MINUTE)
        assert (await assessed(ledger, shop, DEPLOYED - MINUTE)).remaining == 1
        for now in (DEPLOYED + 5 * MINUTE, ROLLED_BACK - MINUTE):
            await collect(now)
            budget = await assessed(ledger, shop, now)
            assert budget.state is SloState.INVALID
            assert budget.problem == (
                "1 of 2 series of latency have no bucket that ends at 0.3 s; they have: 0.1, 0.25, 0.5, +Inf"
            )
            assert (await assessed(ledger, cart, now)).state is SloState.OK
        for now in (ROLLED_BACK + 10 * MINUTE, NOW):
            await collect(now)
            budget = await assessed(ledger, shop, now)
            assert (budget.state, budget.remaining) == (SloState.OK, Decimal(1))
    assert budget.events is not None
    # Only the steps with both are left out; Prometheus shows a series for five minutes after its last sample.
    assert budget.events.total == pytest.approx(4 * (180 - 20 - 5), abs=8)


async def test_history_from_before_the_bucket_is_left_out(tmp_path: Path, database: Database) -> None:
    ledger, shop = Ledger(database), promised("shop")
    samples = history(
        pod("v1", NEW, Span(NOW - 5 * HOUR, NOW - 2 * HOUR)), pod("v2", OLD, Span(NOW - 2 * HOUR, NOW))
    )
    async with (
        running_prometheus(tmp_path, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        await Collector(ledger, {"prometheus": source}).collect([shop], NOW, MINUTE)
    budget = await assessed(ledger, shop, NOW)
    assert (budget.state, budget.remaining) == (SloState.OK, Decimal(1))
    assert budget.events is not None
    assert budget.events.total == pytest.approx(4 * 115, abs=8)


async def test_a_native_histogram_is_recognised(tmp_path: Path, database: Database) -> None:
    ledger, shop = Ledger(database), promised("shop")
    of_counters = CounterSli("prometheus", 'latency_count{service="shop"}', bad="errors_total")
    begins = (NOW - HOUR).timestamp()
    counts = [(begins + 15 * number, number) for number in range(241)]
    async with running_prometheus(tmp_path) as prometheus, aiohttp.ClientSession() as session:
        await write_native_histogram(prometheus.url, "latency", {"service": "shop", "pod": "a"}, counts)
        source = PrometheusSource(prometheus.url, session)
        for sli in (latency("shop"), of_counters):
            with pytest.raises(UnmeasurableError, match=r"latency is a native histogram.*`native: true`"):
                await source.read(sli, LAST, MINUTE)
        await Collector(ledger, {"prometheus": source}).collect([shop], NOW, MINUTE)
    budget = await assessed(ledger, shop, NOW)
    assert budget.state is SloState.INVALID
    assert "native histogram" in str(budget.problem)


def native(threshold: timedelta, match: str = 'service="shop"') -> NativeHistogramSli:
    return NativeHistogramSli("prometheus", "latency", match, threshold)


async def test_events_of_native_histograms_are_counted(tmp_path: Path) -> None:
    # All events lie in the bucket from 0.5 s to 1 s, four a minute of each pod.
    begins = (NOW - HOUR).timestamp()
    counts = [(begins + 15 * number, number) for number in range(241)]
    lately = Span(NOW - 50 * MINUTE, NOW)
    async with running_prometheus(tmp_path) as prometheus, aiohttp.ClientSession() as session:
        for name in ("a", "b"):
            await write_native_histogram(prometheus.url, "latency", {"service": "shop", "pod": name}, counts)
        source = PrometheusSource(prometheus.url, session)
        for step in (MINUTE, 5 * MINUTE):
            for threshold_ms, share in ((1_000, 0), (750, 0.5), (500, 1), (100, 1)):
                sli = native(timedelta(milliseconds=threshold_ms))
                buckets = await source.read(sli, lately, step)
                assert sum(bucket.total for bucket in buckets) == pytest.approx(400, rel=0.01)
                assert sum(bucket.bad for bucket in buckets) == pytest.approx(400 * share, rel=0.01, abs=1)
        one = source.narrowed(native(timedelta(milliseconds=500), ""), "pod", "b")
        buckets = await source.read(one, lately, MINUTE)
        assert sum(bucket.bad for bucket in buckets) == pytest.approx(200, rel=0.01)
        with pytest.raises(NoSeriesError, match="no value for an hour"):
            await source.read(native(MINUTE, 'service="none"'), LAST, MINUTE)


async def test_a_classic_histogram_is_no_native_one(tmp_path: Path) -> None:
    samples = history(pod("a", OLD, Span(NOW - HOUR, NOW)))
    async with (
        running_prometheus(tmp_path, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        with pytest.raises(NoSeriesError, match=r"latency is a classic histogram.*leave out `native`"):
            await source.read(native(MINUTE), LAST, MINUTE)
