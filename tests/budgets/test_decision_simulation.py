"""How often chance alone freezes a service or takes an increase back, and how soon harm is found."""

from collections.abc import Sequence

import pytest

from bot.catalog.error_budget_policy import DecideBy
from tests.support.decision_simulation import REQUESTS, TRAFFIC, compared_ramp, month, ramp, tables

MONTHS, RAMPS = 1_000, 1_000
TWENTY_EXPECTED = range(334, 701)
"""Events a day that allow 10 to 21 bad ones in 30 days: `auto` leaves these to arithmetic."""

ONE_EXPECTED = range(30, 40)
"""Events a day that allow about one bad one: three prove it there, and come by chance now and then."""


@pytest.mark.parametrize("events", [one for one in TRAFFIC if one not in {*TWENTY_EXPECTED, *ONE_EXPECTED}])
def test_a_service_at_half_its_budget_is_hardly_ever_frozen_by_chance(events: int) -> None:
    assert month(events, runs=MONTHS, seed=events).frozen <= 0.03


@pytest.mark.parametrize("events", [one for one in TRAFFIC if one not in ONE_EXPECTED])
def test_by_evidence_that_holds_at_any_traffic(events: int) -> None:
    assert month(events, runs=MONTHS, seed=events, decide_by=DecideBy.EVIDENCE).frozen <= 0.03


@pytest.mark.parametrize("events", [34, 334, 500])
def test_where_the_rules_leave_more_to_chance_it_is_below_one_month_in_ten(events: int) -> None:
    found = month(events, runs=MONTHS, seed=events)
    assert found.frozen <= min(0.1, found.by_arithmetic)


@pytest.mark.parametrize("requests", REQUESTS)
@pytest.mark.parametrize("burn", [0.5, 1, 5, 10])
def test_an_increase_that_changes_nothing_is_taken_back_at_most_once_in_a_hundred(
    requests: float, burn: float
) -> None:
    found = ramp(requests, runs=RAMPS, seed=7, before=burn, since=burn)
    assert found.taken_back <= 0.01


@pytest.mark.parametrize(("requests", "minutes"), [(30, 5), (100, 2), (1_000, 1), (100_000, 0.5)])
def test_a_burn_of_twenty_is_found_soon(requests: float, minutes: float) -> None:
    found = ramp(requests, runs=RAMPS, seed=11, before=0.5, since=20)
    assert found.half_after <= minutes


def test_by_the_burn_rate_alone_a_quarter_of_harmless_increases_went_back() -> None:
    found = ramp(10, runs=RAMPS, seed=13, before=1, since=1)
    assert found.by_burn_alone > 0.2
    assert found.taken_back <= 0.01


@pytest.mark.parametrize("requests", REQUESTS)
@pytest.mark.parametrize(("share", "burn"), [(0.05, 1), (0.1, 10), (0.5, 1)])
def test_a_flag_that_changes_nothing_is_hardly_ever_taken_back_by_comparison(
    requests: float, share: float, burn: float
) -> None:
    found = compared_ramp(requests, share=share, runs=RAMPS // 2, seed=17, off=burn, on=burn)
    assert found.taken_back <= 0.01


@pytest.mark.parametrize(("requests", "minutes"), [(300, 6), (1_000, 2), (10_000, 1), (100_000, 0.5)])
def test_a_burn_of_twenty_for_a_tenth_of_users_is_found_only_by_comparison(
    requests: float, minutes: float
) -> None:
    found = compared_ramp(requests, share=0.1, runs=RAMPS // 2, seed=19, off=0.5, on=20)
    assert found.half_after <= minutes
    # The whole service burns at 2.5: far below the guard.
    assert found.by_burn_alone <= 0.05


def test_the_table_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lines: Sequence[str] = tables(50)
    print("\n".join(lines))  # noqa: T201
    assert len(capsys.readouterr().out.splitlines()) == len(TRAFFIC) + 2 * len(REQUESTS) + 5
