"""Where a guard meets too few requests to tell anything."""

from dataclasses import replace
from decimal import Decimal

import pytest
from scipy.stats import beta

from bot.catalog.error_budget_policy import CanaryGuard, OnUndecided
from bot.flags.guard_traffic import idle_guard, requests_needed
from tests.support.clock import HOUR
from tests.support.values import slo

GUARD = CanaryGuard()


@pytest.mark.parametrize("limit", [0.0001, 0.0144, 0.1, 0.6, 0.99])
def test_that_many_good_requests_and_not_one_fewer_are_enough(limit: float) -> None:
    needed = requests_needed(limit / 0.001, 0.001)
    assert beta.sf(limit, 0.5, 0.5 + needed) <= 0.05 < beta.sf(limit, 0.5, 0.5 + needed - 1)


def test_a_guard_that_cannot_be_reached_needs_none() -> None:
    assert requests_needed(14.4, 0.1) == 0


def test_too_little_traffic_says_what_would_do() -> None:
    idle = idle_guard(slo(objective="0.999"), GUARD, 480, by_variant=False)
    assert idle is not None
    needed = requests_needed(14.4, 0.001)
    assert idle.words == (
        "about 10 requests in the 30\N{NBSP}min that the guard of flags watches, "
        f"and it needs {needed} to tell: it ends undecided"
    )
    assert idle.fix == (
        "set `guard.watchFor` to 8h, with as long between a ramp's steps, "
        "or leave the decision to people with `guard.onUndecided: go`"
    )
    assert idle.holds
    longer = replace(GUARD, watch_for=8 * HOUR)
    assert idle_guard(slo(objective="0.999"), longer, 480, by_variant=False) is None


def test_where_no_watch_is_long_enough_people_decide() -> None:
    idle = idle_guard(slo(objective="0.999"), replace(GUARD, on_undecided=OnUndecided.GO), 3, by_variant=True)
    assert idle is not None
    assert "with the flag on to tell" in idle.words
    assert idle.fix == "watch increases yourself"
    assert not idle.holds


@pytest.mark.parametrize(("objective", "requests"), [("0.999", 0.0), ("0.999", 10_000), ("0.9", 1)])
def test_enough_traffic_or_none_at_all_is_not_named(objective: str, requests: float) -> None:
    assert idle_guard(slo(objective=Decimal(objective)), GUARD, requests, by_variant=False) is None
