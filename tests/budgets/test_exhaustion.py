"""When a budget runs out: at the rate of the last hour, and as a range while a burn alert burns."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.budget import Budget, EventCounts, assess, remaining
from bot.budgets.exhaustion import exhausts_at
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import CalendarUnit, CalendarWindow
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import slo

A_DAY = 288e6
"""Events a day: a million in five minutes."""
MONTH = CalendarWindow(CalendarUnit.MONTH)
MONTHLY = slo(window=MONTH)
ALERT = BurnAlert(AlertSeverity.PAGE, Decimal(6), 6 * HOUR, 5 * MINUTE)


def test_a_burn_of_two_spends_half_a_budget_in_a_quarter_of_the_window() -> None:
    assert exhausts_at(slo(), Decimal("0.5"), Decimal(2), NOW) == NOW + 7.5 * DAY


@pytest.mark.parametrize(
    ("left", "burn"), [("0.5", 1), ("0.5", 0), ("0", 5), ("-1", 5), (None, 5), ("0.5", None)]
)
def test_what_is_not_running_out_has_no_end(left: str | None, burn: int | None) -> None:
    known_left = None if left is None else Decimal(left)
    assert exhausts_at(slo(), known_left, None if burn is None else Decimal(burn), NOW) is None


def test_a_calendar_window_cannot_run_out_after_its_end() -> None:
    assert exhausts_at(MONTHLY, Decimal("0.9"), Decimal(2), NOW) is None
    passed = NOW - MONTH.span(NOW).start
    assert exhausts_at(MONTHLY, Decimal("0.1"), Decimal(5), NOW) == NOW + passed / 40


@pytest.mark.parametrize("days", [1, 3, 10, 20])
@pytest.mark.parametrize(("left", "burn"), [(0.8, 3), (0.3, 1.5), (0.5, 14.4)])
def test_a_calendar_budget_that_grows_with_its_events_runs_out_when_what_comes_has_spent_it(
    days: int, left: float, burn: float
) -> None:
    now = MONTH.span(NOW).start + days * DAY
    alert = BurnAlert(AlertSeverity.PAGE, Decimal(1), 6 * HOUR, 5 * MINUTE)
    recent = {length: events_of(length, burn) for length in (6 * HOUR, HOUR, 5 * MINUTE)}
    so_far = events_of(days * DAY, 1 - left)
    for alerts in ((), (alert,)):
        found = assess(MONTHLY, events=so_far, recent=recent, as_of=now, alerts=alerts)
        assert found.burns == bool(alerts)
        assert in_seconds(found.exhausts_at) == in_seconds(found.exhausts_latest)
        at = found.exhausts_at or MONTH.period(now).end - MINUTE
        then = remaining(so_far + events_of(at - now, burn), MONTHLY.objective)
        assert then is not None
        if found.exhausts_at is None:
            assert then > 0
        else:
            assert float(then) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("left", "burn", "days"), [(0.5, 5, 3), (0.1, 0.5, 6), (0.5, 2, None), (0.5, 0, None)]
)
def test_downtime_has_the_budget_of_the_whole_period_from_its_start(
    left: float, burn: float, days: int | None
) -> None:
    monthly = slo(window=MONTH, sli=DowntimeSli())
    now = MONTH.period(NOW).start + 22 * DAY + 12 * HOUR
    found = exhausts_at(monthly, Decimal(str(left)), Decimal(str(burn)), now)
    assert found == (None if days is None else now + days * DAY)


def events_of(length: timedelta, burn: float) -> EventCounts:
    """Return the events of a time with steady traffic and errors of this burn rate."""
    total = A_DAY * (length / DAY)
    return EventCounts(burn * total / 1_000, total)


def in_seconds(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp())


def burning(long: float, short: float, hour: float, traffic: float = 1.0) -> Budget:
    """Return half a budget with the burn rates of an alert over 6 h and 5 min, and of the last hour.

    `traffic` is how many times as many requests as usual come now.
    """
    rates = {6 * HOUR: long, 5 * MINUTE: short, HOUR: hour}
    recent = {length: events_of(length * traffic, rate) for length, rate in rates.items()}
    events = EventCounts(30 * A_DAY / 2_000, 30 * A_DAY)
    return assess(slo(), events=events, recent=recent, as_of=NOW, alerts=(ALERT,))


def in_minutes(budget: Budget) -> tuple[int, int]:
    """Return after how many minutes the budget runs out at the earliest and at the latest."""
    assert budget.exhausts_at is not None
    assert budget.exhausts_latest is not None
    first, last = (round((at - NOW) / MINUTE) for at in (budget.exhausts_at, budget.exhausts_latest))
    return first, last


def test_while_both_windows_of_an_alert_burn_the_faster_one_counts_as_a_range() -> None:
    half = 15 * DAY / MINUTE
    assert in_minutes(burning(long=10, short=240, hour=60)) == (half / 240, half / 10)
    faster_hour = burning(long=10, short=20, hour=60)
    assert in_minutes(faster_hour) == (half / 60, half / 10)
    assert faster_hour.burns


def test_a_burn_that_began_within_the_short_window_may_be_twice_as_fast_and_is_no_slower() -> None:
    # Five minutes at 900× are all that the six hours have.
    new = burning(long=12.5, short=900, hour=75)
    assert in_minutes(new) == (15 * DAY / MINUTE / 1800, 15 * DAY / MINUTE / 900)


def test_a_range_reaches_from_the_sooner_to_the_later_of_what_traffic_now_and_on_average_says() -> None:
    half = 15 * DAY / MINUTE
    assert in_minutes(burning(long=10, short=240, hour=60, traffic=2)) == (half / 480, half / 10)
    assert in_minutes(burning(long=10, short=240, hour=60, traffic=0.5)) == (half / 240, half / 5)


@pytest.mark.parametrize(("long", "short"), [(10, 5), (5, 240), (0, 0)])
def test_while_one_window_alone_burns_the_last_hour_counts(long: float, short: float) -> None:
    found = burning(long=long, short=short, hour=60)
    assert found.exhausts_at == found.exhausts_latest == NOW + 6 * HOUR
    assert not found.burns


@given(left=st.floats(1e-12, 1), burn=st.floats(1.0000001, 1e12))
def test_an_end_lies_in_the_future(left: float, burn: float) -> None:
    end: datetime | None = exhausts_at(slo(), Decimal(left), Decimal(burn), NOW)
    assert end is None or NOW <= end <= NOW + 30 * DAY


@given(
    long=st.floats(0, 1_000),
    short=st.floats(0, 1_000),
    hour=st.floats(0, 1_000),
    traffic=st.floats(0.01, 100),
)
def test_a_range_lies_in_the_future_and_in_order(
    long: float, short: float, hour: float, traffic: float
) -> None:
    found = burning(long, short, hour, traffic)
    if found.exhausts_at is not None:
        assert NOW <= found.exhausts_at <= (found.exhausts_latest or found.exhausts_at)


def test_a_calendar_window_that_resets_before_the_later_end_has_no_latest() -> None:
    recent = {6 * HOUR: EventCounts(60, 10_000), 5 * MINUTE: EventCounts(100, 1_000)}
    found = assess(MONTHLY, events=EventCounts(5e5, 1e9), recent=recent, as_of=NOW, alerts=(ALERT,))
    assert found.exhausts_at is not None
    assert found.exhausts_at < NOW + timedelta(days=1)
    assert found.exhausts_latest is None
