"""When budgets are hardly touched, and what follows by the policy."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.budgets.budget import SloState
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast
from bot.catalog.error_budget_policy import Approvals, ErrorBudgetPolicy, WhenSpare
from bot.catalog.slo import DowntimeSli
from bot.freezes.spare import Spare, spare_of
from bot.freezes.status import ServiceStatus
from bot.slack.announcements.spare import spare_text
from bot.slack.home.view import service_text
from tests.support.clock import NOW
from tests.support.values import budget, service, slo

POLICY = ErrorBudgetPolicy("standard")
STEPS = WhenSpare((Decimal("0.1"), Decimal("0.5"), Decimal(1)), Approvals.NONE)
QUICK, DOWN = slo("latency"), slo("uptime", sli=DowntimeSli())


def leaving(**unspent: float | None) -> Mapping[str, BudgetForecast]:
    return {
        name: BudgetForecast(NOW, None, None, dict.fromkeys(HORIZONS, 0.0), unspent=left)
        for name, left in unspent.items()
    }


def spare(
    policy: ErrorBudgetPolicy = POLICY, *, left: float = 0.9, unspent: float | None = 0.72
) -> Spare | None:
    shop = replace(service(policy=policy), low_risk=("dark-mode",))
    budgets = [budget(left, of=shop.slos[0])]
    return spare_of(shop, budgets, leaving(availability=unspent), is_frozen=False)


def test_what_will_most_likely_stay_unspent_is_spare() -> None:
    assert spare() == Spare(Decimal("0.5"), 0.72, "standard", WhenSpare(), ("dark-mode",))


@pytest.mark.parametrize(("left", "unspent"), [(0.9, 0.5), (0.9, 0.2), (0.9, None), (0.4, 0.72)])
def test_a_budget_at_or_below_the_level_has_none(left: float, unspent: float | None) -> None:
    assert spare(left=left, unspent=unspent) is None


def test_the_level_is_the_policy_s() -> None:
    assert spare(replace(POLICY, spare_at=Decimal("0.8"))) is None
    assert spare(replace(POLICY, spare_at=Decimal("0.1")), left=0.3, unspent=0.2) is not None


def test_every_budget_must_have_it() -> None:
    shop = service(slos=(slo(), QUICK))
    budgets = [budget(0.9, of=shop.slos[0]), budget(0.9, of=QUICK)]
    found = spare_of(shop, budgets, leaving(availability=0.9, latency=0.6), is_frozen=False)
    assert found is not None
    assert found.unspent == 0.6
    assert spare_of(shop, budgets, leaving(availability=0.9), is_frozen=False) is None
    assert spare_of(shop, budgets, leaving(availability=0.9, latency=0.6), is_frozen=True) is None
    unknown = [budgets[0], budget(None, of=QUICK, state=SloState.NO_DATA)]
    assert spare_of(shop, unknown, leaving(availability=0.9), is_frozen=False) is None


def test_recorded_downtime_that_never_happened_says_nothing() -> None:
    shop = service(slos=(slo(), DOWN))
    budgets = [budget(0.9, of=shop.slos[0]), budget(1.0, of=DOWN)]
    assert spare_of(shop, budgets, leaving(availability=0.9), is_frozen=False) is not None
    assert spare_of(replace(shop, slos=(DOWN,)), budgets[1:], {}, is_frozen=False) is None


def test_what_follows_is_said() -> None:
    assert spare_text(None) == ""
    assert "at least 72% of" in spare_text(spare(unspent=0.7299))
    assert spare_text(spare()) == (
        "Room to go faster: with a probability of 90%, at least 72% of the budget stays unspent. "
        "The policy standard names nothing that follows."
    )
    assert spare_text(spare(replace(POLICY, when_spare=STEPS))) == (
        "Room to go faster: with a probability of 90%, at least 72% of the budget stays unspent. "
        "By the policy standard: `/flag ramp FLAG every 30m` takes the steps 10% → 50% → 100%, "
        "and `dark-mode` needs no second approval."
    )


def test_the_home_tab_tells_of_room_to_go_faster() -> None:
    shop = service(policy=replace(POLICY, when_spare=STEPS))
    status = ServiceStatus(
        shop, (budget(0.9, of=shop.slos[0]),), (), NOW, forecasts=leaving(availability=0.72)
    )
    assert service_text(status).endswith(f"\n{spare_text(status.spare)}")
    assert "Room to go faster" in service_text(status)
    assert "Room to go faster" not in service_text(replace(status, forecasts={}))
