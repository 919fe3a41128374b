"""A budget as it stood at past moments: the figures of those moments, which stay what they were."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.budgets.budget import Budget, EventCounts, assess, remaining
from bot.budgets.evaluator import Evaluator
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.budgets.reading.collector import Collector
from bot.budgets.rolling import BudgetPoint, past_moments, past_step, rolling_history
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span, Window
from bot.clock import SystemClock
from bot.incidents.downtime import Impact, bad_seconds
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.stores import create_tables
from tests.support.values import catalog, service, slo

WINDOWS = [
    RollingWindow(HOUR),
    RollingWindow(7 * DAY),
    RollingWindow(28 * DAY),
    RollingWindow(30 * DAY),
    RollingWindow(90 * DAY),
    RollingWindow(365 * DAY),
    CalendarWindow(CalendarUnit.WEEK, "Europe/Berlin"),
    CalendarWindow(CalendarUnit.MONTH),
    CalendarWindow(CalendarUnit.QUARTER, "America/New_York"),
    CalendarWindow(CalendarUnit.YEAR),
    CalendarWindow(CalendarUnit.MONTH, "Asia/Kolkata", datetime(2020, 1, 31, 12, 45)),  # noqa: DTZ001 - local
]


async def ignore(*_: object) -> None:
    """Decide nothing."""


def evaluator(ledger: Ledger, *services: Service) -> Evaluator:
    current = CurrentCatalog(catalog(*services))
    return Evaluator(Collector(ledger, {}), ledger, current, SystemClock(), ignore)


async def now_left(judge: Evaluator, of: Slo, now: datetime) -> Budget:
    """Return the budget as the evaluation now has it."""
    ((budget,),) = await judge.assess([service(slos=(of,))], now)
    return budget


def random_events(of: Slo, days: int, seed: int = 1) -> list[PushedEvent]:
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    return [
        PushedEvent(of, draw.randrange(1_000, 2_000), draw.choice([0, 0, 1, 5]), NOW - hour * HOUR - MINUTE)
        for hour in range(24 * days)
    ]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("most", [13, 19])
def test_moments_go_back_by_one_window_and_are_the_same_ones_later(window: Window, most: int) -> None:
    moments = past_moments(window, NOW + 7 * MINUTE, most)
    assert moments[-1] == NOW + 7 * MINUTE
    assert 1 < len(moments) <= most + 1
    assert moments == sorted(set(moments))
    assert moments[0] >= moments[-1] - window.full_length(moments[-1])
    step = past_step(window, NOW + 7 * MINUTE, most)
    assert {later - earlier for earlier, later in itertools.pairwise(moments[:-1])} <= {step}
    # Ten minutes later all but those that have become too old are still there.
    later = past_moments(window, NOW + 17 * MINUTE, most)
    kept = {moment for moment in moments[:-1] if moment >= later[-1] - window.full_length(later[-1])}
    assert kept <= set(later)


@pytest.mark.parametrize("window", [RollingWindow(7 * DAY), RollingWindow(30 * DAY)], ids=str)
async def test_each_point_counts_the_events_of_the_window_that_ended_then(
    database: Database, window: RollingWindow
) -> None:
    of, ledger = slo(window=window), Ledger(database)
    events = random_events(of, 2 * round(window.length / DAY) + 1)
    await ledger.push(events, NOW)
    judge = evaluator(ledger)
    history = await judge.rolling(await now_left(judge, of, NOW), NOW, 13)
    assert len(history.points) > 7
    assert history.whole_from is None
    for point in history.points:
        within = [event for event in events if point.at - window.length <= event.at < point.at]
        bad, total = (sum(event.bad for event in within), sum(event.bad + event.good for event in within))
        left = remaining(EventCounts(bad, total), of.objective)
        assert left is not None
        assert point.remaining == float(left)


async def test_what_happens_later_moves_no_point_of_the_past(database: Database) -> None:
    of, ledger = slo(), Ledger(database)
    await ledger.push(random_events(of, 60), NOW)
    judge = evaluator(ledger)
    before = await judge.rolling(await now_left(judge, of, NOW), NOW, 13)
    tomorrow = NOW + DAY
    await ledger.push([PushedEvent(of, 0, 900, tomorrow - HOUR)], tomorrow)
    after = await judge.rolling(await now_left(judge, of, tomorrow), tomorrow, 13)
    kept = {point.at: point.remaining for point in after.points}
    same = [point for point in before.points[1:-1] if point.at in kept]
    assert len(same) >= 8
    assert all(kept[point.at] == point.remaining for point in same)
    assert after.points[-1].remaining < before.points[-1].remaining


async def test_retention_keeps_what_the_points_rest_on(database: Database) -> None:
    of, ledger = slo(), Ledger(database)
    await ledger.register([of])
    await ledger.push(random_events(of, 64), NOW)
    judge = evaluator(ledger)
    before = await judge.rolling(await now_left(judge, of, NOW), NOW, 13)
    await ledger.delete_expired(NOW, 30 * DAY)
    assert await judge.rolling(await now_left(judge, of, NOW), NOW, 13) == before


async def test_a_service_that_is_counted_for_less_than_two_windows_says_from_when_points_are_whole(
    database: Database,
) -> None:
    of, ledger = slo(), Ledger(database)
    events = random_events(of, 40)
    await ledger.push(events, NOW)
    judge = evaluator(ledger)
    history = await judge.rolling(await now_left(judge, of, NOW), NOW, 13)
    assert history.whole_from == min(event.at for event in events) + 30 * DAY


async def test_before_anything_was_counted_there_are_no_points(database: Database) -> None:
    of, ledger = slo(), Ledger(database)
    judge = evaluator(ledger)
    assert (await judge.rolling(await now_left(judge, of, NOW), NOW, 13)).points == ()
    await ledger.push(random_events(of, 5), NOW)
    history = await judge.rolling(await now_left(judge, of, NOW), NOW, 13)
    assert history.points[0].at >= NOW - 5 * DAY - HOUR


async def test_a_calendar_window_starts_again_with_a_whole_budget(database: Database) -> None:
    of = slo(window=CalendarWindow(CalendarUnit.WEEK))
    ledger = Ledger(database)
    now = NOW + 3 * DAY
    monday = NOW.replace(hour=0)
    assert monday.weekday() == 0
    await ledger.push([PushedEvent(of, 9_990, 10, monday - 12 * HOUR)], now)
    await ledger.push([PushedEvent(of, 9_995, 5, monday + 36 * HOUR)], now)
    judge = evaluator(ledger)
    history = await judge.rolling(await now_left(judge, of, now), now, 13)
    left = {point.at: point.remaining for point in history.points}
    assert left[monday] == 1.0
    assert left[monday + 2 * DAY] == pytest.approx(0.5)
    assert left[now] == pytest.approx(0.5)


async def test_downtime_is_drawn_as_it_stood(tmp_path: Path) -> None:
    outage = Impact(NOW - 3 * DAY - HOUR, NOW - 3 * DAY - HOUR + 5 * MINUTE)

    async def recorded(_service: str, spans: Sequence[Span]) -> Sequence[float]:
        return [bad_seconds([outage], span) for span in spans]

    of = slo(window=RollingWindow(7 * DAY), sli=DowntimeSli())
    spent = EventCounts(300, 7 * DAY / timedelta(seconds=1))
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'governor.db'}") as database:
        await create_tables(database)
        judge = evaluator(Ledger(database, recorded))
        history = await judge.rolling(assess(of, events=spent, recent={}, as_of=NOW), NOW, 13)
    before = [point.remaining for point in history.points if point.at <= outage.start]
    after = [point.remaining for point in history.points if outage.end and point.at >= outage.end]
    assert set(before) == {1.0}
    assert after == [pytest.approx(1 - 5 / 10.08)] * len(after)
    assert before
    assert len(before) + len(after) == len(history.points)


def test_the_last_point_is_the_budget_itself() -> None:
    budget = assess(slo(), events=EventCounts(300, 1_000_000), recent={}, as_of=NOW)
    history = rolling_history(budget, [], step=DAY, counted_from=None)
    assert history.points == (BudgetPoint(NOW, 0.7),)
    assert rolling_history(replace(budget, events=None), [], step=DAY, counted_from=None).points == ()
