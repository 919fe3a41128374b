"""The formulas agree with the contract's reference numbers, and never answer what is no number."""

import math
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.budget import (
    NO_EVENTS,
    Budget,
    EventCounts,
    SloState,
    allowed_minutes,
    assess,
    burn_rate,
    exhausts_at,
    is_valid,
    remaining,
    worst,
)
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import budget, slo

EVENTS = st.builds(
    lambda total, share: EventCounts(total * share, total),
    st.floats(0, 1e15).filter(lambda total: total == 0 or total > 1e-300),
    st.floats(0, 1, allow_subnormal=False),
)
OBJECTIVES = st.decimals("0.01", "0.999999", places=6)
THREE_NINES = Decimal("0.999")


@pytest.mark.parametrize(
    ("objective", "days", "minutes"),
    [(0.999, 30, 43.2), (0.999, 7, 10.08), (0.99, 28, 403.2), (0.9999, 30, 4.32)],
)
def test_a_budget_in_minutes_of_full_outage(objective: float, days: int, minutes: float) -> None:
    promised = slo(objective=objective, window=RollingWindow(days * DAY))
    assert allowed_minutes(promised, NOW) == pytest.approx(minutes)


def test_fifteen_minutes_down_in_a_week_overspend_by_almost_five() -> None:
    promised = slo(window=RollingWindow(7 * DAY))
    week = EventCounts(15, 7 * 24 * 60)
    found = assess(promised, events=week, recent={}, as_of=NOW)
    assert found.remaining_minutes == pytest.approx(-4.92)


def test_the_reference_figures() -> None:
    events = EventCounts(2_000, 1_001_000)
    assert remaining(events, THREE_NINES) == pytest.approx(Decimal("-0.998002"), abs=Decimal("1e-6"))
    assert burn_rate(events, THREE_NINES) == pytest.approx(Decimal("1.998"), abs=Decimal("1e-4"))


@pytest.mark.parametrize(
    ("burn", "length", "spent"), [(14.4, HOUR, 0.02), (6, 6 * HOUR, 0.05), (1, 3 * DAY, 0.1)]
)
def test_burn_alerts_spend_what_the_workbook_says(burn: float, length: timedelta, spent: float) -> None:
    rate = 100.0
    month, window = 30 * DAY / HOUR * rate, length / HOUR * rate
    bad = burn * 0.001 * window
    assert burn_rate(EventCounts(bad, window), THREE_NINES) == Decimal(str(burn))
    assert remaining(EventCounts(bad, month), THREE_NINES) == 1 - Decimal(str(spent))


def test_without_events_there_is_no_figure() -> None:
    assert remaining(NO_EVENTS, THREE_NINES) is None
    assert burn_rate(NO_EVENTS, THREE_NINES) is None
    found = assess(slo(), events=NO_EVENTS, recent={HOUR: NO_EVENTS}, as_of=NOW)
    assert (found.state, found.remaining, found.burn, found.is_known) == (SloState.NO_TRAFFIC, None, {}, True)


@pytest.mark.parametrize(
    ("events", "stale", "invalid", "state"),
    [
        (EventCounts(1, 100), False, False, SloState.OK),
        (EventCounts(1, 100), True, False, SloState.STALE),
        (NO_EVENTS, True, False, SloState.STALE),
        (None, False, False, SloState.NO_DATA),
        (None, True, False, SloState.NO_DATA),
        (None, False, True, SloState.INVALID),
        (EventCounts(1, 100), True, True, SloState.INVALID),
        (EventCounts(101, 100), False, False, SloState.INVALID),
        (EventCounts(-1, 100), False, False, SloState.INVALID),
        (EventCounts(math.nan, 100), False, False, SloState.INVALID),
        (EventCounts(1, math.inf), False, False, SloState.INVALID),
    ],
)
def test_each_state_is_told_honestly(
    events: EventCounts | None, stale: bool, invalid: bool, state: SloState
) -> None:
    found = assess(slo(), events=events, recent={}, as_of=NOW, stale=stale, invalid=invalid)
    assert found.state is state
    assert found.is_known is (state is SloState.OK)


