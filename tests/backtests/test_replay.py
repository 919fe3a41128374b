"""The replay passes over moments in which nothing can change, and decides as if it had passed over none."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from bot.backtests import replay as replaying
from bot.backtests.past_counts import PastCounts, PastTimes, edges_of
from bot.backtests.replay import PastTransition, SloPast, replay
from bot.budgets.ledger.rollups import HOUR as HOUR_S
from bot.budgets.ledger.rollups import rollups_at, seconds
from bot.budgets.ledger.state import LedgerState
from bot.catalog.error_budget_policy import (
    AlertSeverity,
    BurnAlert,
    DecideBy,
    ErrorBudgetPolicy,
    PolicyMode,
)
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span, Window
from bot.freezes.transition import BudgetExhausted, BudgetRecovered, BudgetWarned, BurnAlertFired, is_observed
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import STANDARD, service, slo

START = NOW - 20 * DAY
WEEK = RollingWindow(7 * DAY)


def times_from(start: datetime) -> PastTimes:
    return PastTimes(edges_of(rollups_at(LedgerState(), NOW), start, NOW))


def past_of(cells: Sequence[tuple[float, float]], times: PastTimes, since: datetime = START) -> SloPast:
    return SloPast(PastCounts(times, cells), since)


def steady(times: PastTimes, bad_at: dict[datetime, float], a_minute: float = 100.0) -> SloPast:
    """A past with as many requests in each minute, of which shares fail in the hours given."""
    cells = []
    for start, end in pairwise(times.edges):
        total = a_minute * (end - start) / 60
        share = sum(bad for at, bad in bad_at.items() if 0 <= start - seconds(at) < HOUR_S)
        cells.append((total * share, total))
    return past_of(cells, times)


def kinds(transitions: Sequence[PastTransition]) -> list[str]:
    return [type(past.transition).__name__ for past in transitions]


@pytest.mark.parametrize("decide_by", list(DecideBy))
@pytest.mark.parametrize("window", [WEEK, CalendarWindow(CalendarUnit.WEEK, "Europe/Berlin")])
@pytest.mark.parametrize("traffic", [0.02, 3.0, 500.0])
def test_passing_over_quiet_moments_changes_no_decision(
    decide_by: DecideBy, window: Window, traffic: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(f"{decide_by}{window}{traffic}")  # noqa: S311 - reproducible, not secret
    times = times_from(START - 14 * DAY)
    cells = []
    share = 0.0
    for start, end in pairwise(times.edges):
        if draw.random() < 0.05:
            share = draw.choice([0.0, 0.0005, 0.004, 0.05])
        total = float(round(traffic * (end - start) / 60 * draw.uniform(0.5, 1.5)))
        cells.append((float(min(total, round(total * share + draw.random() * 0.6))), total))
    policy = replace(STANDARD, decide_by=decide_by, dwell=90 * MINUTE)
    own = service(slos=(slo(objective="0.998", window=window),), policy=policy)
    pasts = {"availability": past_of(cells, times)}
    span = Span(START, NOW)
    quick = replay(own, pasts, span, 5 * MINUTE)
    monkeypatch.setattr(replaying._Run, "_changes_by", lambda *_: True)
    assert replay(own, pasts, span, 5 * MINUTE) == quick
    assert quick or traffic < 1


def test_a_budget_is_spent_within_an_hour_and_warned_of_before() -> None:
    times = times_from(START - 7 * DAY)
    own = service(slos=(slo(window=WEEK),), policy=replace(STANDARD, burn_alerts=()))
    found = replay(own, {"availability": steady(times, {START + DAY: 0.3})}, Span(START, NOW), MINUTE)
    assert kinds(found) == [
        "BudgetWarned",
        "BudgetWarned",
        "BudgetWarned",
        "BudgetExhausted",
        "BudgetRecovered",
    ]
    # 7 days allow 1,008 of 1,008,000: at 30 a minute half of them have failed after 17 minutes.
    minutes = [(past.at - (START + DAY)) // MINUTE for past in found[:4]]
    assert minutes == [17, 26, 31, 34]
    # What failed in the hour leaves with it, a week later; 15 minutes of dwell follow.
    assert found[4].at - (START + 8 * DAY) == 45 * MINUTE


def test_what_only_observes_freezes_nothing_and_is_marked() -> None:
    times = times_from(START - 7 * DAY)
    policy = ErrorBudgetPolicy("watching", mode=PolicyMode.OBSERVE)
    own = service(slos=(slo(window=WEEK),), policy=policy)
    found = replay(own, {"availability": steady(times, {START + DAY: 0.5})}, Span(START, NOW), MINUTE)
    frozen = [past.transition for past in found if isinstance(past.transition, BudgetExhausted)]
    assert [is_observed(transition) for transition in frozen] == [True]


def test_an_slo_is_judged_from_when_its_window_is_known() -> None:
    times = times_from(START - 7 * DAY)
    young = replace(slo(window=WEEK), name="latency")
    own = service(slos=(slo(window=WEEK), young), policy=ErrorBudgetPolicy("plain", dwell=timedelta()))
    spent = steady(times, {START - DAY: 0.5})
    pasts = {"availability": steady(times, {}), "latency": replace(spent, since=START + 3 * DAY)}
    found = replay(own, pasts, Span(START, NOW), MINUTE)
    assert found[0].at == START + 3 * DAY
    assert isinstance(found[0].transition, BudgetExhausted)
    assert found[0].transition.budget.slo.name == "latency"
    assert kinds(found) == ["BudgetExhausted", "BudgetRecovered"]


def test_a_burn_alert_waits_until_its_long_window_is_counted() -> None:
    times = times_from(START - 7 * DAY)
    alert = BurnAlert(AlertSeverity.TICKET, Decimal(1), 5 * DAY, HOUR)
    policy = replace(STANDARD, burn_alerts=(alert,))
    own = service(slos=(slo(window=RollingWindow(30 * DAY)),), policy=policy)
    # A day at six times the budget's pace, then a little above it.
    bad_at = {START + HOUR * hour: 0.006 if hour < 0 else 0.0011 for hour in range(-24, 120)}
    burning = steady(times, bad_at)

    def first_alert(past: SloPast) -> timedelta:
        found = replay(own, {"availability": past}, Span(START, NOW), HOUR)
        return next(each.at for each in found if isinstance(each.transition, BurnAlertFired)) - START

    assert first_alert(burning) == timedelta()
    assert first_alert(replace(burning, counted_from=START - DAY)) == 4 * DAY


def test_downtime_counts_against_the_time_itself() -> None:
    times = times_from(START - 7 * DAY)
    sli = slo(window=WEEK, sli=DowntimeSli())
    cells = [(600.0 if start == seconds(START + DAY) else 0.0, 0.0) for start, _ in pairwise(times.edges)]
    found = replay(service(slos=(sli,)), {"availability": past_of(cells, times)}, Span(START, NOW), MINUTE)
    # Ten minutes of 10.08: 0.8% are left, below 10%, and none of the levels is passed over.
    assert [past.transition.level for past in found if isinstance(past.transition, BudgetWarned)] == [
        Decimal("0.5"), Decimal("0.25"), Decimal("0.1")
    ]  # fmt: skip
    assert not any(isinstance(past.transition, BudgetExhausted | BudgetRecovered) for past in found)


def test_counts_within_a_part_are_taken_as_spread_evenly() -> None:
    times = PastTimes([0, HOUR_S, 2 * HOUR_S])
    counts = PastCounts(times, [(6.0, 60.0), (0.0, 120.0)])
    assert counts.sums(HOUR_S / 2, 3 * HOUR_S / 2) == (3.0, 90.0)
    assert counts.sums(-HOUR_S, 5 * HOUR_S) == (6.0, 180.0)
    assert timedelta() == (NOW - START) % HOUR
