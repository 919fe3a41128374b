"""An outage that might be, played forward by the rules that decide now."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.backtests.outage import SupposedOutage, outage_outcome, supposed_budget
from bot.backtests.what_if import nearest_slo, with_objective
from bot.budgets.budget import SloState
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.slo import DowntimeSli
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.transition import BudgetExhausted, BudgetWarned, BurnAlertFired, is_observed
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.values import STANDARD, budget, service, slo

OWN = service(policy=STANDARD)
SPENT = Hold(7, "checkout", HoldKind.BUDGET, "spent", GOVERNOR, NOW - HOUR, slo="availability")


def outage(length: timedelta, share: float) -> SupposedOutage:
    return SupposedOutage(length, share)


def test_what_it_costs_is_its_requests_of_what_may_fail() -> None:
    # 100,000 requests an hour, of 1,000,000 of which 1,000 may fail.
    before = budget(1.0)
    outcome = outage_outcome(OWN, [before], [], outage(6 * MINUTE, 0.05), NOW)
    (cost,) = outcome.costs
    assert cost.cost == pytest.approx(0.5)
    assert cost.after.remaining == Decimal("0.5")
    assert outcome.freezes_at is None
    assert supposed_budget(cost).burn == before.burn
    assert supposed_budget(cost).remaining == Decimal("0.5")


def test_warning_alert_and_freeze_come_in_their_order_and_once() -> None:
    outcome = outage_outcome(OWN, [budget(0.6)], [], outage(30 * MINUTE, 1.0), NOW)
    kinds = [type(past.transition) for past in outcome.transitions]
    assert kinds.count(BudgetExhausted) == 1
    assert outcome.freezes_at == NOW + MINUTE
    slow = outage_outcome(OWN, [budget(0.6)], [], outage(30 * MINUTE, 0.02), NOW)
    found = {type(past.transition): past.at - NOW for past in reversed(slow.transitions)}
    # 2% of 1,667 requests a minute are 33: a tenth of the budget is gone after three minutes, all after 18.
    assert found[BudgetWarned] == 3 * MINUTE
    assert found[BudgetExhausted] == 18 * MINUTE
    assert found[BurnAlertFired] < 18 * MINUTE
    levels = [past.transition.level for past in slow.transitions if isinstance(past.transition, BudgetWarned)]
    assert levels == [Decimal("0.5"), Decimal("0.25"), Decimal("0.1")]


def test_what_was_announced_by_now_is_not_announced_again() -> None:
    outcome = outage_outcome(OWN, [budget(0.2)], [], outage(MINUTE, 0.001), NOW)
    assert outcome.transitions == ()


def test_a_frozen_service_stays_frozen_and_is_not_frozen_again() -> None:
    outcome = outage_outcome(OWN, [budget(-0.2)], [SPENT], outage(HOUR, 1.0), NOW)
    assert outcome.was_frozen
    assert outcome.freezes_at is None


def test_a_policy_that_observes_only_would_freeze() -> None:
    watching = service(policy=replace(STANDARD, mode=PolicyMode.OBSERVE))
    outcome = outage_outcome(watching, [budget(0.1)], [], outage(HOUR, 1.0), NOW)
    froze = [past.transition for past in outcome.transitions if isinstance(past.transition, BudgetExhausted)]
    assert [is_observed(transition) for transition in froze] == [True]


def test_downtime_costs_its_own_length() -> None:
    of = slo(sli=DowntimeSli())
    whole = 30 * 24 * 3_600.0
    before = budget(1.0, of=of, total=whole)
    (cost,) = outage_outcome(service(slos=(of,)), [before], [], outage(10 * MINUTE, 0.5), NOW).costs
    assert cost.cost == pytest.approx(300 / (whole * 0.001))


def test_nothing_is_said_of_figures_that_are_not_current() -> None:
    for state in (SloState.STALE, SloState.NO_DATA, SloState.NO_TRAFFIC):
        (cost,) = outage_outcome(OWN, [budget(0.5, state=state)], [], outage(HOUR, 1.0), NOW).costs
        assert cost.cost is None
        assert cost.after is cost.before


def test_another_objective_is_that_of_one_slo_only() -> None:
    latency = slo("latency", objective="0.99")
    of = service(slos=(slo(), latency))
    assert nearest_slo(of, Decimal("0.9995")) == of.slos[0]
    assert nearest_slo(of, Decimal("0.98")) == latency
    changed = with_objective(of, latency, Decimal("0.98"))
    assert [each.objective for each in changed.slos] == [Decimal("0.999"), Decimal("0.98")]
