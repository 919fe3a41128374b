"""The ledger counts what a real Prometheus counts: `increase(...[window])` on the same samples."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from bot.budgets.budget import EventCounts, SloState
from bot.budgets.ledger.ledger import Ledger, ReadFault
from bot.budgets.reading.collector import Collector
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.scraped_traffic import METRIC, Pod, Traffic
from tests.support.servers import Prometheus, running_exporter, running_prometheus
from tests.support.stores import create_tables
from tests.support.values import slo

T = TypeVar("T")
SECOND = timedelta(seconds=1)
TOTAL, BAD = f'{METRIC}{{service="checkout"}}', f'{METRIC}{{service="checkout",code="500"}}'
SLI = CounterSli("prometheus", TOTAL, bad=BAD)
ALL_CODES = ("200", "500")
NOBODY = CounterSli("prometheus", TOTAL.replace("checkout", "nobody"), bad=BAD.replace("checkout", "nobody"))


@asynccontextmanager
async def collecting(url: str, folder: Path) -> AsyncIterator[tuple[Ledger, Collector]]:
    async with Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database:
        await create_tables(database)
        async with aiohttp.ClientSession() as session:
            ledger = Ledger(database)
            source = PrometheusSource(url, session, timeout=timedelta(seconds=60))
            yield ledger, Collector(ledger, {"prometheus": source}, retry_wait=timedelta())


async def increase(prometheus: Prometheus, span: Span) -> EventCounts:
    """Return what Prometheus itself counts in the span."""
    width = f"{span.length.total_seconds():.0f}s"
    bad, total = [
        await prometheus.value(f"sum(increase({selector}[{width}]))", span.end) for selector in (BAD, TOTAL)
    ]
    return EventCounts(bad, total)


async def until(ask: Callable[[], Awaitable[T]], answer: T) -> None:
    """Ask until the answer is this one; the test's own time limit ends it otherwise."""
    while await ask() != answer:  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.1)


def seen(traffic: Traffic, span: Span) -> EventCounts:
    """Return what the scrapes show to the last event."""
    return EventCounts(traffic.counted(span, "500"), traffic.counted(span, *ALL_CODES))


def close(events: EventCounts, tolerance: float) -> object:
    return pytest.approx((events.bad, events.total), rel=tolerance)


MONTH = Traffic(
    Span(NOW - 30 * DAY, NOW),
    MINUTE,
    (
        Pod("steady"),
        Pod("restarted-daily", restarts=DAY),
        Pod("restarted-often", restarts=2 * HOUR),
        Pod("crash-looping", restarts=10 * MINUTE, begins=26 * DAY),
        Pod("replaced", ends=13 * DAY),
        Pod("replacing", begins=13 * DAY),
        Pod("unreachable", silent=((5 * DAY, 5 * DAY + 40 * MINUTE), (8 * DAY, 8 * DAY + 5 * HOUR))),
    ),
)


async def test_thirty_days_agree_with_prometheus_within_a_thousandth(tmp_path: Path) -> None:
    promised = slo(sli=SLI)
    async with (
        running_prometheus(tmp_path, openmetrics=MONTH.openmetrics()) as prometheus,
        collecting(prometheus.url, tmp_path) as (ledger, collector),
    ):
        await collector.collect([promised], NOW, MINUTE)
        for length in (30 * DAY, 7 * DAY):
            span = Span(NOW - length, NOW)
            (events,) = await ledger.counts(promised, [span], NOW)
            assert (events.bad, events.total) == close(seen(MONTH, span), 1e-9)
            assert (events.bad, events.total) == close(await increase(prometheus, span), 0.001)
        budget = await assessed(ledger, promised, NOW)
        assert budget.state is SloState.OK
        assert (await ledger.state(promised)).filled_from == NOW - 30 * DAY


async def test_thirty_days_are_counted_to_the_last_event_beside_another_slo(tmp_path: Path) -> None:
    promised, elsewhere = slo(sli=SLI), slo(service="nobody", sli=NOBODY)
    async with (
        running_prometheus(tmp_path, openmetrics=MONTH.openmetrics()) as prometheus,
        collecting(prometheus.url, tmp_path) as (ledger, collector),
        aiohttp.ClientSession() as session,
    ):
        assert len(PrometheusSource(prometheus.url, session).groups([SLI, NOBODY], 2)) == 1
        await collector.collect([promised, elsewhere], NOW, MINUTE)
        for start, end in ((30, 0), (7, 0), (9, 8), (14, 12), (30, 25)):
            span = Span(NOW - start * DAY, NOW - end * DAY)
            (events,) = await ledger.counts(promised, [span], NOW)
            assert (events.bad, events.total) == close(seen(MONTH, span), 1e-9)


