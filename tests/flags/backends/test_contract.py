"""What every flag backend promises, on every one of them; at last, what real applications see of it."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from bot.flags.backend import (
    AppliedChange,
    EnvironmentNotFoundError,
    FlagConflictError,
    FlagNotFoundError,
    InvalidChangeError,
    UnsupportedError,
)
from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape
from tests.flags.backends.clients import Application
from tests.flags.backends.flag_systems import ENVIRONMENT, FLAG, TARGETED, FlagSystem

USERS = [f"user-{number}" for number in range(10_000)]
SYSTEMS_WITH_RULES = ("flagd", "unleash", "launchdarkly", "flagsmith", "flagsmith-versioned")
SYSTEMS_WITH_APPLICATIONS = ("local", "flagd", "unleash")
_SEEN_WITHIN_S = 2.0


async def change(flag_system: FlagSystem, wanted: FlagChange, flag: str = FLAG) -> AppliedChange:
    now = await flag_system.backend.read(flag, ENVIRONMENT)
    return await flag_system.backend.apply(flag, ENVIRONMENT, wanted, version=now.version, note="U1: a test")


async def read(flag_system: FlagSystem, flag: str = FLAG) -> FlagState:
    return await flag_system.backend.read(flag, ENVIRONMENT)


def shown(state: FlagState) -> tuple[bool, float | None, Shape]:
    return state.enabled, state.rollout, state.shape


async def test_the_list_has_every_flag_as_reading_it_tells(flag_system: FlagSystem) -> None:
    listed = await flag_system.backend.list(ENVIRONMENT)
    names = [state.flag for state in listed]
    assert names == sorted(names)
    assert {FLAG, "new-search"} <= set(names)
    assert next(state for state in listed if state.flag == FLAG) == await read(flag_system)


async def test_a_new_flag_is_off_and_means_everyone(flag_system: FlagSystem) -> None:
    assert shown(await read(flag_system)) == (False, 1.0, Shape.SIMPLE)


async def test_a_plan_tells_the_difference_and_writes_nothing(flag_system: FlagSystem) -> None:
    before = await read(flag_system)
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    assert plan.difference.words == "off → 5% of users"
    assert plan.version == before.version
    assert await read(flag_system) == before


async def test_turning_on_means_what_the_plan_said(flag_system: FlagSystem) -> None:
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, TurnOn())
    assert plan.difference.words == "off → 100% of users"
    applied = await change(flag_system, TurnOn())
    assert applied.before.is_off
    assert applied.after == await read(flag_system)
    assert applied.after.exposure == 1.0


async def test_an_exposure_goes_up_and_down(flag_system: FlagSystem) -> None:
    for share in (0.05, 0.25, 1.0, 0.1, 0.0, 0.29):
        applied = await change(flag_system, SetExposure(share))
        assert applied.after.exposure == pytest.approx(share)
        assert applied.after == await read(flag_system)


async def test_off_keeps_the_rollout_for_the_next_time(flag_system: FlagSystem) -> None:
    await change(flag_system, SetExposure(0.25))
    off = await change(flag_system, TurnOff())
    assert off.after.is_off
    assert (
        await flag_system.backend.plan(FLAG, ENVIRONMENT, TurnOn())
    ).difference.words == "off → 25% of users"
    assert (await change(flag_system, TurnOn())).after.exposure == pytest.approx(0.25)


async def test_a_killed_flag_comes_back_as_it_was_recorded(flag_system: FlagSystem) -> None:
    recorded = (await change(flag_system, SetExposure(0.25))).after
    assert (await change(flag_system, Kill())).after.is_off
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, Restore(recorded))
    assert plan.difference.words == "off → 25% of users"
    restored = (await change(flag_system, Restore(recorded))).after
    assert shown(restored) == shown(recorded)
    assert restored.configuration == recorded.configuration


async def test_the_state_before_the_first_change_comes_back(flag_system: FlagSystem) -> None:
    recorded = await read(flag_system)
    await change(flag_system, SetExposure(0.25))
    await change(flag_system, SetExposure(1.0))
    assert (await change(flag_system, Restore(recorded))).after.is_off
    assert shown(await read(flag_system)) == shown(recorded)


async def test_nothing_is_overwritten_when_somebody_else_was_faster(flag_system: FlagSystem) -> None:
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    await flag_system.meddle()
    theirs = await read(flag_system)
    assert theirs.exposure == pytest.approx(0.5)
    for wanted in (plan.change, TurnOn(), TurnOff(), Kill(), Restore(plan.difference.before)):
        with pytest.raises(FlagConflictError) as refused:
            await flag_system.backend.apply(FLAG, ENVIRONMENT, wanted, version=plan.version, note="U1")
        assert refused.value.found == theirs
    assert await read(flag_system) == theirs


async def test_a_plan_is_good_for_one_time(flag_system: FlagSystem) -> None:
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    await flag_system.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")
    with pytest.raises(FlagConflictError):
        await flag_system.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")


async def test_of_two_who_apply_at_once_one_is_refused_or_both_agree(flag_system: FlagSystem) -> None:
    plan = await flag_system.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    outcomes = await asyncio.gather(
        *(
            flag_system.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")
            for _ in range(2)
        ),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, AppliedChange | FlagConflictError) for outcome in outcomes)
    assert any(isinstance(outcome, AppliedChange) for outcome in outcomes)


async def test_an_unknown_flag_is_answered_with_similar_names(flag_system: FlagSystem) -> None:
    for call in (
        flag_system.backend.read("new-chekout", ENVIRONMENT),
        change(flag_system, Kill(), "new-chekout"),
    ):
        with pytest.raises(FlagNotFoundError) as refused:
            await call
        assert refused.value.near[0] == FLAG


async def test_an_unknown_environment_is_not_mistaken_for_an_unknown_flag(flag_system: FlagSystem) -> None:
    with pytest.raises(EnvironmentNotFoundError):
        await flag_system.backend.read(FLAG, "moon")


@pytest.mark.parametrize("share", [2.5, -0.1, float("nan"), 1e-9])
async def test_a_share_that_is_none_never_reaches_the_system(flag_system: FlagSystem, share: float) -> None:
    before = await read(flag_system)
    with pytest.raises(InvalidChangeError):
        await flag_system.backend.plan(FLAG, ENVIRONMENT, SetExposure(share))
    with pytest.raises(InvalidChangeError):
        await change(flag_system, SetExposure(share))
    assert await read(flag_system) == before


@pytest.mark.parametrize("opening", SYSTEMS_WITH_RULES, indirect=True)
async def test_rules_are_kept_through_off_kill_and_restore(flag_system: FlagSystem) -> None:
    recorded = await read(flag_system, TARGETED)
    assert (recorded.enabled, recorded.shape) == (True, Shape.TARGETED)
    with pytest.raises(UnsupportedError):
        await change(flag_system, SetExposure(0.25), TARGETED)
    for lowering in (TurnOff(), Kill()):
        plan = await flag_system.backend.plan(TARGETED, ENVIRONMENT, lowering)
        assert plan.difference.words.endswith("→ off")
        assert (await change(flag_system, lowering, TARGETED)).after.is_off
        restored = (await change(flag_system, Restore(recorded), TARGETED)).after
        assert replace(restored, version="") == replace(recorded, version="")


async def test_the_system_answers_when_asked_whether_it_does(flag_system: FlagSystem) -> None:
    await flag_system.backend.check()


@pytest.mark.parametrize("opening", SYSTEMS_WITH_APPLICATIONS, indirect=True)
async def test_real_applications_see_the_share_keep_their_users_and_lose_all_on_kill(
    flag_system: FlagSystem,
) -> None:
    assert flag_system.application is not None
    await change(flag_system, SetExposure(0.1))
    with flag_system.application() as application:
        tenth = await settled(application, 0.1)
        await change(flag_system, SetExposure(0.25))
        quarter = await settled(application, 0.25)
        assert tenth < quarter
        await change(flag_system, Kill())
        async with asyncio.timeout(_SEEN_WITHIN_S):
            while await on(application, sorted(quarter)[:1]):  # noqa: ASYNC110 - the application tells nobody
                await asyncio.sleep(0.05)
        assert await on(application, USERS) == set()


async def on(application: Application, users: Collection[str]) -> set[str]:
    return await asyncio.to_thread(application.those_on, FLAG, users)


async def settled(application: Application, share: float) -> set[str]:
    """Wait until the application sees the share within one percent of users, and answer who they are."""
    async with asyncio.timeout(60):
        while True:
            sample = len(await on(application, USERS[:500])) / 500
            if abs(sample - share) < 0.06:
                break
            await asyncio.sleep(0.1)
    everyone = await on(application, USERS)
    assert share - 0.01 <= len(everyone) / len(USERS) <= share + 0.01
    return everyone
