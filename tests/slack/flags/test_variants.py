"""What announcements say where those who met a flag are compared with all others."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.budgets.budget import EventCounts
from bot.budgets.statistics.two_samples import GroupCounts
from bot.budgets.variant_counts import VariantCounts
from bot.catalog.variants import Variants
from tests.slack.flags.test_ramps import HALF_AN_HOUR, begun
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    changes,
    evaluated,
    exposure,
    later,
    raised,
    run_slack_app_with_flags,
    told,
    with_flags,
)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    service = with_flags(variants=Variants("variant", "off", flags=(FLAG,)))
    async with run_slack_app_with_flags(tmp_path, service) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


def counted(on: tuple[float, float], off: tuple[float, float]) -> VariantCounts:
    return VariantCounts(EventCounts(*on), EventCounts(*off), EventCounts(*on), (GroupCounts(*on, *off),))


async def test_an_increase_that_fails_for_those_who_met_it_says_what_was_compared(
    slack_app: RunningSlackApp,
) -> None:
    await raised(slack_app)
    later(slack_app, timedelta(minutes=6))
    slack_app.shop.variant_counts = counted((410, 12_000), (3, 11_900))
    await evaluated(slack_app, 0.5, as_of=slack_app.shop.clock.now())
    assert await exposure(slack_app) == 0
    _, _, text = (await told(slack_app))[-1]
    assert text.startswith(":rewind: *25% of users → off*")
    assert "410 of 12,000 requests with the flag on failed, 3 of 11,900 with it off" in text
    assert (await changes(slack_app))[-1][3].endswith("3 of 11,900 with it off")


async def test_each_step_says_what_the_one_before_it_was_compared_with(slack_app: RunningSlackApp) -> None:
    slack_app.shop.variant_counts = counted((1, 4_000), (9, 36_000))
    await begun(slack_app, taken=2)
    assert await exposure(slack_app) == 0.05
    assert (
        "step 2 of 4 (after the step before: 1 of 4,000 requests with the flag on failed, "
        "9 of 36,000 with it off) of the ramp asked for by <@U0DANA>"
    ) in (await told(slack_app))[-1][2]


async def test_a_step_without_the_label_says_that_the_past_was_compared_with(
    slack_app: RunningSlackApp,
) -> None:
    await begun(slack_app, taken=2)
    assert await exposure(slack_app) == 0.05
    step = (await told(slack_app))[-1][2]
    assert (
        "compared with the hour before, because no series with the label `variant` counted anything" in step
    )


async def test_a_step_that_nobody_met_holds_the_ramp(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    slack_app.shop.variant_counts = counted((0, 0), (9, 36_000))
    later(slack_app, HALF_AN_HOUR)
    await evaluated(slack_app, as_of=slack_app.shop.clock.now())
    assert await exposure(slack_app) == 0.01
    _, kind, text = (await told(slack_app))[-1]
    assert kind == "ramp_held"
    assert "No request of checkout with the flag on was counted since the last step." in text
