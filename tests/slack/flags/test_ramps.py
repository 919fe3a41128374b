"""Ramps by hand and by the clock: approved once, stepped, held, taken back, ended by who moves the flag."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.catalog.error_budget_policy import OnUndecided
from bot.flags.change import SetExposure
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    audited,
    changes,
    declines,
    deliver,
    evaluated,
    exposure,
    later,
    met,
    run_slack_app_with_flags,
    state,
    told,
)

RAMP = f"/flag ramp {FLAG} 1% 5% 25% 100% every 30m"
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


async def begun(slack_app: RunningSlackApp, taken: int = 1) -> None:
    """A ramp of dana's that sam approved, after some steps."""
    await slack_app.types("dana", f"{RAMP} the new till")
    request = (await deliver(slack_app))[-1]
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    for number in range(taken):
        if number:
            later(slack_app, HALF_AN_HOUR)
        await slack_app.tick()


async def test_a_safeguard_that_fails_keeps_no_ramp_from_its_steps(
    slack_app: RunningSlackApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("watch")

    monkeypatch.setattr(slack_app.flags._guard_runner, "tick", broken)
    with capture_logs() as logs:
        await begun(slack_app, taken=2)
    assert await exposure(slack_app) == 0.05
    failed = [entry for entry in logs if entry["event"] == "flags_task_failed"]
    assert {entry["item"] for entry in failed} == {"guards"}


async def occasions(slack_app: RunningSlackApp) -> list[str]:
    return [event_type for _, event_type, _ in await told(slack_app)]


async def test_a_ramp_is_approved_once_and_takes_each_step_in_its_time(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("dana", f"{RAMP} the new till")
    way = "off → 1% → 5% → 25% → 100% of users"
    assert answer.text == f"*{way}* — waits for another person's approval in #checkout."
    (request,) = await deliver(slack_app)
    assert request.text.startswith(f":raised_hand: *{way}* — <@U0DANA> asks for a ramp of")
    await slack_app.tick()
    assert await exposure(slack_app) == 0
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    seen = []
    for _ in range(4):
        await slack_app.tick()
        await slack_app.tick()
        seen.append(await exposure(slack_app))
        later(slack_app, HALF_AN_HOUR)
    assert seen == [0.01, 0.05, 0.25, 1.0]
    assert [(who, to, by) for who, _, to, _, by in await changes(slack_app)] == [
        ("governor", "1% of users", "U0SAM"),
        ("governor", "5% of users", "U0SAM"),
        ("governor", "25% of users", "U0SAM"),
        ("governor", "100% of users", "U0SAM"),
    ]
    _, _, first = next(one for one in await told(slack_app) if one[1] == "flag_changed")
    assert "step 1 of 4 of the ramp asked for by <@U0DANA>: the new till" in first
    assert "Step 1 of 4. Next: 5%" in first


async def test_a_ramp_without_a_reason_says_only_who_asked(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", RAMP)
    (request,) = await deliver(slack_app)
    assert f"<@U0DANA> asks for a ramp of *{FLAG}* in production." in request.text.splitlines()[0]
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    await slack_app.tick()
    _, _, first = next(one for one in await told(slack_app) if one[1] == "flag_changed")
    by = "By Governor, approved by <@U0SAM>: step 1 of 4 of the ramp asked for by <@U0DANA>."
    assert by in first.splitlines()
    history = (await slack_app.types("dana", f"/flag history {FLAG}")).text
    assert "step 1 of 4 of the ramp asked for by <@U0DANA>\n" in f"{history}\n"


async def test_a_step_that_burns_goes_back_to_before_the_ramp_within_one_evaluation(
    slack_app: RunningSlackApp,
) -> None:
    await begun(slack_app, taken=3)
    assert await exposure(slack_app) == 0.25
    later(slack_app, timedelta(minutes=6))
    await evaluated(slack_app, 20.0, as_of=slack_app.shop.clock.now())
    assert await exposure(slack_app) == 0
    _, event_type, text = (await told(slack_app))[-1]
    assert event_type == "flag_changed"
    assert text.startswith(":rewind: *25% of users → off*")
    assert "availability burns at 20.0× over 5 minutes, the guard is 14.4×" in text
    later(slack_app, HALF_AN_HOUR)
    await evaluated(slack_app, 0.5)
    assert await exposure(slack_app) == 0


async def test_a_ramp_holds_while_the_service_is_frozen_and_goes_on_where_it_stood(
    slack_app: RunningSlackApp,
) -> None:
    await begun(slack_app, taken=2)
    await slack_app.types("sam", "/freeze checkout peak sale")
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    await slack_app.tick()
    await evaluated(slack_app)
    assert await exposure(slack_app) == 0.05
    held = [text for _, event_type, text in await told(slack_app) if event_type == "ramp_held"]
    assert len(held) == 1
    assert held[0].startswith(f"2 of 4 steps taken — the ramp of *{FLAG}* in production waits.")
    assert "Person hold: peak sale." in held[0]
    await slack_app.types("sam", "/freeze lift checkout")
    await evaluated(slack_app)
    await slack_app.tick()
    assert await exposure(slack_app) == 0.25
    assert "ramp_goes_on" in await occasions(slack_app)


async def test_a_ramp_holds_while_the_service_cannot_be_measured(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    known = slack_app.shop.budgets["checkout"]
    slack_app.shop.budgets["checkout"] = []
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    assert await exposure(slack_app) == 0.01
    assert (await occasions(slack_app))[-1] == "ramp_held"
    slack_app.shop.budgets["checkout"] = known
    slack_app.flags.evaluated(["checkout"])
    await slack_app.tick()
    await slack_app.tick()
    assert await exposure(slack_app) == 0.05


async def test_a_ramp_waits_until_an_event_was_counted_since_its_step(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    later(slack_app, HALF_AN_HOUR)
    await met(slack_app, 0)
    assert await exposure(slack_app) == 0.01
    held = [text for _, event_type, text in await told(slack_app) if event_type == "ramp_held"]
    assert len(held) == 1
    assert "No event of checkout was counted since the last step." in held[0]
    await met(slack_app, 1_000)
    assert await exposure(slack_app) == 0.05


async def test_a_ramp_waits_until_enough_traffic_met_its_step(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    later(slack_app, HALF_AN_HOUR)
    await met(slack_app, 42)
    assert await exposure(slack_app) == 0.01
    held = [text for _, event_type, text in await told(slack_app) if event_type == "ramp_held"]
    assert len(held) == 1
    assert "Not enough traffic to tell (42 requests)." in held[0]
    assert "It goes on by itself." in held[0]
    await met(slack_app, 420)
    assert await exposure(slack_app) == 0.05
    assert "ramp_goes_on" in await occasions(slack_app)


async def test_a_ramp_that_may_go_on_undecided_says_so_at_each_step(slack_app: RunningSlackApp) -> None:
    policies = slack_app.shop.catalog
    checkout = policies.services["checkout"]
    guard = replace(checkout.error_budget_policy.guard, on_undecided=OnUndecided.GO)
    policy = replace(checkout.error_budget_policy, guard=guard)
    services = {**policies.services, "checkout": replace(checkout, error_budget_policy=policy)}
    slack_app.shop.catalog = replace(policies, services=services)
    await begun(slack_app)
    for _ in range(3):
        later(slack_app, HALF_AN_HOUR)
        await met(slack_app, 42)
    assert await exposure(slack_app) == 1.0
    steps = [text for _, event_type, text in await told(slack_app) if event_type == "flag_changed"]
    doubt = "(after the step before: not enough traffic to tell (42 requests))"
    assert [doubt in text for text in steps] == [False, True, True, True]
    later(slack_app, HALF_AN_HOUR)
    await met(slack_app, 42)
    _, event_type, text = (await told(slack_app))[-1]
    assert event_type == "flag_undecided"
    assert "the watch is over: not enough traffic to tell (42 requests)." in text


async def test_a_ramp_outlives_its_service_s_absence_from_the_policies(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    policies = slack_app.shop.catalog
    others = {name: each for name, each in policies.services.items() if name != "checkout"}
    slack_app.shop.catalog = replace(policies, services=others)
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    await slack_app.tick()
    assert await exposure(slack_app) == 0.01
    channel, event_type, text = (await told(slack_app))[-1]
    assert (channel, event_type) == ("#releases", "ramp_held")
    assert f"No service in the policies names {FLAG} among its flags." in text
    slack_app.shop.catalog = policies
    await evaluated(slack_app, 20.0)
    assert await exposure(slack_app) == 0


async def test_a_ramp_waits_for_its_environment_and_is_still_taken_back(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    policies = slack_app.shop.catalog
    others = tuple(each for each in policies.workspace.flags.environments if each.name != "production")
    flags = replace(policies.workspace.flags, environments=others)
    slack_app.shop.catalog = replace(policies, workspace=replace(policies.workspace, flags=flags))
    later(slack_app, HALF_AN_HOUR)
    for _ in range(3):
        await evaluated(slack_app)
        later(slack_app, HALF_AN_HOUR)
    assert (await occasions(slack_app)).count("ramp_held") == 1
    slack_app.shop.catalog = policies
    await evaluated(slack_app, 20.0)
    assert await exposure(slack_app) == 0


async def test_a_person_holds_a_ramp_lets_it_go_on_and_stops_it(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    assert (await slack_app.types("dana", f"/flag ramp hold {FLAG}")).text.startswith("The ramp of")
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    await evaluated(slack_app)
    assert await exposure(slack_app) == 0.01
    assert "<@U0DANA> holds it." in (await told(slack_app))[-1][2]
    await slack_app.types("dana", f"/flag ramp go {FLAG}")
    await slack_app.tick()
    assert await exposure(slack_app) == 0.05
    await slack_app.types("dana", f"/flag ramp stop {FLAG}")
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    assert await exposure(slack_app) == 0.05
    assert [entry.action for entry in await audited(slack_app)][-1] == "ramp.stopped"


async def test_a_flag_moved_elsewhere_ends_its_ramp_and_nothing_is_overwritten(
    slack_app: RunningSlackApp,
) -> None:
    await begun(slack_app)
    backend = slack_app.flags.changes.backend
    version = (await state(slack_app)).version
    await backend.apply(FLAG, "production", SetExposure(0.4), version=version, note="behind its back")
    later(slack_app, HALF_AN_HOUR)
    await slack_app.tick()
    assert await exposure(slack_app) == 0.4
    stopped = [text for _, event_type, text in await told(slack_app) if event_type == "ramp_stopped"]
    assert len(stopped) == 1
    assert "Somebody else changed the flag, it is 40% of users now." in stopped[0]


async def test_a_kill_ends_the_ramp_at_once(slack_app: RunningSlackApp) -> None:
    await begun(slack_app, taken=2)
    await slack_app.types("dana", f"/flag kill {FLAG}")
    later(slack_app, HALF_AN_HOUR)
    await evaluated(slack_app)
    assert await exposure(slack_app) == 0
    assert "Its ramp ended with that." in (await told(slack_app))[-1][2]


async def test_a_ramp_that_was_declined_or_moved_never_begins(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", RAMP)
    (request,) = await deliver(slack_app)
    await declines(slack_app, "sam", request)
    await slack_app.types("dana", RAMP)
    request = (await deliver(slack_app))[-1]
    backend = slack_app.flags.changes.backend
    version = (await state(slack_app)).version
    await backend.apply(FLAG, "production", SetExposure(0.4), version=version, note="behind its back")
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    await slack_app.tick()
    assert await exposure(slack_app) == 0.4


async def test_a_second_ramp_of_the_same_flag_is_refused(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    answer = await slack_app.types("dana", f"/flag ramp {FLAG} 10% 20% every 1h")
    assert answer.text == "There is a ramp of new-checkout in production already."


async def test_a_flag_that_nothing_watches_gets_no_ramp(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("dana", "/flag ramp other-flag 10% 20% every 1h")
    assert answer.text.startswith("No service with an SLO names other-flag among its flags")


async def test_while_a_person_holds_a_ramp_nothing_else_is_said_of_it(slack_app: RunningSlackApp) -> None:
    await begun(slack_app)
    await slack_app.types("dana", f"/flag ramp hold {FLAG}")
    before = await occasions(slack_app)
    known = slack_app.shop.budgets["checkout"]
    for budgets in ([], known, [], known):
        slack_app.shop.budgets["checkout"] = budgets
        slack_app.flags.evaluated(["checkout"])
        await slack_app.tick()
    assert await occasions(slack_app) == before


async def test_after_its_last_step_a_ramp_cannot_be_held(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag ramp {FLAG} 100% every 30m")
    await slack_app.presses("sam", (await deliver(slack_app))[-1], "flag.approve", "#checkout")
    await slack_app.tick()
    shown = await slack_app.types("dana", f"/flag show {FLAG}")
    assert "flag.shown.hold" not in str(shown.blocks)
    answer = await slack_app.types("dana", f"/flag ramp hold {FLAG}")
    assert answer.text == f"The ramp of {FLAG} has taken its last step, so it cannot be held."


async def test_steps_that_the_flag_system_cannot_keep_are_refused_at_the_start(
    slack_app: RunningSlackApp,
) -> None:
    answer = await slack_app.types("dana", f"/flag ramp {FLAG} 1% 5.005% 100% every 30m")
    assert answer.text == "5.005% is finer than the steps of 0.01% that are kept."
    assert not await told(slack_app)
