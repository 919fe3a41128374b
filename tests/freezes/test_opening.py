"""When a budget's hold ends: the rules of the decision, told ahead."""

from decimal import Decimal

from bot.budgets.budget import SloState
from bot.freezes.opening import opening_of
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import QUIET, budget, slo


def test_the_last_budget_to_recover_and_the_dwell_decide() -> None:
    first, second = budget(0.02), budget(-0.5, of=slo("latency"))
    recoveries = {"availability": NOW + HOUR, "latency": NOW + DAY}
    opening = opening_of([(first, QUIET), (second, QUIET)], recoveries, None, NOW)
    assert [lack.budget for lack in opening.lacking] == [first, second]
    assert opening.lacking[0].level == Decimal("0.1")
    assert opening.expected_at == NOW + DAY + 15 * MINUTE


def test_it_is_not_expected_where_one_budget_does_not_recover() -> None:
    judged = [(budget(0.02), QUIET), (budget(0.03, of=slo("latency")), QUIET)]
    opening = opening_of(judged, {"availability": NOW + HOUR, "latency": None}, None, NOW)
    assert opening.expected_at is None


def test_an_unknown_budget_is_lacking_and_one_without_traffic_is_not() -> None:
    unknown, idle = budget(0.5, state=SloState.STALE), budget(None, of=slo("latency"))
    opening = opening_of([(unknown, QUIET), (idle, QUIET)], {}, None, NOW)
    assert [lack.budget for lack in opening.lacking] == [unknown]
    assert opening.expected_at is None


def test_once_all_suffice_only_the_dwell_is_left() -> None:
    judged = [(budget(0.1), QUIET)]
    assert opening_of(judged, {}, NOW - 5 * MINUTE, NOW).expected_at == NOW + 10 * MINUTE
    assert opening_of(judged, {}, None, NOW).expected_at == NOW + 15 * MINUTE
    assert opening_of(judged, {}, NOW - HOUR, NOW).expected_at == NOW
