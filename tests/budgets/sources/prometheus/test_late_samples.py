"""Samples written minutes late to a real Prometheus: none is lost, and nothing is claimed too soon."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.budget import Budget, SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, Slo
from bot.catalog.window import RollingWindow
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.remote_write import write_samples
from tests.support.servers import Prometheus, running_prometheus
from tests.support.values import slo

SCRAPE = timedelta(seconds=15)
BEGAN = NOW - 3 * HOUR
ENDED = NOW - HOUR
METRIC = "requests_total"
PODS = ("a", "b")
ADVICE = {
    7 * MINUTE: "events came up to 7 min late: set `delay: 10m` for the source",
    30 * MINUTE: "events came up to 30 min late: set `delay: 35m` for the source",
}


def value(code: str, pod: str, at: datetime) -> float:
    """Return the counter's value: some requests at every scrape, errors in bursts."""
    scrapes = (at - BEGAN) // SCRAPE
    if code == "200":
        return scrapes * (7 if pod == "a" else 5)
    return scrapes // 11 * 3 + scrapes // 60 * 20


def happened(until: datetime) -> tuple[float, float]:
    """Return the bad events and all up to a time."""
    end = min(until, ENDED)
    bad, good = (sum(value(code, pod, end) for pod in PODS) for code in ("500", "200"))
    return bad, bad + good


def promised(service: str) -> Slo:
    total = f'{METRIC}{{service="{service}"}}'
    bad = f'{METRIC}{{service="{service}",code=~"5.."}}'
    return slo(service, sli=CounterSli("prometheus", total, bad=bad), window=RollingWindow(DAY))


class LateWriter:
    """Writes what the pods counted, each pod's samples so long after their time."""

    def __init__(self, server: Prometheus, lateness: dict[str, timedelta]) -> None:
        self._server = server
        self._lateness = lateness
        self._written = dict.fromkeys(PODS, BEGAN - SCRAPE)
        self.known = (0.0, 0.0)

    async def write(self, now: datetime) -> None:
        """Write all that has come by now."""
        series = []
        for pod in PODS:
            times = list(self._times(pod, now))
            for service in ("shop", "cart"):
                series += [
                    (
                        {"service": service, "code": code, "pod": pod},
                        [(at.timestamp(), value(code, pod, at)) for at in times],
                    )
                    for code in ("200", "500")
                    if times
                ]
            self._written[pod] = max([self._written[pod], *times])
        if series:
            await write_samples(self._server.url, METRIC, series)
        bad, good = (
            sum(value(code, pod, max(BEGAN, self._written[pod])) for pod in PODS) for code in ("500", "200")
        )
        self.known = bad, bad + good

    def _times(self, pod: str, now: datetime) -> Iterator[datetime]:
        at = self._written[pod] + SCRAPE
        while at <= min(now - self._lateness[pod], ENDED):
            yield at
            at += SCRAPE


def counted(budget: Budget) -> tuple[float, float]:
    return (0.0, 0.0) if budget.events is None else (budget.events.bad, budget.events.total)


@pytest.mark.parametrize("late", [7 * MINUTE, 30 * MINUTE])
@pytest.mark.parametrize("pods", [PODS, ("b",)], ids=["all", "half"])
@pytest.mark.parametrize("configured", [True, False])
async def test_late_samples_are_all_counted_and_none_is_claimed_before(
    tmp_path: Path, database: Database, late: timedelta, pods: tuple[str, ...], *, configured: bool
) -> None:
    ledger, slos = Ledger(database), [promised("shop"), promised("cart")]
    delay = late if configured else timedelta()
    wrong: dict[datetime, Budget] = {}
    is_surprise = pods != PODS and not configured
    async with (
        running_prometheus(tmp_path, late=2 * HOUR) as server,
        aiohttp.ClientSession() as session,
    ):
        writer = LateWriter(server, {pod: late if pod in pods else timedelta() for pod in PODS})
        source = PrometheusSource(server.url, session, delay=delay)
        collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
        now = BEGAN + 40 * MINUTE
        while now < ENDED + late + 65 * MINUTE:
            await writer.write(now)
            # One SLO alone takes another way than several.
            await collector.collect(slos[:1] if configured else slos, now, MINUTE)
            budget = await assessed(ledger, slos[0], now)
            assert counted(budget) <= writer.known
            assert budget.as_of is not None
            if budget.state is SloState.OK and counted(budget) != happened(budget.as_of):
                wrong[now] = budget
            if is_surprise and now == ENDED:
                assert budget.problem == ADVICE[late]
            if configured:
                assert (budget.state, budget.as_of) == (SloState.OK, now - delay) or now > ENDED + delay
            now += MINUTE
    assert counted(budget) == happened(ENDED)
    # That one pod is late, and nobody said so, is only known once its samples have come.
    assert [at for at in wrong if not is_surprise or at > BEGAN + 40 * MINUTE + HOUR] == []


@pytest.mark.parametrize("late", [7 * MINUTE, 30 * MINUTE])
@pytest.mark.parametrize("configured", [True, False])
async def test_late_figures_of_each_minute_are_all_counted(
    tmp_path: Path, database: Database, late: timedelta, *, configured: bool
) -> None:
    """An exporter of CloudWatch writes the sum of each minute, which a full query adds up."""
    total, bad = (
        f'sum(sum_over_time(aws_requests_sum{{code=~"{code}"}}[$window]))' for code in (".*", "500")
    )
    objective = slo(sli=CounterSli("prometheus", total, bad=bad), window=RollingWindow(DAY))
    ledger, delay = Ledger(database), late if configured else timedelta()
    wrong, now, written = [], BEGAN + 40 * MINUTE, BEGAN
    async with running_prometheus(tmp_path, late=2 * HOUR) as server, aiohttp.ClientSession() as session:
        source = PrometheusSource(server.url, session, delay=delay)
        collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
        while now < ENDED + late + 65 * MINUTE:
            times = []
            while written < min(now - late, ENDED):
                written += MINUTE
                # Before version 3 a sample between two minutes is in the windows of both.
                times.append((written - SCRAPE).timestamp())
            for code, each in (("200", 99.0), ("500", 1.0)):
                samples = [(at, each) for at in times]
                await write_samples(server.url, "aws_requests_sum", [({"code": code}, samples)])
            await collector.collect([objective], now, MINUTE)
            budget = await assessed(ledger, objective, now)
            minutes = (min(budget.as_of or now, ENDED) - BEGAN) // MINUTE
            known = (written - BEGAN) // MINUTE
            assert counted(budget) <= (known, 100 * known)
            if budget.state is SloState.OK and counted(budget) != (minutes, 100 * minutes):
                wrong.append(now)
            now += MINUTE
            if now == ENDED and not configured:
                assert budget.problem == ADVICE[late]
    assert counted(budget) == ((ENDED - BEGAN) // MINUTE, 100 * ((ENDED - BEGAN) // MINUTE))
    assert [at for at in wrong if configured or at > BEGAN + 40 * MINUTE + HOUR] == []
