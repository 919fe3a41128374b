"""Changes made behind the bot's back are told once, and louder during a freeze; its own never."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.flags.change import FlagChange, SetExposure, TurnOff
from tests.support.slack_app import Office
from tests.support.slack_flags import FLAG, audited, later, open_flag_office, state, told


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_flag_office(tmp_path) as office:
        await office.flags.tick()
        yield office


async def moved_elsewhere(office: Office, change: FlagChange) -> None:
    version = (await state(office)).version
    await office.flags.changes.backend.apply(FLAG, "production", change, version=version, note="theirs")


async def looked(office: Office) -> list[tuple[str, str, str]]:
    before = len(await told(office))
    later(office, timedelta(minutes=1))
    await office.flags.tick()
    return list((await told(office))[before:])


async def test_a_change_made_elsewhere_is_told_once_in_the_services_channel(office: Office) -> None:
    await moved_elsewhere(office, SetExposure(0.4))
    ((channel, occasion, text),) = await looked(office)
    assert (channel, occasion) == ("#checkout", "flag_drifted")
    assert text.startswith(
        f":mag: *off → 40 % of users* — *{FLAG}* in production was changed outside Governor."
    )
    assert not await looked(office)
    (entry,) = await audited(office)
    assert (entry.action, entry.actor, entry.reason) == ("flag.drifted", "governor", "changed elsewhere")


async def test_during_a_freeze_it_is_told_everywhere(office: Office) -> None:
    await office.types("sam", "/freeze checkout peak sale")
    await moved_elsewhere(office, SetExposure(0.4))
    found = await looked(office)
    assert [channel for channel, _, _ in found] == ["#checkout", "#releases"]
    assert all(text.startswith(":rotating_light:") and "checkout is frozen" in text for _, _, text in found)


async def test_the_bots_own_changes_are_no_drift(office: Office) -> None:
    await office.types("riley", f"/flag rollout {FLAG} 25% staging")
    assert not await looked(office)


async def test_there_and_back_between_two_looks_is_nothing_to_tell(office: Office) -> None:
    await moved_elsewhere(office, SetExposure(1.0))
    await looked(office)
    await moved_elsewhere(office, TurnOff())
    await moved_elsewhere(office, SetExposure(1.0))
    assert not await looked(office)
