"""A metric that is not there is missing data; a counter that does not move is no traffic."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.budget import Budget, SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import NoSeriesError
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, OnMissingData
from bot.catalog.slo import CounterSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.freezes.decision import FreezeState, decide
from bot.freezes.transition import DataMissing
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.servers import Prometheus, running_prometheus
from tests.support.values import slo

BEGAN = NOW - 5 * HOUR
ENDED = NOW - 30 * MINUTE
STRICT = ErrorBudgetPolicy("strict", on_missing_data=OnMissingData.FREEZE)


def history() -> str:
    """Return five hours of counters: one rises, one stands still, one ended half an hour ago."""
    lines = ["# TYPE requests counter"]
    for service, last in (("busy", NOW), ("flat", NOW), ("renamed", ENDED)):
        at = BEGAN
        while at <= last:
            value = 7 if service == "flat" else int((at - BEGAN) / MINUTE)
            lines.append(f'requests_total{{service="{service}",code="200"}} {value} {at.timestamp()}')
            at += timedelta(seconds=15)
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with running_prometheus(tmp_path, openmetrics=history()) as server:
        yield server


def promised(service: str) -> Slo:
    total = f'requests_total{{service="{service}"}}'
    sli = CounterSli("prometheus", total, bad=f'requests_total{{service="{service}",code="500"}}')
    return slo(service, sli=sli, window=RollingWindow(DAY))


ALL = [promised(service) for service in ("busy", "flat", "renamed", "unheard-of")]


@pytest.mark.parametrize("together", [True, False])
async def test_no_series_is_told_apart_from_no_traffic(
    prometheus: Prometheus, database: Database, together: bool
) -> None:
    ledger = Ledger(database)
    async with aiohttp.ClientSession() as session:
        collector = Collector(ledger, {"prometheus": PrometheusSource(prometheus.url, session)})

        async def collect(now: datetime) -> dict[str, Budget]:
            for slos in [ALL] if together else [[one] for one in ALL]:
                await collector.collect(slos, now, MINUTE)
            return {one.name: await assessed(ledger, one, now) for one in ALL}

        before = await collect(ENDED)
        after = await collect(NOW)
    assert (before["busy"].state, before["flat"].state) == (SloState.OK, SloState.NO_TRAFFIC)
    assert before["renamed"].state is SloState.OK
    assert (after["busy"].state, after["flat"].state) == (SloState.OK, SloState.NO_TRAFFIC)
    assert after["busy"].events is not None
    assert after["busy"].events.total == pytest.approx(5 * 60, abs=1)
    assert (after["renamed"].state, after["renamed"].as_of) == (SloState.STALE, ENDED)
    assert after["renamed"].problem == 'no series match requests_total{service="renamed"}'
    for budgets in (before, after):
        assert budgets["unheard-of"].state is SloState.NO_DATA
        assert budgets["unheard-of"].problem == 'no series match requests_total{service="unheard-of"}'
    for name in ("renamed", "unheard-of"):
        decision = decide([(after[name], STRICT)], hold=None, state=FreezeState(), now=NOW)
        assert decision.transitions == (DataMissing(after[name], STRICT),)
    assert decide([(after["flat"], STRICT)], hold=None, state=FreezeState(), now=NOW).transitions == ()


@pytest.mark.parametrize("together", [True, False])
async def test_what_has_not_arrived_yet_is_not_claimed(
    prometheus: Prometheus, database: Database, together: bool
) -> None:
    """Seven minutes after its newest sample a metric may be late: counting ended with that sample."""
    ledger, now, slos = Ledger(database), ENDED + 7 * MINUTE, ALL[:3]
    async with aiohttp.ClientSession() as session:
        collector = Collector(ledger, {"prometheus": PrometheusSource(prometheus.url, session)})
        for batch in [slos] if together else [[one] for one in slos]:
            await collector.collect(batch, now, MINUTE)
    budgets = {one.name: await assessed(ledger, one, now) for one in slos}
    assert (budgets["renamed"].state, budgets["renamed"].as_of) == (SloState.OK, ENDED)
    assert (budgets["busy"].as_of, budgets["flat"].as_of) == (now, now)


async def test_a_time_before_the_metric_began_is_no_missing_data(
    prometheus: Prometheus, database: Database
) -> None:
    ledger, monthly = Ledger(database), slo(sli=promised("busy").sli)
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(prometheus.url, session)
        await Collector(ledger, {"prometheus": source}).collect([monthly], NOW, MINUTE)
        with pytest.raises(NoSeriesError):
            await source.read(monthly.sli, Span(BEGAN - HOUR, BEGAN - MINUTE), MINUTE)
    budget = await assessed(ledger, monthly, NOW)
    assert budget.state is SloState.OK
    assert (await ledger.state(monthly)).filled_from == NOW - 30 * DAY


async def test_a_full_query_may_be_without_a_value_for_a_while(prometheus: Prometheus) -> None:
    rare = CounterSli(
        "prometheus",
        'sum(increase(requests_total{service="renamed"}[$window])) > 0',
        bad='sum(increase(requests_total{code="500"}[$window]))',
    )
    never = CounterSli(
        "prometheus", 'sum(increase(requests_total{service="unheard-of"}[$window]))', bad="nothing"
    )
    zero = CounterSli(
        "prometheus",
        'sum(increase(requests_total{service="unheard-of"}[$window])) or vector(0)',
        bad="nothing",
    )
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(prometheus.url, session)
        last = Span(NOW - 10 * MINUTE, NOW)
        assert sum(bucket.total for bucket in await source.read(rare, last, MINUTE)) == 0
        assert sum(bucket.total for bucket in await source.read(zero, last, MINUTE)) == 0
        with pytest.raises(NoSeriesError, match="no value for an hour"):
            await source.read(never, last, MINUTE)
