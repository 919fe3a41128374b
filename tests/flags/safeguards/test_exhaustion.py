"""Risky flags are lowered with an exhausted budget, and just those come back, as they were, if unmoved."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from bot.flags.change import SetExposure
from bot.store.tables.core import holds
from tests.support.clock import NOW
from tests.support.examples import POLICY
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    audited,
    changes,
    deliver,
    evaluated,
    exposure,
    raised,
    run_slack_app_with_flags,
    state,
    told,
    with_flags,
)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    policy = replace(POLICY, lower_when_exhausted=(FLAG, "a-flag-of-others"))
    checkout = with_flags("checkout", FLAG, "harmless", error_budget_policy=policy)
    async with run_slack_app_with_flags(tmp_path, checkout) as slack_app:
        yield slack_app


async def frozen(slack_app: RunningSlackApp) -> None:
    async with slack_app.database.transaction() as connection:
        row = {"service": "checkout", "kind": "budget", "reason": "spent", "by": "governor", "since": NOW}
        await connection.execute(holds.insert().values(row))


async def opened(slack_app: RunningSlackApp) -> None:
    async with slack_app.database.transaction() as connection:
        await connection.execute(delete(holds))


async def test_a_risky_flag_goes_with_the_budget_and_comes_back_as_it_was(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await frozen(slack_app)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    assert await exposure(slack_app) == 0
    assert "the availability budget of checkout is exhausted" in (await told(slack_app))[-1][2]
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert await exposure(slack_app) == 0
    await opened(slack_app)
    await evaluated(slack_app, 0.5, remaining=0.2)
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert await exposure(slack_app) == 0.25
    assert [(who, to) for who, _, to, _, _ in await changes(slack_app)] == [
        ("U0DANA", "25% of users"),
        ("governor", "off"),
        ("governor", "25% of users"),
    ]


async def test_a_flag_that_was_moved_meanwhile_stays_where_it_is(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await frozen(slack_app)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    version = (await state(slack_app)).version
    backend = slack_app.flags.changes.backend
    await backend.apply(FLAG, "production", SetExposure(0.02), version=version, note="theirs")
    await opened(slack_app)
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert await exposure(slack_app) == 0.02


async def test_a_lowered_flag_that_a_person_kills_stays_off(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await frozen(slack_app)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    answer = await slack_app.types("dana", f"/flag kill {FLAG} it was the cause")
    assert (
        answer.text == f"*{FLAG}* in production is off already. It stays so, and will not go back by itself."
    )
    assert (await audited(slack_app))[-1].action == "flag.kept_off"
    await opened(slack_app)
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert await exposure(slack_app) == 0


async def test_a_flag_that_was_off_is_neither_lowered_nor_brought_back(slack_app: RunningSlackApp) -> None:
    await frozen(slack_app)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    await opened(slack_app)
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert not await changes(slack_app)


async def test_a_freeze_by_hand_lowers_nothing(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await slack_app.types("sam", "/freeze checkout peak sale")
    await evaluated(slack_app, 0.5, remaining=-0.1)
    assert await exposure(slack_app) == 0.25


async def test_a_flag_that_was_on_for_a_time_does_not_come_back_for_good(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag on {FLAG} for 2h a demonstration")
    await slack_app.presses("sam", (await deliver(slack_app))[-1], "flag.approve", "#checkout")
    await frozen(slack_app)
    await evaluated(slack_app, 0.5, remaining=-0.1)
    assert "It was on for a time only, and does not come back by itself." in (await told(slack_app))[-1][2]
    await opened(slack_app)
    await evaluated(slack_app, 0.5, remaining=0.2)
    assert await exposure(slack_app) == 0
