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
from tests.support.slack_app import Office
from tests.support.slack_flags import (
    FLAG,
    changes,
    evaluated,
    exposure,
    open_flag_office,
    raised,
    state,
    told,
    with_flags,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    policy = replace(POLICY, lower_when_exhausted=(FLAG, "a-flag-of-others"))
    checkout = with_flags("checkout", FLAG, "harmless", error_budget_policy=policy)
    async with open_flag_office(tmp_path, checkout) as office:
        yield office


async def frozen(office: Office) -> None:
    async with office.database.transaction() as connection:
        row = {"service": "checkout", "kind": "budget", "reason": "spent", "by": "governor", "since": NOW}
        await connection.execute(holds.insert().values(row))


async def opened(office: Office) -> None:
    async with office.database.transaction() as connection:
        await connection.execute(delete(holds))


async def test_a_risky_flag_goes_with_the_budget_and_comes_back_as_it_was(office: Office) -> None:
    await raised(office)
    await frozen(office)
    await evaluated(office, 0.5, remaining=-0.1)
    await evaluated(office, 0.5, remaining=-0.1)
    assert await exposure(office) == 0
    assert "the availability budget of checkout is exhausted" in (await told(office))[-1][2]
    await evaluated(office, 0.5, remaining=0.2)
    assert await exposure(office) == 0
    await opened(office)
    await evaluated(office, 0.5, remaining=0.2)
    await evaluated(office, 0.5, remaining=0.2)
    assert await exposure(office) == 0.25
    assert [(who, to) for who, _, to, _, _ in await changes(office)] == [
        ("U0DANA", "25 % of users"),
        ("governor", "off"),
        ("governor", "25 % of users"),
    ]


async def test_a_flag_that_was_moved_meanwhile_stays_where_it_is(office: Office) -> None:
    await raised(office)
    await frozen(office)
    await evaluated(office, 0.5, remaining=-0.1)
    version = (await state(office)).version
    backend = office.flags.changes.backend
    await backend.apply(FLAG, "production", SetExposure(0.02), version=version, note="theirs")
    await opened(office)
    await evaluated(office, 0.5, remaining=0.2)
    assert await exposure(office) == 0.02


async def test_a_flag_that_was_off_is_neither_lowered_nor_brought_back(office: Office) -> None:
    await frozen(office)
    await evaluated(office, 0.5, remaining=-0.1)
    await opened(office)
    await evaluated(office, 0.5, remaining=0.2)
    assert not await changes(office)


async def test_a_freeze_by_hand_lowers_nothing(office: Office) -> None:
    await raised(office)
    await office.types("sam", "/freeze checkout peak sale")
    await evaluated(office, 0.5, remaining=-0.1)
    assert await exposure(office) == 0.25