@given(events=EVENTS, objective=OBJECTIVES, hour=EVENTS)
def test_no_figure_is_ever_nan_or_infinite(
    events: EventCounts, objective: Decimal, hour: EventCounts
) -> None:
    found = assess(slo(objective=objective), events=events, recent={HOUR: hour}, as_of=NOW)
    figures = [
        found.sli,
        found.remaining,
        found.remaining_minutes,
        found.remaining_events,
        *found.burn.values(),
    ]
    assert all(math.isfinite(figure) for figure in figures if figure is not None)
    if found.remaining is not None:
        assert found.remaining <= 1


@given(bad=st.floats(), total=st.floats())
def test_whatever_is_counted_the_answer_is_finite_or_invalid(bad: float, total: float) -> None:
    events = EventCounts(bad, total)
    found = assess(slo(), events=events, recent={}, as_of=NOW)
    if found.state is SloState.INVALID:
        assert not is_valid(events)
    else:
        assert found.remaining is None or math.isfinite(found.remaining)


@given(events=EVENTS, objective=OBJECTIVES)
def test_remaining_and_burn_over_the_whole_window_are_one_thing(
    events: EventCounts, objective: Decimal
) -> None:
    left, burn = remaining(events, objective), burn_rate(events, objective)
    assert (left is None) is (burn is None) is (events.total == 0)
    if left is not None and burn is not None:
        assert float(1 - left) == pytest.approx(float(burn))


def test_a_burn_of_two_spends_half_a_budget_in_a_quarter_of_the_window() -> None:
    assert exhausts_at(slo(), Decimal("0.5"), Decimal(2), NOW) == NOW + 7.5 * DAY


@pytest.mark.parametrize(
    ("left", "burn"), [("0.5", 1), ("0.5", 0), ("0", 5), ("-1", 5), (None, 5), ("0.5", None)]
)
def test_what_is_not_running_out_has_no_end(left: str | None, burn: int | None) -> None:
    known_left = None if left is None else Decimal(left)
    assert exhausts_at(slo(), known_left, None if burn is None else Decimal(burn), NOW) is None


def test_a_calendar_window_cannot_run_out_after_its_end() -> None:
    monthly = slo(window=CalendarWindow(CalendarUnit.MONTH))
    assert exhausts_at(monthly, Decimal("0.9"), Decimal(2), NOW) is None
    assert exhausts_at(monthly, Decimal("0.1"), Decimal(5), NOW) == NOW + 30 * DAY / 50


def _burning(long: float, short: float, hour: float) -> Budget:
    """Return half a budget with an alert over 6 h and 5 min, and the burn rates of these and of an hour."""
    alerts = (BurnAlert(AlertSeverity.PAGE, Decimal(6), 6 * HOUR, 5 * MINUTE),)
    rates = {6 * HOUR: long, 5 * MINUTE: short, HOUR: hour}
    recent = {length: EventCounts(rate, 1_000) for length, rate in rates.items()}
    return assess(slo(), events=EventCounts(500, 1_000_000), recent=recent, as_of=NOW, alerts=alerts)


def test_while_both_windows_of_an_alert_burn_the_faster_one_counts_as_a_range() -> None:
    found = _burning(long=10, short=240, hour=60)
    assert found.exhausts_at == NOW + 15 * DAY / 240
    assert found.exhausts_latest == NOW + 15 * DAY / 10
    faster_hour = _burning(long=10, short=20, hour=60)
    assert (faster_hour.exhausts_at, faster_hour.exhausts_latest) == (NOW + 6 * HOUR, NOW + 36 * HOUR)


@pytest.mark.parametrize(("long", "short"), [(10, 5), (5, 240), (0, 0)])
def test_while_one_window_alone_burns_the_last_hour_counts(long: float, short: float) -> None:
    found = _burning(long=long, short=short, hour=60)
    assert found.exhausts_at == found.exhausts_latest == NOW + 6 * HOUR


@given(left=st.floats(1e-12, 1), burn=st.floats(1.0000001, 1e12))
def test_an_end_lies_in_the_future(left: float, burn: float) -> None:
    end: datetime | None = exhausts_at(slo(), Decimal(left), Decimal(burn), NOW)
    assert end is None or NOW <= end <= NOW + 30 * DAY


def test_the_worst_is_the_least_that_remains() -> None:
    fine, spent, unknown = budget(0.9), budget(-0.2), Budget(slo(), SloState.NO_DATA)
    assert worst([fine, unknown, spent]) is spent
    assert worst([unknown]) is None
