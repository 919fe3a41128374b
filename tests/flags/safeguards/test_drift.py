"""Changes made behind the bot's back are told once, and louder during a freeze; its own never."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.flags.change import FlagChange, SetExposure, TurnOff
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import FLAG, audited, later, run_slack_app_with_flags, told


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        await slack_app.tick()
        yield slack_app


async def moved_elsewhere(
    slack_app: RunningSlackApp, change: FlagChange, environment: str = "production"
) -> None:
    backend = slack_app.flags.changes.backend
    version = (await backend.read(FLAG, environment)).version
    await backend.apply(FLAG, environment, change, version=version, note="theirs")


async def looked(slack_app: RunningSlackApp) -> list[tuple[str, str, str]]:
    before = len(await told(slack_app))
    later(slack_app, timedelta(minutes=1))
    await slack_app.tick()
    return list((await told(slack_app))[before:])


async def test_a_change_made_elsewhere_is_told_once_in_the_services_channel(
    slack_app: RunningSlackApp,
) -> None:
    await moved_elsewhere(slack_app, SetExposure(0.4))
    ((channel, occasion, text),) = await looked(slack_app)
    assert (channel, occasion) == ("#checkout", "flag_drifted")
    assert text.startswith(
        f":mag: *off → 40% of users* — *{FLAG}* in production was changed outside Governor."
    )
    assert not await looked(slack_app)
    (entry,) = await audited(slack_app)
    assert (entry.action, entry.actor, entry.reason) == ("flag.drifted", "governor", "changed elsewhere")


async def test_during_a_freeze_it_is_told_everywhere(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    await moved_elsewhere(slack_app, SetExposure(0.4))
    found = await looked(slack_app)
    assert [channel for channel, _, _ in found] == ["#checkout", "#releases"]
    assert all(text.startswith(":rotating_light:") and "checkout is frozen" in text for _, _, text in found)


async def test_a_freeze_that_spares_staging_makes_no_alarm_of_a_change_there(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    await moved_elsewhere(slack_app, SetExposure(0.4), "staging")
    ((channel, _, text),) = await looked(slack_app)
    assert channel == "#checkout"
    assert text.startswith(":mag:")
    assert "frozen" not in text


async def test_only_the_services_that_are_frozen_are_named(slack_app: RunningSlackApp) -> None:
    catalog = slack_app.shop.catalog
    search = replace(catalog.services["search"], flags=(FLAG,))
    slack_app.shop.catalog = replace(catalog, services={**catalog.services, "search": search})
    await slack_app.types("sam", "/freeze checkout peak sale")
    await moved_elsewhere(slack_app, SetExposure(0.4))
    found = await looked(slack_app)
    assert {channel for channel, _, _ in found} == {"#checkout", "#search", "#releases"}
    assert all(", while checkout is frozen." in text for _, _, text in found)


async def test_the_bots_own_changes_are_no_drift(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag rollout {FLAG} 25% staging")
    assert not await looked(slack_app)


async def test_there_and_back_between_two_looks_is_nothing_to_tell(slack_app: RunningSlackApp) -> None:
    await moved_elsewhere(slack_app, SetExposure(1.0))
    await looked(slack_app)
    await moved_elsewhere(slack_app, TurnOff())
    await moved_elsewhere(slack_app, SetExposure(1.0))
    assert not await looked(slack_app)
