"""Changing flags by hand: who may, what waits for whom, what is told, and what the audit log answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.catalog.teams import Teams
from bot.flags.change import SetExposure
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.flags.announcements import live_after
from bot.slack.interactions import SHOW, Query
from bot.store.tables.core import outbox
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
    raised,
    run_slack_app_with_flags,
    state,
    told,
    with_flags,
)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


async def test_a_change_where_nothing_is_protected_is_live_and_seen_by_the_channel(
    slack_app: RunningSlackApp,
) -> None:
    seen = await slack_app.types("riley", f"/flag rollout {FLAG} 25% staging trying it out")
    assert seen.ephemeral_to is None
    assert seen.text.startswith(f"*off → 25% of users* — *{FLAG}* in staging, live ")
    assert await exposure(slack_app, "staging") == 0.25
    assert await exposure(slack_app) == 0
    ((channel, event_type, text),) = await told(slack_app)
    assert (channel, event_type) == ("#checkout", "flag_changed")
    assert "By <@U0RILEY>: trying it out." in text
    assert text.endswith("Next: `/flag undo new-checkout staging` takes it back.")


async def test_a_change_without_a_reason_says_only_by_whom(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag rollout {FLAG} 25% staging")
    ((_, _, text),) = await told(slack_app)
    assert "By <@U0RILEY>." in text.splitlines()
    history = (await slack_app.types("riley", f"/flag history {FLAG} staging")).text
    assert history.endswith("*off → 25% of users* · <@U0RILEY>")
    shown = (await slack_app.types("riley", f"/flag show {FLAG} staging")).text
    assert shown.endswith("*off → 25% of users* · <@U0RILEY>")
    audit = (await slack_app.types("riley", f"/audit flag {FLAG}")).text
    assert audit.endswith("<@U0RILEY> changed it")


async def test_a_request_without_a_reason_says_only_who_asks(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag rollout {FLAG} 25%")
    (request,) = await deliver(slack_app)
    asks = f":raised_hand: *off → 25% of users* — <@U0DANA> asks to raise *{FLAG}* in production."
    assert request.text.splitlines()[0] == asks
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    *_, (_, _, text) = await told(slack_app)
    assert "By <@U0DANA>, approved by <@U0SAM>." in text.splitlines()


def test_a_change_says_how_long_it_took_to_be_seen() -> None:
    assert live_after(timedelta(seconds=1.62)) == "live after 1.6\u00a0s"
    assert live_after(timedelta(milliseconds=20)) == "live at once"


@pytest.mark.parametrize(
    ("teams", "allowed", "notified"),
    [
        (Teams(("@checkout-devs",), ("@sre",)), ("@checkout-devs", "@sre"), ["@checkout-devs", "@sre"]),
        (Teams(("@checkout-devs",), ("@sre",)), ("@sre", "@leads", "U0DANA"), ["@sre"]),
        (Teams(("@checkout-devs",)), ("@leads", "U0DANA", "U0MORGAN"), ["@leads", "U0MORGAN"]),
        (Teams(("@checkout-devs",), ("@sre",)), ("everyone",), ["@checkout-devs", "@sre"]),
        (Teams(), ("everyone", "#oncall"), []),
    ],
)
async def test_a_waiting_approval_notifies_those_who_may_give_it(
    tmp_path: Path, teams: Teams, allowed: tuple[str, ...], notified: Sequence[str]
) -> None:
    async with run_slack_app_with_flags(tmp_path, with_flags(teams=teams)) as slack_app:
        policies = slack_app.shop.catalog
        permissions = replace(policies.workspace.permissions, flags={"production": allowed})
        slack_app.shop.catalog = replace(
            policies, workspace=replace(policies.workspace, permissions=permissions)
        )
        await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first")
        async with slack_app.database.reading() as connection:
            rows = (await connection.execute(select(outbox.c.event_type, outbox.c.mentions))).all()
    assert [tuple(row) for row in rows] == [("flag_approval", list(notified))]


async def test_an_increase_in_a_protected_environment_waits_for_another_person(
    slack_app: RunningSlackApp,
) -> None:
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first")
    assert answer.text == "*off → 25% of users* — waits for another person's approval in #checkout."
    assert await exposure(slack_app) == 0
    (request,) = await deliver(slack_app)
    assert request.text.startswith(":raised_hand: *off → 25% of users* — <@U0DANA> asks to raise")
    await slack_app.presses("dana", request, "flag.approve", "#checkout")
    assert await exposure(slack_app) == 0
    assert "another person's approval" in slack_app.slack.seen_by("dana", "#checkout")[-1].text
    await slack_app.presses("riley", request, "flag.approve", "#checkout")
    assert "Only @checkout-devs or @sre may" in slack_app.slack.seen_by("riley", "#checkout")[-1].text
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert await exposure(slack_app) == 0.25
    replaced = next(one for one in slack_app.slack.messages("#checkout") if one.ts == request.ts)
    assert "asked for by <@U0DANA>, approved by <@U0SAM>." in replaced.text
    assert "flag.approve" not in str(replaced.blocks)
    assert await changes(slack_app) == [("U0DANA", "off", "25% of users", "small steps first", "U0SAM")]


async def test_a_decline_changes_nothing_and_takes_the_buttons_away(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag on {FLAG}")
    (request,) = await deliver(slack_app)
    await declines(slack_app, "sam", request)
    assert await exposure(slack_app) == 0
    (replaced,) = [one for one in slack_app.slack.messages("#checkout") if one.ts == request.ts]
    assert replaced.text.startswith("Declined by <@U0SAM>: off → 100% of users")
    assert "flag.approve" not in str(replaced.blocks)
    assert [entry.action for entry in await audited(slack_app)] == ["flag.asked", "flag.declined"]


async def test_what_was_shown_is_void_once_the_flag_has_moved(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag rollout {FLAG} 25%")
    (request,) = await deliver(slack_app)
    backend = slack_app.flags.changes.backend
    flag_state = await backend.read(FLAG, "production")
    theirs = await backend.apply(
        FLAG, "production", SetExposure(0.5), version=flag_state.version, note="behind its back"
    )
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert await state(slack_app) == theirs.after
    replaced = next(one for one in slack_app.slack.messages("#checkout") if one.ts == request.ts)
    assert replaced.text.startswith("No longer valid: off → 25% of users")
    assert [entry.action for entry in await audited(slack_app)][-1] == "flag.void"


async def test_lowering_waits_for_nobody(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 5% too many errors")
    assert answer.text.startswith("*25% → 5% of users*")
    assert await exposure(slack_app) == 0.05
    answer = await slack_app.types("dana", f"/flag kill {FLAG}")
    assert answer.text.startswith("*5% of users → off*")


async def test_a_frozen_service_refuses_raising_and_allows_lowering(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await slack_app.types("sam", "/freeze checkout peak sale")
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 50%")
    assert answer.text.startswith(
        "*checkout* is frozen, so its flags may not be raised: person hold: peak sale."
    )
    assert answer.text.endswith("Next: `/freeze exempt checkout flag:new-checkout REASON`.")
    assert (await slack_app.types("dana", f"/flag rollout {FLAG} 5%")).text.startswith("*25% → 5% of users*")
    await slack_app.types("sam", f"/freeze exempt checkout flag:{FLAG} the fix is behind it")
    assert "waits for another person" in (await slack_app.types("dana", f"/flag rollout {FLAG} 50%")).text


async def test_a_freeze_after_the_request_stops_the_approval(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag rollout {FLAG} 25%")
    (request,) = await deliver(slack_app)
    await slack_app.types("sam", "/freeze checkout peak sale")
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert await exposure(slack_app) == 0
    assert "is frozen" in slack_app.slack.seen_by("sam", "#checkout")[-1].text
    await slack_app.types("sam", "/freeze lift checkout")
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert await exposure(slack_app) == 0.25


async def test_nobody_changes_a_flag_while_slack_does_not_name_the_group(slack_app: RunningSlackApp) -> None:
    slack_app.slack.faults.change({InjectedFault.SERVER_ERROR: 1.0})
    answer = await slack_app.types("dana", f"/flag rollout {FLAG} 25%")
    assert "Try again in a minute" in answer.text
    assert not await told(slack_app)


async def test_who_has_no_right_is_told_who_has(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", f"/flag kill {FLAG}")
    assert answer.text == "Only @checkout-devs or @sre may change flags in production. Ask one of them."


async def test_undo_brings_back_the_state_before_unless_somebody_touched_the_flag(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("riley", f"/flag rollout {FLAG} 25% staging")
    await slack_app.types("riley", f"/flag rollout {FLAG} 5% staging")
    assert (await slack_app.types("riley", f"/flag undo {FLAG} staging")).text.startswith(
        "*5% → 25% of users*"
    )
    backend = slack_app.flags.changes.backend
    version = (await state(slack_app, "staging")).version
    await backend.apply(FLAG, "staging", SetExposure(0.7), version=version, note="behind its back")
    assert (
        "somebody has changed"
        in (await slack_app.types("riley", f"/flag undo {FLAG} staging")).text.casefold()
    )
    assert await exposure(slack_app, "staging") == 0.7


async def test_on_for_a_time_warns_and_goes_back(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    assert await exposure(slack_app, "staging") == 1
    await slack_app.tick()
    later(slack_app, timedelta(minutes=111))
    await slack_app.tick()
    await slack_app.tick()
    assert [event_type for _, event_type, _ in await told(slack_app)] == ["flag_changed", "flag_ends_soon"]
    assert (await told(slack_app))[-1][2].startswith(":hourglass: *9\u00a0min* left")
    later(slack_app, timedelta(minutes=9))
    await slack_app.tick()
    assert await exposure(slack_app, "staging") == 0
    assert (await changes(slack_app))[-1][0] == "governor"


async def test_on_again_lets_what_was_on_for_a_time_stay(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    answer = await slack_app.types("riley", f"/flag on {FLAG} staging")
    assert answer.text.endswith("It stays so, and will not go back by itself.")
    later(slack_app, timedelta(hours=3))
    await slack_app.tick()
    assert await exposure(slack_app, "staging") == 1


async def test_a_time_that_is_over_leaves_alone_what_somebody_else_has_touched(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    backend = slack_app.flags.changes.backend
    version = (await state(slack_app, "staging")).version
    await backend.apply(FLAG, "staging", SetExposure(0.7), version=version, note="behind its back")
    later(slack_app, timedelta(hours=3))
    await slack_app.tick()
    assert await exposure(slack_app, "staging") == 0.7
    assert "flag_left_alone" in [event_type for _, event_type, _ in await told(slack_app)]


async def test_a_time_that_is_over_waits_for_an_environment_that_vanished(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    policies = slack_app.shop.catalog
    settings = policies.workspace.flags
    production = tuple(each for each in settings.environments if each.name == "production")
    flags = replace(settings, environments=production)
    slack_app.shop.catalog = replace(policies, workspace=replace(policies.workspace, flags=flags))
    later(slack_app, timedelta(hours=3))
    for _ in range(3):
        await slack_app.tick()
        later(slack_app, timedelta(minutes=6))
    texts = [text for _, event_type, text in await told(slack_app) if event_type == "flag_left_alone"]
    assert len(texts) == 1
    slack_app.shop.catalog = policies
    await slack_app.tick()
    assert await exposure(slack_app, "staging") == 0


async def test_show_list_history_and_stale_answer_the_asker_alone(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    shown = await slack_app.types("riley", f"/flag show {FLAG}")
    assert shown.ephemeral_to == "U0RILEY"
    assert shown.text.startswith(f"*25% of users* — *{FLAG}* in production")
    assert "Watched for 30\u00a0min more: back to off at a burn of 14.4× or more." in shown.text
    assert (await slack_app.types("riley", "/flag")).text == f"`{FLAG}` 25% of users · checkout"
    assert (await slack_app.types("riley", "/flag search")).text.startswith("No flag in production matches")
    history = await slack_app.types("riley", f"/flag history {FLAG}")
    assert "*off → 25% of users* · <@U0DANA>, approved by <@U0SAM>: small steps first" in history.text
    assert (await slack_app.types("riley", "/flag stale")).text == "No flag in production is stale."


async def test_many_flags_are_a_table_of_which_each_can_be_looked_at(tmp_path: Path) -> None:
    flags = [f"flag-{number:02}" for number in range(20)]
    async with run_slack_app_with_flags(tmp_path, with_flags("checkout", *flags)) as slack_app:
        listing = await slack_app.types("riley", "/flag")
        (table,) = [block for block in listing.blocks if block["type"] == "data_table"]
        assert table["caption"] == "Feature flags in production"
        assert [cell["text"] for cell in table["rows"][8]] == ["flag-07", "off", "checkout"]
        assert "0 of 20 on in production" in str(listing.blocks)
        chosen = {"selected_option": {"value": Query("flag", "show flag-07 production").to_value()}}
        await slack_app.slack.person("riley").acts(listing, "#general", SHOW, **chosen)
        await slack_app.app.drain(10)
        assert "*flag-07* in production" in slack_app.slack.ephemerals("#general", "riley")[-1].text


async def test_a_request_that_waits_or_was_declined_is_no_change(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first")
    (request,) = await deliver(slack_app)
    shown = (await slack_app.types("riley", f"/flag show {FLAG}")).text
    assert shown.startswith(
        f"*off* — *{FLAG}* in production\nWaiting for approval in #checkout: off → 25% of"
    )
    assert "Last:" not in shown
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    assert "<@U0DANA> asked for off → 25% of users: small steps first" in listed
    await declines(slack_app, "sam", request)
    assert "Waiting" not in (await slack_app.types("riley", f"/flag show {FLAG}")).text
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    assert listed.split("\n")[0].endswith(
        "<@U0SAM> declined off → 25% of users, asked for by <@U0DANA>: not today"
    )
    assert "*off" not in listed


async def test_a_request_nobody_decided_within_a_day_waits_no_more(slack_app: RunningSlackApp) -> None:
    await slack_app.types("dana", f"/flag rollout {FLAG} 25% small steps first")
    later(slack_app, timedelta(hours=25))
    assert "Waiting" not in (await slack_app.types("riley", f"/flag show {FLAG}")).text


async def test_the_last_change_is_shown_behind_a_request_that_is_void(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await slack_app.types("dana", f"/flag rollout {FLAG} 50% even more people")
    await deliver(slack_app)
    asked = [one for one in slack_app.slack.messages("#checkout") if "flag.approve" in str(one.blocks)]
    (request,) = asked
    await slack_app.types("dana", f"/flag kill {FLAG} it hurts")
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    shown = (await slack_app.types("riley", f"/flag show {FLAG}")).text
    assert "*25% of users → off* · <@U0DANA>: it hurts" in shown
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    assert "<@U0SAM> could no longer approve 25% → 50% of users, asked for by <@U0DANA>: the flag" in listed


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("show", "Name the flag: `/flag show FLAG`."),
        ("show nwe-checkout", "There is no flag nwe-checkout; did you mean new-checkout?"),
        ("rollout new-checkout", "Name the flag and the share of users"),
        ("rollout new-checkout 250%", "is more than everyone"),
        ("rollout new-checkout 25% prodction", "There is no environment `prodction`"),
        ("ramp new-checkout 1% 5%", "the time between them"),
        ("ramp new-checkout 5% 1% every 30m", "Each step is higher than the one before."),
        ("ramp stop new-checkout", "There is no ramp of new-checkout in production."),
        ("kil new-checkout", "Did you mean `/flag kill`?"),
        ("enable new-checkout", "Did you mean `/flag on new-checkout`?"),
        ("disable", "Did you mean `/flag off FLAG`?"),
        ("nwe-checkout", "Did you mean `new-checkout`?"),
        ("undo new-checkout", "Governor has not changed new-checkout in production yet."),
        ("on new-checkout for 3x staging", "I cannot read a time in `for 3x`"),
    ],
)
async def test_what_cannot_be_done_is_answered_with_what_to_type(
    slack_app: RunningSlackApp, typed: str, answer: str
) -> None:
    assert answer in (await slack_app.types("dana", f"/flag {typed}")).text
    assert not await told(slack_app)


async def test_an_increase_that_burns_is_taken_back_with_the_evidence(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await evaluated(slack_app, 3.0)
    assert await exposure(slack_app) == 0.25
    later(slack_app, timedelta(minutes=6))
    await evaluated(slack_app, 20.0, as_of=slack_app.shop.clock.now())
    assert await exposure(slack_app) == 0
    channel, event_type, text = (await told(slack_app))[-1]
    assert (channel, event_type) == ("#checkout", "flag_changed")
    assert text.startswith(":rewind: *25% of users → off*")
    assert "availability burns at 20.0× over 5 minutes, the guard is 14.4×; before it was 0.5×" in text
    actor, before, after, reason, approved = (await changes(slack_app))[-1]
    assert (actor, before, after, approved) == ("governor", "25% of users", "off", None)
    assert reason.startswith("availability burns at 20.0")


async def test_the_guard_leaves_alone_what_somebody_has_touched_since(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    backend = slack_app.flags.changes.backend
    version = (await state(slack_app)).version
    await backend.apply(FLAG, "production", SetExposure(0.3), version=version, note="behind its back")
    await evaluated(slack_app, 20.0)
    assert await exposure(slack_app) == 0.3
    texts = [text for _, event_type, text in await told(slack_app) if event_type == "flag_left_alone"]
    assert len(texts) == 1
    assert "somebody has changed it since" in texts[0].casefold()


async def test_a_watch_that_too_few_requests_met_ends_with_saying_so(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    later(slack_app, timedelta(minutes=29))
    await met(slack_app, 42)
    later(slack_app, timedelta(minutes=2))
    await met(slack_app, 42)
    undecided = [text for _, event_type, text in await told(slack_app) if event_type == "flag_undecided"]
    assert len(undecided) == 1
    assert undecided[0].startswith(
        f":grey_question: *{FLAG}* in production — the watch is over: "
        "not enough traffic to tell (42 requests)."
    )
    assert await exposure(slack_app) == 0.25
    assert [entry.action for entry in await audited(slack_app)][-1] == "flag.watch_undecided"
    shown = (await slack_app.types("dana", f"/flag history {FLAG}")).text
    assert "Governor could not tell whether it hurts: not enough traffic to tell (42 requests)" in shown


async def test_a_watch_ends_after_the_policys_time(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    later(slack_app, timedelta(minutes=31))
    await evaluated(slack_app, 1.0)
    await evaluated(slack_app, 20.0)
    assert await exposure(slack_app) == 0.25


async def test_killing_a_flag_that_is_off_announces_nothing(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("sam", f"/flag kill {FLAG} it hurts a lot")
    assert (answer.text, answer.ephemeral_to) == (f"*{FLAG}* in production is off already.", "U0SAM")
    assert not await told(slack_app)
    assert not await audited(slack_app)


@pytest.mark.parametrize("subcommand", ["kill", "off"])
async def test_a_flag_that_is_to_stay_off_has_no_ramp_any_more(
    slack_app: RunningSlackApp, subcommand: str
) -> None:
    await slack_app.types("dana", f"/flag ramp {FLAG} 5% 50% every 30m in staging step by step")
    answer = await slack_app.types("sam", f"/flag {subcommand} {FLAG} in staging it hurts")
    assert answer.text == f"*{FLAG}* in staging is off already. Its ramp has ended."
    later(slack_app, timedelta(hours=1))
    await evaluated(slack_app)
    assert await exposure(slack_app, "staging") == 0
    assert [event_type for _, event_type, _ in await told(slack_app)] == ["ramp_stopped"]
    again = await slack_app.types("sam", f"/flag {subcommand} {FLAG} in staging it hurts")
    assert again.text == f"*{FLAG}* in staging is off already."


async def test_a_killed_flag_is_killed_again_once_somebody_turned_it_on(slack_app: RunningSlackApp) -> None:
    for text, answer in (
        (f"/flag on {FLAG} staging", f"*{FLAG}* in staging"),
        (f"/flag kill {FLAG} staging again", "→ off*"),
        (f"/flag kill {FLAG} staging again", f"*{FLAG}* in staging is off already."),
    ):
        assert answer in (await slack_app.types("sam", text)).text


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("on new-checkout in staging", ""),
        ("on new-checkout in Staging trying it out", "trying it out"),
        ("on new-checkout on staging for 2h trying it out", "trying it out"),
        ("on new-checkout for 2h in staging trying it out", "trying it out"),
        ("rollout new-checkout 100% in staging", ""),
        ("rollout new-checkout in staging 100% trying it out", "trying it out"),
        ("rollout new-checkout staging 100%", ""),
    ],
)
async def test_the_environment_may_stand_behind_in(
    slack_app: RunningSlackApp, typed: str, reason: str
) -> None:
    await slack_app.types("riley", f"/flag {typed}")
    assert await exposure(slack_app, "staging") == 1
    assert await exposure(slack_app) == 0
    assert [change[3] for change in await changes(slack_app)] == [reason]


async def test_queries_take_the_environment_behind_in(slack_app: RunningSlackApp) -> None:
    shown = await slack_app.types("riley", f"/flag show {FLAG} in staging")
    assert shown.text.startswith(f"*off* — *{FLAG}* in staging")
    listed = await slack_app.types("riley", "/flag list in staging")
    assert "in staging" in str(listed.blocks)
    assert (await slack_app.types("riley", "/flag stale in staging")).text == "No flag in staging is stale."
    assert "in staging" in str((await slack_app.types("riley", "/flag checkout in staging")).blocks)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("on new-checkout in stagin", "There is no environment `stagin`: write `production` or `staging`."),
        ("off new-checkout in prod", "There is no environment `prod`: write `production` or `staging`."),
        ("show new-checkout in qa", "There is no environment `qa`"),
        ("kill new-checkout in panic", "Or put the reason in quotes."),
        (
            "on new-checkout trying it out in staging",
            "Should it change in staging? Put it after the flag: `FLAG staging trying it out`.",
        ),
    ],
)
async def test_a_place_that_may_not_be_one_is_asked_about(
    slack_app: RunningSlackApp, typed: str, answer: str
) -> None:
    assert answer in (await slack_app.types("sam", f"/flag {typed}")).text
    assert not await told(slack_app)


async def test_a_reason_in_quotes_names_no_environment(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    await slack_app.types("sam", f"/flag kill {FLAG} “in staging it was fine”")
    assert (await changes(slack_app))[-1][3] == "in staging it was fine"
