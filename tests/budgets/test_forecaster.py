"""Forecasts from a real ledger: of counted events, of pushed ones, and of recorded downtime."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bot.budgets.budget import Budget, SloState
from bot.budgets.evaluator import Evaluator
from bot.budgets.forecaster import Forecaster
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Bucket
from bot.budgets.statistics.scoring import ForecastScore, WorkspaceScore
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import CounterSli, DowntimeSli, Slo
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span
from bot.clock import SystemClock
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import catalog, service, slo

COUNTED = slo(sli=CounterSli("prometheus", "requests", bad="errors"))
PUSHED = slo()


async def no_one(assessed: object, now: datetime) -> None:
    del assessed, now


class Office:
    """A ledger of one service and what is forecast of it."""

    def __init__(self, database: Database, promised: Slo, downtime: Sequence[Span] = ()) -> None:
        async def bad_seconds(of: str, spans: Sequence[Span]) -> Sequence[float]:
            del of
            return [
                sum(
                    max(0.0, (min(down.end, span.end) - max(down.start, span.start)).total_seconds())
                    for down in downtime
                )
                for span in spans
            ]

        self.promised = promised
        self.service: Service = service(slos=(promised,))
        self.ledger = Ledger(database, bad_seconds)
        current = CurrentCatalog(catalog(self.service))
        collector = Collector(self.ledger, {})
        self.evaluator = Evaluator(collector, self.ledger, current, SystemClock(), no_one)
        self.forecaster = Forecaster(self.ledger, current)

    async def count(self, days: int, bad: float, *, since: datetime | None = None) -> None:
        """Count a thousand events an hour, of which `bad` fail."""
        end = NOW.replace(minute=0)
        start = since or (end - days * DAY).replace(hour=0)
        hours = [start + HOUR * hour for hour in range(int((end - start) / HOUR))]
        buckets = [Bucket(at, HOUR, bad, 1_000.0) for at in hours]
        await self.ledger.write([(self.promised, buckets)], Span(start, end), HOUR, NOW)

    async def budget(self) -> Budget:
        ((budget,),) = await self.evaluator.assess([self.service], NOW)
        return budget


async def test_it_is_made_of_what_the_ledger_holds(database: Database) -> None:
    office = Office(database, COUNTED)
    await office.count(40, 0.9)
    await office.forecaster.refresh([await office.budget()])
    found = office.forecaster.newest(COUNTED, NOW)
    assert found is not None
    # Nine tenths of the budget are spent, day after day.
    assert found.exhausts is not None
    assert found.probability[timedelta(days=1)] < found.probability[timedelta(days=28)]


async def test_an_old_one_is_not_told(database: Database) -> None:
    office = Office(database, COUNTED)
    await office.count(40, 0.9)
    await office.forecaster.refresh([await office.budget()])
    assert office.forecaster.newest(COUNTED, NOW + HOUR) is None


async def test_it_is_made_anew_where_it_would_say_something_else(database: Database) -> None:
    office = Office(database, COUNTED)
    await office.count(40, 0.9)
    budget = await office.budget()
    assert budget.remaining is not None
    assert budget.as_of is not None
    await office.forecaster.refresh([budget])
    first = office.forecaster.newest(COUNTED, NOW)
    little = replace(budget, remaining=budget.remaining - Decimal("0.009"), as_of=budget.as_of + MINUTE)
    await office.forecaster.refresh([little])
    assert office.forecaster.newest(COUNTED, NOW) is first
    for changed in (
        replace(budget, remaining=budget.remaining - Decimal("0.01")),
        replace(budget, as_of=budget.as_of + 5 * MINUTE),
    ):
        await office.forecaster.refresh([budget])
        before = office.forecaster.newest(COUNTED, NOW)
        await office.forecaster.refresh([changed])
        assert office.forecaster.newest(COUNTED, NOW) is not before
    await office.forecaster.refresh([replace(budget, state=SloState.STALE)])
    assert office.forecaster.newest(COUNTED, NOW) is None
    await office.forecaster.refresh([budget])
    assert office.forecaster.newest(COUNTED, NOW) is not None
    await office.forecaster.refresh([])
    assert office.forecaster.newest(COUNTED, NOW) is None


async def test_of_a_new_slo_nothing_can_be_said(database: Database) -> None:
    office = Office(database, COUNTED)
    await office.count(5, 0.9)
    assert await office.forecaster.forecast_all([await office.budget()]) == [None]


async def test_without_traffic_nothing_can_be_said(database: Database) -> None:
    office = Office(database, PUSHED)
    assert await office.forecaster.forecast_all([await office.budget()]) == [None]


async def test_pushed_events_are_forecast_from_their_first_whole_day_on(database: Database) -> None:
    office = Office(database, PUSHED)
    events = [PushedEvent(PUSHED, 10_000, 5, NOW - DAY * day) for day in range(20)]
    await office.ledger.push(events, NOW)
    (found,) = await office.forecaster.forecast_all([await office.budget()])
    assert found is not None
    assert found.recovers is None


async def test_a_spent_budget_recovers_by_the_hour_in_which_its_errors_leave(database: Database) -> None:
    office = Office(database, COUNTED)
    await office.count(40, 0.0)
    start = (NOW - 20 * DAY).replace(hour=5, minute=0)
    outage = [Bucket(start, HOUR, 900.0, 1_000.0)]
    await office.ledger.write([(COUNTED, outage)], Span(start, start + HOUR), HOUR, NOW)
    (found,) = await office.forecaster.forecast_all([await office.budget()])
    assert found is not None
    assert found.recovers is not None
    assert start + 30 * DAY <= found.recovers.p10 <= start + 30 * DAY + HOUR


async def test_downtime_is_forecast_from_its_own_days(database: Database) -> None:
    down = slo(sli=DowntimeSli(), window=RollingWindow(30 * DAY))
    outages = [Span(NOW - DAY * day, NOW - DAY * day + timedelta(minutes=15)) for day in (3, 13, 23, 33)]
    office = Office(database, down, outages)
    (found,) = await office.forecaster.forecast_all([await office.budget()])
    assert found is not None
    assert found.probability[timedelta(days=28)] > 0
    calm = Office(database, down)
    assert await calm.forecaster.forecast_all([await calm.budget()]) == [None]


async def test_a_month_starts_anew_at_its_end(database: Database) -> None:
    monthly = slo(sli=COUNTED.sli, window=CalendarWindow(CalendarUnit.MONTH, "UTC"))
    office = Office(database, monthly)
    await office.count(40, 2.0)
    (found,) = await office.forecaster.forecast_all([await office.budget()], with_fan=True)
    assert found is not None
    assert found.recovers is not None
    assert found.recovers.p10 == found.recovers.p90 == monthly.window.period(NOW).end  # type: ignore[union-attr]
    assert found.fan[-1].at <= monthly.window.period(NOW).end  # type: ignore[union-attr]


@pytest.mark.parametrize("factor", [0.5, 2.0])
async def test_the_factor_of_the_workspace_widens_or_narrows_it(database: Database, factor: float) -> None:
    office = Office(database, COUNTED)
    await office.count(40, 0.5)
    budget = await office.budget()
    (plain,) = await office.forecaster.forecast_all([budget], with_fan=True)
    office.forecaster.scores = {None: WorkspaceScore(ForecastScore(100, 0.1, 0.5, 0.8), factor)}
    (scaled,) = await office.forecaster.forecast_all([budget], with_fan=True)
    assert plain is not None
    assert scaled is not None
    widths = [each.fan[20].high - each.fan[20].low for each in (plain, scaled)]
    assert (widths[1] > widths[0]) is (factor > 1)
