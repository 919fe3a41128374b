"""What people read about a budget's future: an interval with its odds, or that nothing can be said."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.budgets.budget import SloState
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast, TimeQuantiles
from bot.budgets.statistics.scoring import ForecastScore, WorkspaceScore
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.window import CalendarUnit, CalendarWindow
from bot.freezes.opening import LackingBudget, Opening
from bot.freezes.transition import Background, BudgetExhausted, BudgetWarned, BurnAlertFired
from bot.slack.announcements.forecast_phrases import (
    expectation_text,
    expected_change_text,
    forecast_opening_text,
    forecast_score_text,
    outlook_text,
)
from bot.slack.announcements.freezes import FreezeAnnouncer
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.examples import POLICY, WORKSPACE, contexts
from tests.support.values import budget, in_force, slo

Offsets = tuple[timedelta, timedelta | None, timedelta | None]


def times(offsets: Offsets | None) -> TimeQuantiles | None:
    if offsets is None:
        return None
    first, middle, last = offsets
    return TimeQuantiles(
        NOW + first, None if middle is None else NOW + middle, None if last is None else NOW + last
    )


def made(
    exhausts: Offsets | None = None,
    recovers: Offsets | None = None,
    *,
    likely: float = 0.0,
    week: float = 0.0,
) -> BudgetForecast:
    probability = dict(zip(HORIZONS, (0.0, week, likely), strict=True))
    return BudgetForecast(NOW, times(exhausts), times(recovers), probability)


def read(forecast: BudgetForecast | None, left: float = 0.4) -> str:
    """The text with times as written for phones, and ordinary spaces."""
    text = str(outlook_text(budget(left, of=slo()), forecast, NOW)).replace("\u00a0", " ")
    return text.split("<!date", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("forecast", "text"),
    [
        (made(), "Unlikely to run out within 28 d."),
        (made(likely=0.06), "Unlikely to run out within 28 d (6% likely)."),
        (made((2 * DAY, 4 * DAY, 9 * DAY), likely=1), "Runs out in 2 to 9 d, most likely around "),
        (made((20 * HOUR, 2 * DAY, 9 * DAY), likely=1), "Runs out in 20 h to 9 d, most likely around "),
        (made((15 * MINUTE, 20 * MINUTE, 30 * MINUTE), likely=1), "Runs out in 15 to 30 min at this rate."),
        (
            made((3 * DAY, None, None), likely=0.31, week=0.12),
            "May run out, in 3 d at the earliest: 31% likely within 28 d, 12% within 7 d.",
        ),
    ],
)
def test_a_budget_that_is_left_runs_out_within_an_interval(forecast: BudgetForecast, text: str) -> None:
    assert read(forecast) == text


@pytest.mark.parametrize(
    ("recovers", "text"),
    [
        ((3 * DAY, 3 * DAY, 3 * DAY), "Spent. Recovers in about 3 d, most likely around "),
        ((3 * DAY, 4 * DAY, 9 * DAY), "Spent. Recovers in 3 to 9 d, most likely around "),
        ((3 * DAY, 4 * DAY, None), "Spent. Recovers in 3 d at the earliest, most likely around "),
        (
            (3 * DAY, None, None),
            "Spent. Recovers in 3 d at the earliest, and more likely not within 28 d.",
        ),
        (None, "Spent. Unlikely to recover within 28 d."),
    ],
)
def test_a_spent_budget_recovers_within_an_interval(recovers: Offsets | None, text: str) -> None:
    assert read(made(recovers=recovers, likely=1), left=-0.1) == text


def test_where_nothing_can_be_said_the_present_rate_is_drawn_on() -> None:
    assert read(None) == "Does not run out at this rate."


def test_a_calendar_window_starts_anew() -> None:
    monthly = slo(window=CalendarWindow(CalendarUnit.MONTH, "UTC"))
    text = outlook_text(budget(0.4, of=monthly), made(), NOW)
    assert text == "Unlikely to run out before it resets."


def test_figures_that_are_not_current_are_not_forecast() -> None:
    stale = budget(0.4, of=slo(), state=SloState.STALE)
    assert "Unlikely" not in outlook_text(stale, made(), NOW)


def test_the_home_tab_tells_only_what_is_to_be_expected() -> None:
    left = budget(0.4, of=slo())
    assert expected_change_text(left, None, NOW) == ""
    assert expected_change_text(left, made(likely=0.06), NOW) == ""
    assert "Runs out" in expected_change_text(left, made((DAY, 2 * DAY, 3 * DAY), likely=1), NOW)


def test_scores_are_told_with_what_they_are_compared_to() -> None:
    assert "none has come due yet" in forecast_score_text(None)
    text = forecast_score_text(WorkspaceScore(ForecastScore(1_234, 0.0314, 0.42, 0.807), 1.08))
    assert text == (
        "Forecasts of the last 90 d: 1,234 scored · 81% of the outcomes were within the 80% interval · "
        "Brier score 0.031, 42% better than the base rate · "
        "intervals are now 1.08 times as wide as the history alone says."
    )
    worse = forecast_score_text(WorkspaceScore(ForecastScore(5, 0.3, -0.1, 0.6), 1.0))
    assert "10% worse than the base rate" in worse


ENDS = (2 * DAY, 4 * DAY, 9 * DAY)


def told(name: str, forecast: BudgetForecast | None, **changes: object) -> str:
    """Return the line of an announcement about the future, with its times left out; empty without one."""
    told_of = contexts()[name]
    forecasts = {} if forecast is None else {"availability": forecast}
    told_of = replace(told_of, background=Background(forecasts=forecasts))
    if changes:
        transition = told_of.transition
        assert isinstance(transition, BudgetWarned | BurnAlertFired | BudgetExhausted)
        told_of = replace(told_of, transition=replace(transition, **changes))  # type: ignore[arg-type]
    line = expectation_text(told_of)
    for message in FreezeAnnouncer(in_force(WORKSPACE))(told_of):
        assert not line or line in message.text
        if message.head is not None:
            assert not line or line in message.head["text"]
    return re.sub("<[^>]*>", "T", line.replace("\u00a0", " "))


@pytest.mark.parametrize("name", ["warned", "paged", "ticketed"])
def test_warnings_and_alerts_say_when_the_budget_runs_out_as_the_command_does(name: str) -> None:
    assert told(name, made(ENDS, likely=1)) == "Runs out in 2 to 9 d, most likely around T."
    assert told(name, made(likely=0.06)) == "Unlikely to run out within 28 d (6% likely)."
    assert told(name, None) == ""


def test_while_an_alert_burns_its_range_leads_whatever_the_history_says() -> None:
    burning = replace(
        budget(0.4), burns=True, exhausts_at=NOW + 15 * MINUTE, exhausts_latest=NOW + 30 * MINUTE
    )
    for forecast in (None, made(likely=0.06)):
        line = told("paged", forecast, budget=burning)
        assert line == "Runs out in 15 to 30 min (T to T) at this rate."
    # An hour that burned, without an alert, decides nothing.
    calm = replace(burning, burns=False)
    assert told("paged", made(likely=0.06), budget=calm) == "Unlikely to run out within 28 d (6% likely)."


@pytest.mark.parametrize("name", ["exhausted", "exhausted beside a person's hold", "enforced"])
@pytest.mark.parametrize(
    ("forecast", "text"),
    [
        (None, ""),
        (made(recovers=None, likely=1), "Unlikely to open within 28 d."),
        (made(recovers=ENDS, likely=1), "Expected to open in 2 to 9 d, most likely around T."),
        (
            made(recovers=(2 * DAY, 4 * DAY, None), likely=1),
            "Expected to open in 2 d at the earliest, most likely around T.",
        ),
        (
            made(recovers=(2 * DAY, None, None), likely=1),
            "Expected to open in 2 d at the earliest, and more likely not within 28 d.",
        ),
    ],
)
def test_a_freeze_says_when_the_service_is_expected_to_open(
    name: str, forecast: BudgetForecast | None, text: str
) -> None:
    assert told(name, forecast) == text


def test_the_dwell_counts_as_long_as_the_service_stays_closed() -> None:
    line = told("exhausted", made(recovers=(20 * MINUTE, 30 * MINUTE, 40 * MINUTE), likely=1))
    assert line == "Expected to open in 35 to 55 min, most likely around T."


def test_a_policy_that_observes_says_when_the_service_would_be_open() -> None:
    observing = replace(POLICY, mode=PolicyMode.OBSERVE)
    line = told("exhausted", made(recovers=ENDS, likely=1), policy=observing)
    assert line == "Would be expected to open in 2 to 9 d, most likely around T."


def test_a_calendar_budget_opens_when_it_resets() -> None:
    monthly = budget(-0.1, of=slo(window=CalendarWindow(CalendarUnit.MONTH, "UTC")))
    line = told("exhausted", made(recovers=(3 * DAY, 3 * DAY, 3 * DAY), likely=1), budget=monthly)
    assert line == "Expected to open once the budget resets, T."


@pytest.mark.parametrize(
    "name", ["unmeasured", "kept", "recovered", "placed", "lifted", "expired", "exempted"]
)
def test_nothing_else_says_anything_of_the_future(name: str) -> None:
    assert told(name, made(ENDS, recovers=ENDS, likely=1)) == ""


def test_a_refused_ship_forecasts_by_the_budget_that_recovers_last() -> None:
    soon = made(recovers=(2 * DAY, 3 * DAY, 4 * DAY))
    late = made(recovers=(5 * DAY, 6 * DAY, 8 * DAY))
    lacking = tuple(
        LackingBudget(budget(-0.2, of=slo(name)), Decimal("0.1")) for name in ("availability", "latency")
    )
    opening = Opening(lacking, timedelta(), None, None)
    text = forecast_opening_text(opening, {"availability": soon, "latency": late}, NOW).replace("\u00a0", " ")
    assert text.startswith("Expected to open in 5 to 8 d, most likely around <!date^")
    assert forecast_opening_text(opening, {"availability": soon}, NOW) == ""
    assert forecast_opening_text(replace(opening, lacking=()), {"availability": soon}, NOW) == ""
