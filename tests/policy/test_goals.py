"""Goal documents: what they mean, and what is wrong with those that are refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.catalog.goal import (
    DeliveryMeasure,
    FrequencyTarget,
    GoalTerm,
    Quantile,
    RateTarget,
    ReliabilityTarget,
    TimeTarget,
)
from bot.catalog.window import Span
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, faults_of

GOAL = """
apiVersion: governor/v1
kind: Goal
metadata: {name: checkout-q4}
spec:
  description: Ship daily, and keep the checkout up.
  services: checkout
  quarter: 2026-Q4
  timeZone: Europe/Berlin
  delivery:
    leadTime: {p50: 1d, p90: 4d}
    deploymentFrequency: {perWeek: 2.5}
    failedDeploymentRecoveryTime: {p50: 1h}
    changeFailRate: 15%
    reworkRate: 10
  reliability:
    checkout/availability: 99.95%
"""


def test_a_goal_says_what_both_halves_are_to_reach(write: Write) -> None:
    goal = load(write(workspace=WORKSPACE, service=SERVICE, goal=GOAL), {}).goals["checkout-q4"]
    assert goal.services == ("checkout",)
    assert goal.channel == "#checkout"
    # In Berlin the quarter begins in summer time and ends in winter time.
    span = Span(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert goal.only_term == GoalTerm(span, "2026-Q4")
    assert goal.delivery == (
        FrequencyTarget(Decimal("2.5")),
        TimeTarget(DeliveryMeasure.LEAD_TIME, Quantile.P50, timedelta(days=1)),
        TimeTarget(DeliveryMeasure.LEAD_TIME, Quantile.P90, timedelta(days=4)),
        TimeTarget(DeliveryMeasure.RECOVERY_TIME, Quantile.P50, timedelta(hours=1)),
        RateTarget(DeliveryMeasure.CHANGE_FAIL_RATE, Decimal("0.15")),
        RateTarget(DeliveryMeasure.REWORK_RATE, Decimal("0.1")),
    )
    assert goal.reliability == (ReliabilityTarget("checkout", "availability", Decimal("0.9995")),)


def test_a_goal_may_be_for_any_days(write: Write) -> None:
    dates = GOAL.replace("quarter: 2026-Q4", 'from: "2026-11-02"\n  until: "2026-11-15"')
    goal = load(write(workspace=WORKSPACE, service=SERVICE, goal=dates), {}).goals["checkout-q4"]
    assert goal.only_term is not None
    assert goal.only_term.name == "2026-11-02 to 2026-11-15"
    assert goal.only_term.span.length == timedelta(days=14)


def test_a_goal_may_begin_anew_with_each_quarter(write: Write) -> None:
    every = GOAL.replace("2026-Q4", "every")
    goal = load(write(workspace=WORKSPACE, service=SERVICE, goal=every), {}).goals["checkout-q4"]
    assert goal.only_term is None
    assert goal.term(datetime(2027, 2, 1, tzinfo=UTC)).name == "2027-Q1"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("quarter: 2026-Q4", "quarter: 2026-Q5", "`2026-Q5` is not a quarter"),
        ("  quarter: 2026-Q4\n", "", "it does not say when"),
        ("quarter: 2026-Q4", 'quarter: 2026-Q4\n  until: "2026-12-01"', "`quarter` names the time already"),
        ("quarter: 2026-Q4", 'from: "2026-12-01"\n  until: "2026-11-01"', "it ends before it begins"),
        ("quarter: 2026-Q4", 'from: "2026-01-01"\n  until: "2027-01-02"', "a goal is for a year at most"),
        ("services: checkout", "services: chekout", "unknown Service `chekout`"),
        ("checkout/availability", "checkout/avaliability", "checkout has no SLO `avaliability`"),
        (
            "checkout/availability",
            "search/availability",
            "`search/availability` is not an SLO of these services",
        ),
        ("{p50: 1d, p90: 4d}", "{}", "it names neither `p50` nor `p90`"),
        ("{p50: 1d, p90: 4d}", "{p50: 4d, p90: 1d}", "the p90 is never shorter than the median"),
        ("{perWeek: 2.5}", "{perWeek: 0}", "`0` is out of range"),
        ("{perWeek: 2.5}", "{perWeek: true}", "`true` is not a number"),
        ("changeFailRate: 15%", "changeFailRate: 150%", "`150%` is out of range"),
    ],
)
def test_what_a_goal_cannot_say_is_refused(write: Write, before: str, after: str, message: str) -> None:
    assert before in GOAL
    folder = write(workspace=WORKSPACE, service=SERVICE, goal=GOAL.replace(before, after))
    assert message in str(faults_of(folder)[0])


def test_a_goal_has_two_halves(write: Write) -> None:
    halves = GOAL.partition("  delivery:")[0]
    only = halves + "  delivery: {}\n  reliability: {}\n"
    faults = "\n".join(
        str(fault) for fault in faults_of(write(workspace=WORKSPACE, service=SERVICE, goal=only))
    )
    assert "a goal needs both halves" in faults
    assert "reliability" in faults
