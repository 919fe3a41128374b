"""The guard on a real Prometheus whose series tell who met the flag."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.change_counts import ChangeCounter
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.budgets.variant_counts import VariantCounter
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import CounterSli
from bot.catalog.variants import Variants
from bot.flags.change_readings import ChangeReadings
from bot.flags.guard import BurnReading, ChangeTest, Guard, GuardWatch, RollBack, StillWatching, judge_watch
from bot.flags.variant_test import VariantTest
from bot.store.database import Database
from tests.flags.values import FIVE, OFF
from tests.support.clock import HOUR, MINUTE, NOW, StoppedClock
from tests.support.servers import running_prometheus
from tests.support.values import budget_of_events, catalog, service, slo

SECOND = timedelta(seconds=1)
CHANGED = NOW - 10 * MINUTE
SLI = CounterSli("prometheus", "requests_total", bad='requests_total{code=~"5.."}')
WATCH = GuardWatch(
    "new-checkout", "production", "checkout", OFF, FIVE.version, CHANGED, Guard(14.4, 30 * MINUTE)
)


def series(labels: str, per_scrape: float, *, since: timedelta = 2 * HOUR) -> Iterator[str]:
    at, value = NOW - since, 0.0
    while at <= NOW:
        yield f"requests_total{{{labels}}} {value:g} {at.timestamp():.3f}"
        at, value = at + 15 * SECOND, value + per_scrape


def traffic(failing_on: float, label: str = "variant") -> str:
    """Return 200 good requests a scrape with the flag off; since the change 10 with it on, some failing."""
    lines = ["# TYPE requests counter", *series(f'{label}="off",code="200"', 200)]
    lines += series(f'{label}="on",code="200"', 10 - failing_on, since=10 * MINUTE - 5 * SECOND)
    lines += series(f'{label}="on",code="500"', failing_on, since=10 * MINUTE - 5 * SECOND)
    return "\n".join([*lines, "# EOF", ""])


async def since_the_change(folder: Path, database: Database, samples: str) -> Sequence[BurnReading]:
    checkout = replace(
        service(slos=(slo(sli=SLI),)),
        flags=("new-checkout",),
        variants=Variants("variant", "off", flags=("new-checkout",)),
    )
    current, clock = CurrentCatalog(catalog(checkout)), StoppedClock()
    budgets = [budget_of_events(checkout.slos[0])]
    async with (
        running_prometheus(folder, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        sources = {"prometheus": PrometheusSource(prometheus.url, session)}
        readings = ChangeReadings(
            {"checkout": budgets}.get,
            ChangeCounter(Ledger(database), current, clock).count,
            VariantCounter(sources, current, clock).count,
        )
        found = await readings.since([checkout], CHANGED, "new-checkout")
    assert found is not None
    return found


async def test_a_flag_that_fails_for_those_who_met_it_goes_back(tmp_path: Path, database: Database) -> None:
    found = await since_the_change(tmp_path, database, traffic(1))
    (reading,) = found
    assert isinstance(reading.test, VariantTest)
    assert reading.burn == pytest.approx(100, rel=0.01)
    verdict = judge_watch(WATCH, FIVE, found, NOW)
    assert isinstance(verdict, RollBack)
    # The first scrape after the change only says that the series are there.
    assert verdict.evidence.words.endswith(
        "; 39 of 390 requests with the flag on failed, 0 of 8,000 with it off"
    )


async def test_a_flag_that_works_is_let_stand(tmp_path: Path, database: Database) -> None:
    found = await since_the_change(tmp_path, database, traffic(0))
    assert isinstance(judge_watch(WATCH, FIVE, found, NOW), StillWatching)
    (reading,) = found
    assert isinstance(reading.test, VariantTest)
    assert reading.test.shows_no_harm(14.4)


async def test_series_without_the_label_are_compared_with_the_past(
    tmp_path: Path, database: Database
) -> None:
    ((reading,)) = await since_the_change(tmp_path, database, traffic(1, label="cohort"))
    assert isinstance(reading.test, ChangeTest)
    assert "because no series with the label `variant` counted anything" in reading.test.compared
