"""The formulas agree with the contract's reference numbers, and never answer what is no number."""

import math
from datetime import timedelta
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
    is_valid,
    remaining,
    worst,
)
from bot.catalog.window import RollingWindow
from tests.support.clock import DAY, HOUR, NOW
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


def test_the_worst_is_the_least_that_remains() -> None:
    fine, spent, unknown = budget(0.9), budget(-0.2), Budget(slo(), SloState.NO_DATA)
    assert worst([fine, unknown, spent]) is spent
    assert worst([unknown]) is None
