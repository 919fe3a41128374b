"""What the policy allows while the budget has spare, and only then."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from bot.budgets.budget import Budget
from bot.budgets.forecaster import Forecaster
from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast
from bot.catalog.error_budget_policy import Approvals, WhenSpare
from bot.catalog.slo import Slo
from tests.support.clock import NOW
from tests.support.slack_app import RunningSlackApp, shop
from tests.support.slack_flags import (
    FLAG,
    WORKSPACE_WITH_FLAGS,
    burning,
    changes,
    exposure,
    open_flag_office_of,
    told,
    with_flags,
)
from tests.support.values import catalog

BY_RULE = "by whenSpare.approvals of {}, since 72% of the budget will most likely stay unspent"


class KnownForecasts:
    """Forecasts each SLO as a test wants it: how much stays unspent, None for nothing known."""

    def __init__(self) -> None:
        self.unspent: float | None = 0.72
        self.scores: Mapping[str | None, Any] = {}

    def newest(self, slo: Slo, now: datetime) -> BudgetForecast | None:
        del slo, now
        if self.unspent is None:
            return None
        return BudgetForecast(NOW, None, None, dict.fromkeys(HORIZONS, 0.0), unspent=self.unspent)

    async def forecast_all(
        self, budgets: Sequence[Budget], *, with_fan: bool = False
    ) -> list[BudgetForecast | None]:
        del with_fan
        return [self.newest(budget.slo, NOW) for budget in budgets]


@pytest.fixture
def forecasts() -> KnownForecasts:
    return KnownForecasts()


@pytest.fixture
async def slack_app(tmp_path: Path, forecasts: KnownForecasts) -> AsyncIterator[RunningSlackApp]:
    checkout = with_flags()
    allowed = WhenSpare((Decimal("0.1"), Decimal("0.5"), Decimal(1)), Approvals.NONE)
    policy = replace(checkout.error_budget_policy, when_spare=allowed)
    checkout = replace(
        checkout, error_budget_policy=policy, low_risk=(FLAG,), flags=(FLAG, "risky"), policies={}
    )
    of = shop(checkout)
    of.catalog = catalog(checkout, workspace=WORKSPACE_WITH_FLAGS)
    of.budgets = {"checkout": [burning(promised, 0.5) for promised in checkout.slos]}
    of.forecaster = cast("Forecaster", forecasts)
    async with open_flag_office_of(tmp_path, of) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


def rule(slack_app: RunningSlackApp) -> str:
    return BY_RULE.format(slack_app.shop.catalog.services["checkout"].error_budget_policy.name)


async def test_a_low_risk_flag_needs_no_second_person_and_the_audit_log_says_why(
    slack_app: RunningSlackApp,
) -> None:
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first", "#checkout")
    assert "waits" not in answer.text
    assert await exposure(slack_app) == 0.25
    ((who, _, to, why, approved_by),) = await changes(slack_app)
    assert (who, to, approved_by) == ("U0DANA", "25% of users", None)
    assert why == f"small steps first (no second approval {rule(slack_app)})"
    assert f"no second approval {rule(slack_app)}" in (await told(slack_app))[-1][2]


async def test_any_other_flag_waits_as_always(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("dana", "/flag rollout risky 25% small steps first", "#checkout")
    assert "waits for another person's approval" in answer.text


@pytest.mark.parametrize("unspent", [0.5, None])
async def test_without_spare_a_low_risk_flag_waits(
    slack_app: RunningSlackApp, forecasts: KnownForecasts, unspent: float | None
) -> None:
    forecasts.unspent = unspent
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first", "#checkout")
    assert "waits for another person's approval" in answer.text
    assert await exposure(slack_app) == 0


async def test_whoever_may_not_change_flags_may_not_with_spare(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag rollout {FLAG} 25% small steps first", "#checkout")
    assert await exposure(slack_app) == 0


async def test_a_ramp_without_steps_takes_those_of_the_policy_and_keeps_them(
    slack_app: RunningSlackApp, forecasts: KnownForecasts
) -> None:
    answer = await slack_app.types("dana", f"/flag ramp {FLAG} every 30m the new till", "#checkout")
    assert answer.text.startswith("*off → 10% → 50% → 100% of users* — the ramp of")
    assert "Steps by whenSpare.rampSteps of" in answer.text
    assert f"No second approval {rule(slack_app)}." in answer.text
    # The ramp was begun with spare: what comes then changes neither its steps nor who must approve.
    forecasts.unspent = None
    await slack_app.tick()
    assert await exposure(slack_app) == 0.1
    stored = await slack_app.flags.ramps.find(FLAG, "production")
    assert stored is not None
    assert stored.ramp.steps == (0.1, 0.5, 1.0)
    ((_, _, _, why, _),) = await changes(slack_app)
    assert "step 1 of 3 of the ramp asked for by U0DANA: the new till (steps by whenSpare.rampSteps" in why


async def test_steps_that_are_typed_are_taken_as_typed(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("dana", f"/flag ramp {FLAG} 1% 100% every 30m with care", "#checkout")
    assert answer.text.startswith("*off → 1% → 100% of users* — the ramp of")
    assert "rampSteps" not in answer.text


async def test_without_spare_the_steps_must_be_named(
    slack_app: RunningSlackApp, forecasts: KnownForecasts
) -> None:
    forecasts.unspent = 0.3
    answer = await slack_app.types("dana", f"/flag ramp {FLAG} every 30m the new till", "#checkout")
    assert "Name the steps, such as 1% 5% 25% 100%" in answer.text
    assert await slack_app.flags.ramps.find(FLAG, "production") is None


async def test_ship_and_budget_say_that_there_is_room(
    slack_app: RunningSlackApp, forecasts: KnownForecasts
) -> None:
    room = "Room to go faster: with a probability of 90%, at least 72% of the budget stays unspent."
    for command in ("/ship checkout", "/budget checkout"):
        text = (await slack_app.types("dana", command)).text
        assert room in text
        assert "takes the steps 10% → 50% → 100%" in text
        assert f"`{FLAG}` needs no second approval." in text
    forecasts.unspent = 0.4
    for command in ("/ship checkout", "/budget checkout"):
        assert "Room to go faster" not in (await slack_app.types("dana", command)).text


async def test_a_frozen_service_has_no_room(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert "Room to go faster" not in (await slack_app.types("dana", "/ship checkout")).text
