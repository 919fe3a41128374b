"""Each night's forecasts are kept, scored when they come due, and calibrate the next ones; on both stores."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from bot.budgets.budget import Budget, SloState
from bot.budgets.evaluator import Evaluator
from bot.budgets.forecast_scores import ForecastScores
from bot.budgets.forecaster import Forecaster
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Bucket
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import CounterSli, Slo
from bot.catalog.window import Span
from bot.clock import SystemClock
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.tables.forecasts import forecast_scores, forecasts
from tests.support.clock import DAY, HOUR, NOW
from tests.support.values import catalog, service, slo

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
NIGHT = MIDNIGHT + timedelta(minutes=1)


class Nights:
    """One service whose nights are gone through."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.promised = slo(sli=CounterSli("prometheus", "requests", bad="errors"))
        self.ledger = Ledger(database)
        self.current = CurrentCatalog(catalog(service(slos=(self.promised,))))
        self.forecaster = Forecaster(self.ledger, self.current)
        self.scores = self.another_replica()

    def another_replica(self) -> ForecastScores:
        return ForecastScores(self.database, self.ledger, self.forecaster, self.current, Lease("forecasts"))

    def promise(self, promised: Slo) -> None:
        self.promised = promised
        self.current.set(catalog(service(slos=(promised,))))

    async def count(self, start: datetime, end: datetime, bad: float) -> None:
        """Count a thousand events an hour, of which `bad` fail."""
        hours = [start + HOUR * hour for hour in range(int((end - start) / HOUR))]
        buckets = [Bucket(at, HOUR, bad, 1_000.0) for at in hours]
        await self.ledger.write([(self.promised, buckets)], Span(start, end), HOUR, end)

    async def budgets(self, now: datetime) -> list[Budget]:
        evaluator = Evaluator(
            Collector(self.ledger, {}), self.ledger, self.current, SystemClock(), self._ignore
        )
        (budgets,) = await evaluator.assess([service(slos=(self.promised,))], now)
        return list(budgets)

    async def night(self, now: datetime) -> None:
        await self.scores.update(await self.budgets(now), now)

    async def rows(self) -> list[tuple[int, bool, float | None]]:
        columns = forecasts.c.horizon_days, forecasts.c.exhausted, forecasts.c.remaining
        async with self.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(select(*columns).order_by(columns[0]))]

    async def _ignore(self, *_: object) -> None:
        pass


@pytest.fixture
async def nights(database: Database) -> Nights:
    nights = Nights(database)
    await nights.count(MIDNIGHT - 40 * DAY, MIDNIGHT, 0.5)
    return nights


async def test_a_nights_forecasts_are_kept_once(nights: Nights) -> None:
    await nights.night(NIGHT)
    await nights.night(NIGHT + timedelta(minutes=1))
    await nights.another_replica().update(await nights.budgets(NIGHT), NIGHT)
    assert await nights.rows() == [(1, False, None), (7, False, None), (28, False, None)]


async def test_by_day_none_are_kept(nights: Nights) -> None:
    await nights.count(MIDNIGHT, MIDNIGHT + 9 * HOUR, 0.5)
    await nights.night(MIDNIGHT + 9 * HOUR)
    assert await nights.rows() == []


async def test_what_has_come_due_is_scored_and_calibrates(nights: Nights) -> None:
    await nights.night(NIGHT)
    assert nights.forecaster.scores == {}
    await nights.count(MIDNIGHT, MIDNIGHT + DAY, 0.5)
    await nights.night(NIGHT + DAY)
    (first, *_) = await nights.rows()
    assert first[:2] == (1, False)
    assert first[2] == pytest.approx(0.5, abs=0.001)
    found = nights.forecaster.scores[None]
    assert (found.score.count, found.score.coverage, found.score.brier) == (1, 1.0, 0.0)
    assert nights.forecaster.spread("checkout") == found.spread


async def test_an_exhaustion_on_the_way_counts_although_the_budget_recovered_since(nights: Nights) -> None:
    await nights.night(NIGHT)
    now = await nights.budgets(NIGHT)
    spent = [Budget(each.slo, each.state, remaining=Decimal(-1)) for each in now]
    await nights.scores.update(spent, MIDNIGHT + 12 * HOUR)
    await nights.count(MIDNIGHT, MIDNIGHT + DAY, 0.5)
    await nights.night(NIGHT + DAY)
    (first, *_) = await nights.rows()
    assert first[:2] == (1, True)
    assert first[2] == pytest.approx(0.5, abs=0.001)
    assert nights.forecaster.scores[None].score.brier == pytest.approx(1)


async def test_more_budgets_may_be_exhausted_at_once_than_a_statement_can_name(nights: Nights) -> None:
    await nights.night(NIGHT)
    promised = [*(slo(f"slo-{number}") for number in range(17_000)), nights.promised]
    spent = [Budget(each, SloState.OK, remaining=Decimal(-1)) for each in promised]
    await nights.scores.update(spent, MIDNIGHT + 12 * HOUR)
    assert [exhausted for _, exhausted, _ in await nights.rows()] == [True, True, True]


async def test_forecasts_of_an_slo_that_changed_are_dropped(nights: Nights) -> None:
    await nights.night(NIGHT)
    await nights.count(MIDNIGHT, MIDNIGHT + DAY, 0.5)
    nights.promise(slo(objective=0.99, sli=nights.promised.sli))
    await nights.scores.update([], MIDNIGHT + DAY + 12 * HOUR)
    assert [row[0] for row in await nights.rows()] == [7, 28]
    assert nights.forecaster.scores == {}


async def test_a_day_is_summed_up_once(nights: Nights, database: Database) -> None:
    await nights.night(NIGHT)
    await nights.count(MIDNIGHT, MIDNIGHT + 7 * DAY, 0.5)
    for minute in (0, 1):
        await nights.night(NIGHT + 7 * DAY + minute * timedelta(minutes=1))
    async with database.reading() as connection:
        rows = (await connection.execute(select(forecast_scores))).all()
    assert [(row.workspace, row.scored) for row in rows] == [("", 2)]