async def test_a_window_that_begins_amid_an_hour_agrees_at_every_minute(tmp_path: Path) -> None:
    pods = (Pod("steady"), Pod("restarted", restarts=HOUR))
    traffic = Traffic(Span(NOW - 8 * DAY, NOW), MINUTE, pods)
    promised = slo(sli=SLI, window=RollingWindow(7 * DAY))
    async with (
        running_prometheus(tmp_path, openmetrics=traffic.openmetrics()) as prometheus,
        collecting(prometheus.url, tmp_path) as (ledger, collector),
    ):
        for now in (NOW - 23 * MINUTE, NOW - 22 * MINUTE, NOW - MINUTE, NOW):
            await collector.collect([promised], now, MINUTE)
            span = Span(now - 7 * DAY, now)
            (events,) = await ledger.counts(promised, [span], now)
            assert (events.bad, events.total) == close(seen(traffic, span), 1e-9)


async def test_minute_by_minute_through_an_outage_nothing_is_lost(tmp_path: Path) -> None:
    traffic = Traffic(
        Span(NOW - 6 * HOUR, NOW),
        15 * SECOND,
        (Pod("steady"), Pod("restarted", restarts=20 * MINUTE), Pod("new", begins=5 * HOUR + 20 * MINUTE)),
    )
    promised = slo(sli=SLI, window=RollingWindow(2 * HOUR))
    every = 30 * SECOND
    async with (
        running_prometheus(tmp_path, openmetrics=traffic.openmetrics()) as prometheus,
        collecting(prometheus.url, tmp_path) as (ledger, collector),
    ):

        async def collect_until(start: datetime, end: datetime) -> None:
            for tick in range((end - start) // every + 1):
                await collector.collect([promised], start + tick * every, every)

        await collect_until(NOW - HOUR, NOW - 40 * MINUTE)
        await prometheus.stop()
        await collect_until(NOW - 39 * MINUTE, NOW - 38 * MINUTE)
        budget = await assessed(ledger, promised, NOW - 38 * MINUTE, every)
        assert budget.state is SloState.STALE
        assert budget.as_of == NOW - 40 * MINUTE
        assert "cannot be reached" in (budget.problem or "")
        await prometheus.start()
        await collect_until(NOW - 15 * MINUTE, NOW)
        assert (await assessed(ledger, promised, NOW, every)).state is SloState.OK
        for length in (2 * HOUR, HOUR, 30 * MINUTE, every):
            span = Span(NOW - length, NOW)
            (events,) = await ledger.counts(promised, [span], NOW)
            assert (events.bad, events.total) == close(seen(traffic, span), 1e-9)


async def test_live_scrapes_are_counted_through_a_restart_of_prometheus(tmp_path: Path) -> None:
    promised = slo(sli=SLI, window=RollingWindow(10 * MINUTE))
    async with (
        running_exporter() as exporter,
        running_prometheus(tmp_path, [exporter]) as prometheus,
        collecting(prometheus.url, tmp_path) as (ledger, collector),
    ):

        async def scraped() -> float:
            return await prometheus.value(f"sum(last_over_time({TOTAL}[5m]))")

        async def counted() -> EventCounts:
            now = datetime.now(UTC)
            await collector.collect([promised], now, SECOND)
            budget = await assessed(ledger, promised, now, SECOND)
            assert budget.state in {SloState.OK, SloState.NO_TRAFFIC}
            assert budget.events is not None
            return budget.events

        exporter.count(METRIC, 7, service="checkout", code="200")
        exporter.count(METRIC, 0, service="checkout", code="500")
        await until(scraped, 7.0)
        exporter.count(METRIC, 90, service="checkout", code="200")
        await until(scraped, 97.0)
        await until(counted, EventCounts(0, 90))
        await prometheus.kill()
        await collector.collect([promised], datetime.now(UTC) + SECOND, SECOND)
        assert (await ledger.state(promised)).fault is ReadFault.NO_DATA
        exporter.count(METRIC, 10, service="checkout", code="500")
        await prometheus.start()
        await until(scraped, 107.0)
        exporter.restart()
        exporter.count(METRIC, 5, service="checkout", code="200")
        await until(scraped, 5.0)
        await until(counted, EventCounts(10, 105))
