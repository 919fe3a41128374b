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
from tests.flags.backends.flag_systems import ENVIRONMENT, FLAG, TARGETED, Bench

USERS = [f"user-{number}" for number in range(10_000)]
SYSTEMS_WITH_RULES = ("flagd", "unleash", "launchdarkly", "flagsmith", "flagsmith-versioned")
SYSTEMS_WITH_APPLICATIONS = ("local", "flagd", "unleash")
_SEEN_WITHIN_S = 2.0


async def change(bench: Bench, wanted: FlagChange, flag: str = FLAG) -> AppliedChange:
    now = await bench.backend.read(flag, ENVIRONMENT)
    return await bench.backend.apply(flag, ENVIRONMENT, wanted, version=now.version, note="U1: a test")


async def read(bench: Bench, flag: str = FLAG) -> FlagState:
    return await bench.backend.read(flag, ENVIRONMENT)


def shown(state: FlagState) -> tuple[bool, float | None, Shape]:
    return state.enabled, state.rollout, state.shape


async def test_the_list_has_every_flag_as_reading_it_tells(bench: Bench) -> None:
    listed = await bench.backend.list(ENVIRONMENT)
    names = [state.flag for state in listed]
    assert names == sorted(names)
    assert {FLAG, "new-search"} <= set(names)
    assert next(state for state in listed if state.flag == FLAG) == await read(bench)


async def test_a_new_flag_is_off_and_means_everyone(bench: Bench) -> None:
    assert shown(await read(bench)) == (False, 1.0, Shape.SIMPLE)


async def test_a_plan_tells_the_difference_and_writes_nothing(bench: Bench) -> None:
    before = await read(bench)
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    assert plan.difference.words == "off → 5 % of users"
    assert plan.version == before.version
    assert await read(bench) == before


async def test_turning_on_means_what_the_plan_said(bench: Bench) -> None:
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, TurnOn())
    assert plan.difference.words == "off → 100 % of users"
    applied = await change(bench, TurnOn())
    assert applied.before.is_off
    assert applied.after == await read(bench)
    assert applied.after.exposure == 1.0


async def test_an_exposure_goes_up_and_down(bench: Bench) -> None:
    for share in (0.05, 0.25, 1.0, 0.1, 0.0, 0.29):
        applied = await change(bench, SetExposure(share))
        assert applied.after.exposure == pytest.approx(share)
        assert applied.after == await read(bench)


async def test_off_keeps_the_rollout_for_the_next_time(bench: Bench) -> None:
    await change(bench, SetExposure(0.25))
    off = await change(bench, TurnOff())
    assert off.after.is_off
    assert (await bench.backend.plan(FLAG, ENVIRONMENT, TurnOn())).difference.words == "off → 25 % of users"
    assert (await change(bench, TurnOn())).after.exposure == pytest.approx(0.25)


async def test_a_killed_flag_comes_back_as_it_was_recorded(bench: Bench) -> None:
    recorded = (await change(bench, SetExposure(0.25))).after
    assert (await change(bench, Kill())).after.is_off
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, Restore(recorded))
    assert plan.difference.words == "off → 25 % of users"
    restored = (await change(bench, Restore(recorded))).after
    assert shown(restored) == shown(recorded)
    assert restored.configuration == recorded.configuration


async def test_the_state_before_the_first_change_comes_back(bench: Bench) -> None:
    recorded = await read(bench)
    await change(bench, SetExposure(0.25))
    await change(bench, SetExposure(1.0))
    assert (await change(bench, Restore(recorded))).after.is_off
    assert shown(await read(bench)) == shown(recorded)


async def test_nothing_is_overwritten_when_somebody_else_was_faster(bench: Bench) -> None:
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    await bench.meddle()
    theirs = await read(bench)
    assert theirs.exposure == pytest.approx(0.5)
    for wanted in (plan.change, TurnOn(), TurnOff(), Kill(), Restore(plan.difference.before)):
        with pytest.raises(FlagConflictError) as refused:
            await bench.backend.apply(FLAG, ENVIRONMENT, wanted, version=plan.version, note="U1")
        assert refused.value.found == theirs
    assert await read(bench) == theirs


async def test_a_plan_is_good_for_one_time(bench: Bench) -> None:
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    await bench.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")
    with pytest.raises(FlagConflictError):
        await bench.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")


async def test_of_two_who_apply_at_once_one_is_refused_or_both_agree(bench: Bench) -> None:
    plan = await bench.backend.plan(FLAG, ENVIRONMENT, SetExposure(0.05))
    outcomes = await asyncio.gather(
        *(
            bench.backend.apply(FLAG, ENVIRONMENT, plan.change, version=plan.version, note="U1")
            for _ in range(2)
        ),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, AppliedChange | FlagConflictError) for outcome in outcomes)
    assert any(isinstance(outcome, AppliedChange) for outcome in outcomes)


async def test_an_unknown_flag_is_answered_with_similar_names(bench: Bench) -> None:
    for call in (bench.backend.read("new-chekout", ENVIRONMENT), change(bench, Kill(), "new-chekout")):
        with pytest.raises(FlagNotFoundError) as refused:
            await call
        assert refused.value.near[0] == FLAG


async def test_an_unknown_environment_is_not_mistaken_for_an_unknown_flag(bench: Bench) -> None:
    with pytest.raises(EnvironmentNotFoundError):
        await bench.backend.read(FLAG, "moon")


@pytest.mark.parametrize("share", [2.5, -0.1, float("nan"), 1e-9])
async def test_a_share_that_is_none_never_reaches_the_system(bench: Bench, share: float) -> None:
    before = await read(bench)
    with pytest.raises(InvalidChangeError):
        await bench.backend.plan(FLAG, ENVIRONMENT, SetExposure(share))
    with pytest.raises(InvalidChangeError):
        await change(bench, SetExposure(share))
    assert await read(bench) == before


@pytest.mark.parametrize("opening", SYSTEMS_WITH_RULES, indirect=True)
async def test_rules_are_kept_through_off_kill_and_restore(bench: Bench) -> None:
    recorded = await read(bench, TARGETED)
    assert (recorded.enabled, recorded.shape) == (True, Shape.TARGETED)
    with pytest.raises(UnsupportedError):
        await change(bench, SetExposure(0.25), TARGETED)
    for lowering in (TurnOff(), Kill()):
        plan = await bench.backend.plan(TARGETED, ENVIRONMENT, lowering)
        assert plan.difference.words.endswith("→ off")
        assert (await change(bench, lowering, TARGETED)).after.is_off
        restored = (await change(bench, Restore(recorded), TARGETED)).after
        assert replace(restored, version="") == replace(recorded, version="")


async def test_the_system_answers_when_asked_whether_it_does(bench: Bench) -> None:
    await bench.backend.check()


@pytest.mark.parametrize("opening", SYSTEMS_WITH_APPLICATIONS, indirect=True)
async def test_real_applications_see_the_share_keep_their_users_and_lose_all_on_kill(bench: Bench) -> None:
    assert bench.application is not None
    await change(bench, SetExposure(0.1))
    with bench.application() as application:
        tenth = await settled(application, 0.1)
        await change(bench, SetExposure(0.25))
        quarter = await settled(application, 0.25)
        assert tenth < quarter
        await change(bench, Kill())
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
