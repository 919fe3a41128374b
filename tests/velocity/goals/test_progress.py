"""How far a goal has come: each target, each half, and the whole, which is met only if both halves are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.budgets.budget import EventCounts
from bot.catalog.goal import (
    DeliveryMeasure,
    DeliveryTarget,
    FrequencyTarget,
    Goal,
    GoalTerm,
    Quantile,
    RateTarget,
    ReliabilityTarget,
    TimeTarget,
)
from bot.catalog.window import Span
from bot.slack.velocity.goals import goal_line, goal_text
from bot.velocity.delivery import DeliveredChange, Delivery
from bot.velocity.goals.progress import GoalState, progress
from bot.velocity.measures import DeliveryMeasures, measure

SPAN = Span(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
NOW = SPAN.start + timedelta(days=14)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UP = ReliabilityTarget("checkout", "up", Decimal("0.999"))
LEAD = TimeTarget(DeliveryMeasure.LEAD_TIME, Quantile.P50, DAY)
FAILED = RateTarget(DeliveryMeasure.CHANGE_FAIL_RATE, Decimal("0.25"))
MET, NOT_MET, UNKNOWN = GoalState.MET, GoalState.NOT_MET, GoalState.UNKNOWN


def goal(*delivery: DeliveryTarget) -> Goal:
    return Goal("q4", "", ("checkout",), GoalTerm(SPAN, "2026-Q4"), "UTC", delivery, (UP,), "#checkout")


def delivered(*lead_times: timedelta, failed: int = 0) -> DeliveryMeasures:
    every = []
    for index, lead in enumerate(lead_times):
        at = SPAN.start + (index + 1) * DAY
        change = DeliveredChange(f"c{index}", at - lead)
        delivery = Delivery("checkout", (f"d{index}",), f"c{index}", at, at, changes=(change,))
        every.append(replace(delivery, has_failed=index < failed))
    return measure(every, Span(SPAN.start, NOW))


@pytest.mark.parametrize(
    ("target", "measures", "state"),
    [
        (LEAD, delivered(DAY), MET),
        (LEAD, delivered(DAY + HOUR), NOT_MET),
        (LEAD, delivered(), UNKNOWN),
        (FAILED, delivered(*[HOUR] * 4, failed=1), MET),
        (FAILED, delivered(*[HOUR] * 3, failed=1), NOT_MET),
        (FAILED, delivered(), UNKNOWN),
        (FrequencyTarget(Decimal(1)), delivered(HOUR, HOUR), MET),
        (FrequencyTarget(Decimal("1.1")), delivered(HOUR, HOUR), NOT_MET),
        (FrequencyTarget(Decimal(1)), delivered(), NOT_MET),
        (LEAD, None, UNKNOWN),
    ],
)
def test_a_target_of_delivery(
    target: DeliveryTarget, measures: DeliveryMeasures | None, state: GoalState
) -> None:
    assert progress(goal(target), measures, {}, NOW).delivery[0].state is state


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        (EventCounts(10, 10_000), MET),
        (EventCounts(11, 10_000), NOT_MET),
        (EventCounts(0, 0), UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_target_of_reliability_is_exact(counts: EventCounts | None, state: GoalState) -> None:
    found = {} if counts is None else {"checkout/up": counts}
    assert progress(goal(LEAD), None, found, NOW).reliability_state is state


@pytest.mark.parametrize(
    ("lead", "bad", "state"),
    [
        (HOUR, 0, MET),
        (HOUR, 100, NOT_MET),
        (2 * DAY, 0, NOT_MET),
        (2 * DAY, 100, NOT_MET),
        (None, 0, UNKNOWN),
    ],
)
def test_a_goal_is_met_only_when_both_halves_are(lead: timedelta | None, bad: int, state: GoalState) -> None:
    measures = delivered() if lead is None else delivered(lead)
    found = progress(goal(LEAD), measures, {"checkout/up": EventCounts(bad, 10_000)}, NOW)
    assert found.state is state


def test_how_much_of_its_time_has_passed() -> None:
    shown = [
        (each.has_begun, each.has_ended, round(each.elapsed, 3))
        for at in (SPAN.start - DAY, NOW, SPAN.end)
        for each in [progress(goal(LEAD), None, {}, at)]
    ]
    assert shown == [(False, False, 0.0), (True, False, 0.154), (True, True, 1.0)]


def test_the_card_shows_both_halves_with_what_they_stand_at() -> None:
    targets = (LEAD, FAILED, FrequencyTarget(Decimal(5)))
    counts = {"checkout/up": EventCounts(3, 1_234_567)}
    found = progress(goal(*targets), delivered(*[5 * HOUR] * 4, failed=1), counts, NOW)
    assert goal_text(found).replace("\xa0", " ").splitlines() == [
        ":x: *q4*: delivery not met so far, reliability met so far · 2026-Q4, day 15 of 91",
        "*Delivery* — not met so far",
        ":white_check_mark: lead time, median at most 1 d: *5 h* (n 4)",
        ":white_check_mark: change fail rate, at most 25%: *25.0%* (n 4)",
        ":x: deployments, at least 5 a week: *2 a week* (n 4)",
        "*Reliability* — met so far",
        ":white_check_mark: checkout/up, at least 99.9%: *99.9997%* of 1,234,567 events",
    ]
    at_the_end = progress(goal(LEAD), delivered(), counts, SPAN.end)
    assert "delivery nothing to judge it by, reliability met · 2026-Q4, over" in goal_line(at_the_end)


@pytest.mark.parametrize(("hour", "day"), [(21, 39), (22, 39), (23, 40)])
def test_a_day_of_a_goal_begins_at_midnight_also_after_the_clock_was_changed(hour: int, day: int) -> None:
    berlin = replace(goal(LEAD), only_term=None, time_zone="Europe/Berlin")
    found = progress(berlin, None, {}, datetime(2026, 11, 8, hour, 30, tzinfo=UTC))
    assert goal_line(found).endswith(f"2026-Q4, day {day} of 92")


def test_a_goal_of_every_quarter_begins_anew_where_its_teams_are() -> None:
    berlin = replace(goal(LEAD), only_term=None, time_zone="Europe/Berlin")
    new_year = datetime(2026, 12, 31, 23, tzinfo=UTC)
    before, after = berlin.term(new_year - timedelta(seconds=1)), berlin.term(new_year)
    assert (before.name, after.name) == ("2026-Q4", "2027-Q1")
    assert before.span.end == after.span.start == new_year
    assert before.span.start == datetime(2026, 9, 30, 22, tzinfo=UTC)
