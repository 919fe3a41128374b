"""A real VictoriaMetrics answers as Prometheus does: counts, missing series, first and late samples."""

from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import LateReading, NoSeriesError
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.budgets.sources.prometheus import test_sums_and_slices
from tests.budgets.sources.prometheus.test_samples import COUNTED, LATELY, sums
from tests.budgets.sources.prometheus.test_samples import HISTORY as SAMPLES
from tests.budgets.sources.prometheus.test_sums_and_slices import JUDGED, summed, within
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.remote_write import write_samples
from tests.support.scraped_traffic import METRIC, Pod, Traffic
from tests.support.values import slo
from tests.support.victoria_metrics import running_victoria_metrics

SLI = CounterSli(
    "prometheus", f'{METRIC}{{service="checkout"}}', bad=f'{METRIC}{{service="checkout",code="500"}}'
)
SCRAPE = timedelta(seconds=30)
STEADY = (Pod("steady"),)
RESTLESS = (
    Pod("steady"),
    Pod("restarted-often", restarts=2 * HOUR),
    Pod("crash-looping", restarts=10 * MINUTE, begins=DAY),
    Pod("replaced", ends=20 * HOUR),
    Pod("replacing", begins=20 * HOUR),
    Pod("unreachable", silent=((5 * HOUR, 5 * HOUR + 40 * MINUTE),)),
)


@pytest.mark.parametrize("step", [MINUTE, HOUR])
@pytest.mark.parametrize(("pods", "tolerance"), [(STEADY, 1e-12), (RESTLESS, 1e-3)])
async def test_counts_are_those_of_the_scrapes(
    tmp_path: Path, pods: tuple[Pod, ...], tolerance: float, step: timedelta
) -> None:
    traffic, span = Traffic(Span(NOW - 2 * DAY, NOW), SCRAPE, pods), Span(NOW - DAY, NOW)
    async with running_victoria_metrics(tmp_path) as server, aiohttp.ClientSession() as session:
        await server.take_in(traffic.openmetrics())
        buckets = await PrometheusSource(server.url, session).read(SLI, span, step)
    assert sum(bucket.bad for bucket in buckets) == pytest.approx(traffic.counted(span, "500"), rel=tolerance)
    total = traffic.counted(span, "200", "500")
    assert sum(bucket.total for bucket in buckets) == pytest.approx(total, rel=tolerance)


async def test_series_that_are_not_there_and_samples_that_are_not_yet(tmp_path: Path) -> None:
    traffic = Traffic(Span(NOW - 5 * HOUR, NOW), SCRAPE, STEADY)
    other = CounterSli("prometheus", f'{METRIC}{{service="nobody"}}', bad=f'{METRIC}{{service="x"}}')
    async with running_victoria_metrics(tmp_path) as server, aiohttp.ClientSession() as session:
        await server.take_in(traffic.openmetrics())
        source = PrometheusSource(server.url, session)
        with pytest.raises(NoSeriesError):
            await source.read(other, Span(NOW - HOUR, NOW), MINUTE)
        (late,) = await source.read_together([SLI], Span(NOW - HOUR, NOW + 7 * MINUTE), MINUTE)
        with pytest.raises(NoSeriesError) as ended:
            await source.read(SLI, Span(NOW - HOUR, NOW + 30 * MINUTE), MINUTE)
    assert isinstance(late, LateReading)
    assert ended.value.newest is not None
    for newest in (late.newest, ended.value.newest):
        assert NOW - MINUTE <= newest <= NOW


@pytest.mark.parametrize("late", [7 * MINUTE, 30 * MINUTE])
async def test_late_samples_are_all_counted(tmp_path: Path, database: Database, late: timedelta) -> None:
    """Its cache of answers is reset within seconds of a late sample; here an hour takes a second."""
    began, ledger = NOW - 2 * HOUR, Ledger(database)
    objective = slo(sli=SLI, window=RollingWindow(DAY))
    async with running_victoria_metrics(tmp_path) as server, aiohttp.ClientSession() as session:
        source = PrometheusSource(server.url, session, delay=late, params={"nocache": "1"})
        collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
        written = began - SCRAPE
        now = began + 40 * MINUTE
        while now <= NOW:
            times = []
            while written + SCRAPE <= now - late:
                written += SCRAPE
                times.append(written)
            samples = [(at.timestamp(), float((at - began) // SCRAPE)) for at in times]
            series = [({"service": "checkout", "code": code}, samples) for code in ("200", "500")]
            await write_samples(server.url, METRIC, series)
            await server.flush()
            await collector.collect([objective], now, MINUTE)
            budget = await assessed(ledger, objective, now)
            assert budget.as_of == now - late
            assert budget.events is not None
            scrapes = (now - late - began) // SCRAPE
            assert (budget.events.bad, budget.events.total) == (scrapes, 2 * scrapes)
            now += MINUTE


@pytest.mark.parametrize("step", [MINUTE, HOUR])
async def test_samples_sums_and_slices_are_those_of_prometheus(tmp_path: Path, step: timedelta) -> None:
    counters = "\n".join([*test_sums_and_slices.metrics(), "# EOF", ""])
    # VictoriaMetrics keeps no sample that is NaN: the one before it holds on.
    sampled = {name: each for name, each in COUNTED.items() if name not in ("not", "ratio", "no traffic")}
    async with running_victoria_metrics(tmp_path) as server, aiohttp.ClientSession() as session:
        for history in (SAMPLES, counters):
            await server.take_in(history)
        source = PrometheusSource(server.url, session)
        for name, (sli, expected) in (sampled | JUDGED).items():
            assert sums(await source.read(sli, LATELY, step)) == pytest.approx(expected), name
        assert sums(await source.read(summed("shop"), LATELY, step)) == (480, 26_640)
        for bound in ("5", "5.0"):
            assert sums(await source.read(within(bound), LATELY, step)) == (240, 2_400)
