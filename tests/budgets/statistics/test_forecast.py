"""What is said about a budget's future: certain where it is certain, nothing where nothing can be said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.budgets.statistics.forecast import (
    HORIZONS,
    LEAST_DAYS,
    BudgetForecast,
    BudgetHistory,
    forecast,
)
from bot.budgets.statistics.present_burn import Cell, PresentBurn

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)  # a Wednesday
DAY, WEEK, MONTH = HORIZONS
QUIET: Cell = (0.0, 1_000.0)
HALF: Cell = (0.0, 500.0)


def history(*days: Cell, window_days: int | None = 30, today: Cell = HALF) -> BudgetHistory:
    """A history at 99.9%, so that a day of a thousand events allows one bad one."""
    kept = (*days, today) if window_days is None else (*days[-window_days:], today)
    window = sum(bad for bad, _ in kept), sum(total for _, total in kept)
    return BudgetHistory(NOON, days, today, window, window_days, allowed=0.001)


def told(history: BudgetHistory, spread: float = 1.0) -> BudgetForecast:
    found = forecast(history, recovered_at=0.1, spread=spread, with_fan=True)
    assert found is not None
    return found


def test_a_service_without_errors_keeps_its_budget() -> None:
    found = told(history(*[QUIET] * 30))
    assert (found.exhausts, found.recovers) == (None, None)
    assert set(found.probability.values()) == {0.0}
    assert all(point.low == point.high == 1 for point in found.fan)
    assert len(found.fan) == 29
    assert found.unspent == 1


def test_steady_overspending_exhausts_the_budget_at_about_the_time_that_one_computes() -> None:
    # Nothing for three weeks, then two bad events a day, twice what is allowed: 30 are allowed, 18 are spent.
    found = told(history(*[QUIET] * 21, *[(2.0, 1_000.0)] * 9, window_days=30, today=(1.0, 500.0)))
    assert found.exhausts is not None
    assert found.exhausts.p90 is None or found.exhausts.p10 < found.exhausts.p90
    assert NOON + 3 * DAY < found.exhausts.p10 < NOON + 10 * DAY
    assert found.probability[DAY] == 0
    assert found.probability[WEEK] < found.probability[MONTH]


def test_a_spent_budget_recovers_when_its_errors_leave_the_window() -> None:
    # Forty errors came in the eleventh hour of a day that is nineteen days old.
    days = [QUIET] * 30
    days[11] = (40.0, 1_000.0)
    hours = [(cell[0] if hour == 10 else 0.0, cell[1] / 24) for cell in days for hour in range(24)]
    found = told(replace(history(*days), hours=hours))
    assert found.exhausts is None
    assert found.probability == {DAY: 1.0, WEEK: 1.0, MONTH: 1.0}
    assert found.recovers is not None
    left = datetime(2026, 3, 29, 10, tzinfo=UTC)
    assert found.recovers.p50 is not None
    assert left <= found.recovers.p10 <= found.recovers.p50 <= left + timedelta(hours=1)
    # Such a day may come again before.
    assert found.recovers.p90 is None


@pytest.mark.parametrize("days", [(), (QUIET,) * (LEAST_DAYS - 1), ((0.0, 0.0),) * 30])
def test_without_enough_history_nothing_can_be_said(days: tuple[Cell, ...]) -> None:
    assert forecast(history(*days), recovered_at=0.1) is None


def test_a_fast_burn_leads_over_what_the_month_was_like() -> None:
    quiet = history(*[QUIET] * 30)
    burning = replace(quiet, present=PresentBurn(fast=120.0, slow=60.0, lasted_h=2.0))
    assert told(quiet).exhausts is None
    found = told(burning)
    # 30.5 bad events are left: a quarter of an hour at the fast rate, half an hour at the slow one.
    assert found.exhausts is not None
    assert found.exhausts.p50 is not None
    assert NOON + timedelta(minutes=15) <= found.exhausts.p10
    assert found.exhausts.p50 <= NOON + timedelta(minutes=31)
    assert found.probability[DAY] > 0.8


def test_the_budget_of_a_calendar_window_grows_while_a_burn_spends_it() -> None:
    # Two and a half days of a thousand events at 99.9% allow 2.5 errors; 0.2 an hour is 4.8 times that pace.
    burning = replace(
        history(*[QUIET] * 30, window_days=None),
        window=(0.0, 2_500.0),
        until=datetime(2026, 4, 1, tzinfo=UTC),
        present=PresentBurn(fast=0.2, slow=0.2, lasted_h=48.0),
    )
    found = told(burning)
    assert found.exhausts is not None
    hours = (found.exhausts.p10 - NOON) / timedelta(hours=1)
    left = 0.001 * (2_500 + 1_000 * hours / 24) - 0.2 * hours
    assert left == pytest.approx(0, abs=1e-6)


def test_a_calendar_window_ends_with_its_period() -> None:
    spent = replace(
        history(*[QUIET] * 17, (60.0, 1_000.0), window_days=None),
        until=datetime(2026, 4, 1, tzinfo=UTC),
    )
    found = told(spent)
    assert found.recovers is not None
    assert found.recovers.p10 == found.recovers.p90 == spent.until
    assert found.fan[-1].at == spent.until


def test_of_downtime_the_window_itself_is_the_total() -> None:
    outages = [(600.0, 0.0) if day % 10 == 3 else (0.0, 0.0) for day in range(30)]
    window_s = 30 * 86_400.0
    down = BudgetHistory(
        NOON, outages, (0.0, 0.0), (1_800.0, window_s), 30, allowed=0.001, fixed_total=window_s
    )
    found = told(down)
    assert found.fan[0].middle == pytest.approx(1 - 1_800 / 2_592, abs=0.25)
    assert 0 < found.probability[MONTH] < 1
    assert forecast(replace(down, days=[(0.0, 0.0)] * 30), recovered_at=0.1) is None


def test_the_same_history_gives_the_same_forecast() -> None:
    days = [(float(day % 5), 1_000.0) for day in range(30)]
    assert told(history(*days)) == told(history(*days))


def test_a_wider_spread_widens_the_fan() -> None:
    days = [(float(day % 5 == 0), 1_000.0) for day in range(30)]
    narrow, wide = (told(history(*days), spread).fan[7] for spread in (0.5, 2.0))
    assert wide.high - wide.low > narrow.high - narrow.low > 0


@pytest.mark.parametrize("window_days", [7, 30, None])
def test_what_is_left_at_the_end_is_what_nine_paths_of_ten_leave_at_least(window_days: int | None) -> None:
    # A fifth to two fifths of what a day allows.
    days = [(0.2 + 0.02 * (day % 11), 1_000.0) for day in range(42)]
    past = history(*days, window_days=window_days, today=(0.15, 500.0))
    if window_days is None:
        past = replace(past, until=NOON + 10 * DAY)
    found = told(past)
    assert found.unspent is not None
    end = found.fan[window_days] if window_days == 7 else found.fan[-1]
    # The fan draws the traffic too, which is the same each day here.
    assert found.unspent == pytest.approx(end.low, abs=0.02)
    assert 0.3 < found.unspent < end.middle


def test_of_a_spent_budget_nothing_is_said_to_be_left() -> None:
    found = told(history(*[QUIET] * 29, (40.0, 1_000.0)))
    assert found.unspent is None or found.unspent < 0
