"""Freezing, lifting and exempting by hand: who may, who sees it, and what is written."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.catalog.error_budget_policy import UnfreezeRequirement
from bot.freezes.hold import GOVERNOR, HoldKind
from bot.incidents.records.actions import NewAction
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.announcements.freeze_buttons import LIFT, REPLACE
from bot.slack.home.contents import Contents
from bot.slack.home.view import home_view
from bot.slack.interactions import Interaction, Query
from bot.store.tables.core import holds, outbox
from tests.support.clock import NOW
from tests.support.examples import POLICY
from tests.support.slack_app import RunningSlackApp
from tests.support.values import budget_of_events


async def announced(slack_app: RunningSlackApp) -> list[tuple[str, str]]:
    async with slack_app.database.reading() as connection:
        rows = await connection.execute(select(outbox.c.channel, outbox.c.event_type).order_by(outbox.c.id))
        return [(row.channel, row.event_type) for row in rows]


async def placed_by_the_bot(slack_app: RunningSlackApp) -> None:
    async with slack_app.database.transaction() as connection:
        await connection.execute(
            holds.insert().values(
                service="checkout", kind="budget", reason="the budget is spent", by=GOVERNOR, since=NOW
            )
        )


async def test_freeze_is_seen_where_it_was_typed_and_announced_in_both_channels(
    slack_app: RunningSlackApp,
) -> None:
    seen = await slack_app.types("sam", "/freeze checkout for 4h peak sale")
    assert seen.ephemeral_to is None
    assert seen.text.startswith(":snowflake: *checkout* is frozen — by <@U0SAM> until <!date^")
    assert seen.text.endswith("peak sale")
    assert await announced(slack_app) == [("#checkout", "hold_placed"), ("#releases", "hold_placed")]
    (hold,) = await slack_app.hold_registry.holds(NOW)
    assert (hold.by, hold.kind, hold.until) == ("U0SAM", HoldKind.PERSON, NOW + timedelta(hours=4))


async def test_freeze_typed_in_an_announced_channel_is_confirmed_quietly(slack_app: RunningSlackApp) -> None:
    for command, channel in (("freeze", "#checkout"), ("freeze replace", "#releases")):
        answer = await slack_app.types("sam", f"/{command} checkout peak sale", channel)
        assert answer.ephemeral_to == "U0SAM"
        assert answer.text == "Done. It is posted in this channel."


async def test_an_end_is_read_wherever_it_stands_and_one_that_may_be_meant_is_asked(
    slack_app: RunningSlackApp,
) -> None:
    seen = await slack_app.types("sam", "/freeze <#C0CHECKOUT|checkout> 2h db migration")
    assert seen.text.endswith("db migration")
    (hold,) = await slack_app.hold_registry.holds(NOW)
    assert (hold.reason, hold.until) == ("db migration", NOW + timedelta(hours=2))
    asked = await slack_app.types("sam", "/freeze checkout load test for 2h of the shop")
    assert "Does it end `for 2h`? Write that first, or put the reason in quotes" in asked.text
    assert len(await slack_app.hold_registry.holds(NOW)) == 1


async def test_whoever_sees_a_hold_sees_which_actions_it_waits_for(slack_app: RunningSlackApp) -> None:
    policies = slack_app.shop.catalog
    strict = replace(POLICY, unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED)
    checkout = replace(policies.services["checkout"], error_budget_policy=strict)
    slack_app.shop.catalog = replace(policies, services={**policies.services, "checkout": checkout})
    book, views = slack_app.incidents.actions, ("/freeze", "/budget checkout", "/ship checkout PR-1")
    action = await book.add(NewAction("Limit <the> pool", "checkout", is_p0=True), by="U0DANA", now=NOW)
    await book.add(NewAction("Not urgent", "checkout"), by="U0DANA", now=NOW)
    waits = "1. Limit &lt;the&gt; pool — needs an owner and a due date: `/action change 1 @OWNER due friday`"
    assert waits not in (await slack_app.types("riley", "/budget checkout")).text
    await placed_by_the_bot(slack_app)
    for text in views:
        seen = await slack_app.types("riley", text)
        assert waits in seen.text
        assert waits in str(seen.blocks)
    (status,) = [
        status
        for status in await slack_app.shop.status_reader(slack_app.hold_registry).services()
        if status.is_frozen
    ]
    assert waits in str(home_view(Contents([status], is_all=True), NOW))
    await book.change(action.id, by="U0DANA", now=NOW, owner="U0SAM", due=NOW.date())
    for text in views:
        assert "owned" not in (await slack_app.types("riley", text)).text


async def test_who_may_not_freeze_sees_who_may(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("riley", "/freeze checkout because I can")
    assert answer.text == "Only @sre may freeze a service. Ask one of them."
    answer = await slack_app.types("riley", "/freeze exempt checkout PR-12 please")
    assert answer.text == "Only @sre or <@U0MORGAN> may exempt a change. Ask one of them."
    assert not await slack_app.hold_registry.holds(NOW)
    assert not await announced(slack_app)


async def test_nobody_may_change_anything_while_slack_does_not_name_the_group(
    slack_app: RunningSlackApp,
) -> None:
    slack_app.slack.faults.change({InjectedFault.SERVER_ERROR: 1.0})
    answer = await slack_app.types("sam", "/freeze checkout peak sale")
    assert "Try again in a minute" in answer.text
    assert not await slack_app.hold_registry.holds(NOW)


async def test_freeze_without_a_reason_asks_for_one(slack_app: RunningSlackApp) -> None:
    for text in ("/freeze checkout", "/freeze checkout for 4h", '/freeze checkout ""'):
        assert (await slack_app.types("sam", text)).text.startswith("Say why")
    assert not await slack_app.hold_registry.holds(NOW)


async def test_until_is_read_in_the_askers_time_zone_and_said_so(slack_app: RunningSlackApp) -> None:
    slack_app.slack.workspace.users["U0SAM"].tz = "America/New_York"
    answer = await slack_app.types("sam", "/freeze checkout until 2026-12-01 09:00 audit week")
    (hold,) = await slack_app.hold_registry.holds(NOW)
    assert hold.until is not None
    assert hold.until.isoformat() == "2026-12-01T14:00:00+00:00"
    assert "times are read in the zone America/New_York" in str(answer.blocks)


async def test_time_that_has_passed_is_refused(slack_app: RunningSlackApp) -> None:
    answer = await slack_app.types("sam", "/freeze checkout until 2026-11-01 09:00 audit week")
    assert "has passed" in answer.text
    assert not await slack_app.hold_registry.holds(NOW)


async def test_repeated_delivery_freezes_once_and_says_so_quietly(slack_app: RunningSlackApp) -> None:
    interaction = Interaction(
        Query("freeze", "checkout peak sale"), "U0SAM", "C9", request="the same trigger"
    )
    first, second = (
        await slack_app.app.workspaces.main.router.answer(interaction),
        await slack_app.app.workspaces.main.router.answer(interaction),
    )
    assert first.seen_by_channel
    assert not second.seen_by_channel
    assert second.text == "*checkout* was frozen by this request already."
    assert len(await slack_app.hold_registry.holds(NOW)) == 1


async def test_button_changes_nothing_whatever_it_carries(slack_app: RunningSlackApp) -> None:
    interaction = Interaction(Query("freeze", "checkout peak sale"), "U0SAM", "C9")
    assert (
        await slack_app.app.workspaces.main.router.answer(interaction)
    ).text == "Type the command to change something."
    assert not await slack_app.hold_registry.holds(NOW)


async def test_lift_opens_the_service_again(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    seen = await slack_app.types("sam", "/freeze lift checkout sale is over")
    assert seen.ephemeral_to is None
    assert seen.text == ":white_check_mark: *checkout* is open again — <@U0SAM> lifted the hold: sale is over"
    assert not await slack_app.hold_registry.holds(NOW)


async def test_a_second_freeze_by_the_same_person_offers_to_replace_the_first(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/freeze checkout for 4h peak sale")
    offer = await slack_app.types("sam", "/freeze checkout for 2h db migration")
    assert offer.ephemeral_to == "U0SAM"
    assert offer.text.startswith("You hold *checkout* already, so nothing was changed:")
    assert "`/freeze replace checkout for 2h db migration`" in offer.text
    assert [hold.reason for hold in await slack_app.hold_registry.holds(NOW)] == ["peak sale"]
    await slack_app.presses("sam", offer, REPLACE)
    (hold,) = await slack_app.hold_registry.holds(NOW)
    assert (hold.reason, hold.until) == ("db migration", NOW + timedelta(hours=2))
    done = slack_app.slack.seen_by("sam", "#general")[-1]
    assert done.text.endswith("db migration\nIn place of: peak sale")
    assert not slack_app.slack.refused


async def test_lift_stands_on_a_refused_ship_that_a_person_holds_and_asks_who_may(
    slack_app: RunningSlackApp,
) -> None:
    await placed_by_the_bot(slack_app)
    refused = await slack_app.types("sam", "/ship checkout PR-1")
    assert LIFT not in str(refused.blocks)
    await slack_app.types("sam", "/freeze checkout peak sale")
    refused = await slack_app.types("riley", "/ship checkout PR-1")
    await slack_app.presses("riley", refused, LIFT)
    answer = slack_app.slack.seen_by("riley", "#general")[-1]
    assert answer.text == "Only @sre may lift a freeze. Ask one of them."
    refused = await slack_app.types("sam", "/ship checkout PR-1")
    await slack_app.presses("sam", refused, LIFT)
    answer = slack_app.slack.seen_by("sam", "#general")[-1]
    assert answer.text.startswith("*checkout* still may not ship — <@U0SAM> lifted the hold.")
    assert [hold.kind for hold in await slack_app.hold_registry.holds(NOW)] == [HoldKind.BUDGET]


async def test_a_freeze_bars_production_and_not_staging_unless_the_policy_says_so(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert "No, `PR-1` may not ship" in (await slack_app.types("riley", "/ship checkout PR-1")).text
    assert "No," in (await slack_app.types("riley", "/ship checkout PR-1 in Production")).text
    allowed = (await slack_app.types("riley", "/ship checkout PR-1 in staging")).text
    assert "Yes, `PR-1` may ship to *checkout* in staging." in allowed
    assert "Its freeze does not bar staging" in allowed
    policies = slack_app.shop.catalog
    checkout = policies.services["checkout"]
    strict = replace(checkout.error_budget_policy, freezes=("production", "staging"))
    changed = {**policies.services, "checkout": replace(checkout, error_budget_policy=strict)}
    slack_app.shop.catalog = replace(policies, services=changed)
    assert "No, a change may not" in (await slack_app.types("riley", "/ship checkout in staging")).text


async def test_a_refused_ship_says_what_is_left_what_it_takes_and_when(slack_app: RunningSlackApp) -> None:
    checkout = slack_app.shop.catalog.services["checkout"]
    slack_app.shop.budgets["checkout"] = [
        budget_of_events(checkout.slos[0], 937), budget_of_events(checkout.slos[1], 100)
    ]  # fmt: skip
    await placed_by_the_bot(slack_app)
    text = (await slack_app.types("riley", "/ship checkout PR-1")).text.replace("\u00a0", " ")
    assert "Now: 6.3% of the availability budget is left. It opens at 10% or more for 15 min." in text
    assert "Expected in 2 d (<!date^" in text
    assert "at the rate of the last hour." in text
    slack_app.shop.budgets["checkout"][0] = budget_of_events(checkout.slos[0], 100)
    text = (await slack_app.types("riley", "/ship checkout PR-1")).text.replace("\u00a0", " ")
    assert "Enough of the budget has been left since <!date^" in text
    assert "It opens in 15 min (<!date^" in text
    slack_app.shop.budgets["checkout"][0] = slack_app.shop.budgets["payments"][0]
    text = (await slack_app.types("riley", "/ship checkout PR-1")).text
    assert "availability: no data yet. It opens once enough is known to be left." in text
    assert "Expected" not in text


async def test_a_ship_that_only_a_person_refuses_says_nothing_of_a_budget(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert "It opens at" not in (await slack_app.types("riley", "/ship checkout PR-1")).text


async def test_lift_beside_the_bots_hold_says_that_it_stays(slack_app: RunningSlackApp) -> None:
    await placed_by_the_bot(slack_app)
    await slack_app.types("sam", "/freeze checkout peak sale")
    seen = await slack_app.types("sam", "/freeze lift checkout")
    assert "*checkout* still may not ship — <@U0SAM> lifted the hold." in seen.text
    assert "Governor since" in seen.text
    assert [hold.kind for hold in await slack_app.hold_registry.holds(NOW)] == [HoldKind.BUDGET]


async def test_lifting_the_bots_hold_is_refused_with_a_way_forward(slack_app: RunningSlackApp) -> None:
    await placed_by_the_bot(slack_app)
    answer = await slack_app.types("sam", "/freeze lift checkout")
    assert answer.ephemeral_to == "U0SAM"
    assert "the budget is spent" in answer.text
    assert "`/freeze exempt checkout CHANGE REASON`" in answer.text
    assert await slack_app.hold_registry.holds(NOW)


async def test_lifting_an_open_service_says_that_it_is_open(slack_app: RunningSlackApp) -> None:
    assert (await slack_app.types("sam", "/freeze lift checkout")).text == (
        "*checkout* is open: there is nothing to lift."
    )


async def test_freeze_alone_lists_who_is_frozen_by_whom_and_why(slack_app: RunningSlackApp) -> None:
    assert (await slack_app.types("riley", "/freeze")).text == "Nothing is frozen."
    await slack_app.types("sam", "/freeze search for 2d index rebuild")
    answer = await slack_app.types("riley", "/freeze")
    assert "Held by <@U0SAM> since <!date^" in (await slack_app.types("riley", "/budget search")).text
    assert "*search*" in answer.text
    assert "<@U0SAM> since" in answer.text
    assert "index rebuild" in answer.text


async def test_exempt_change_may_ship_through_the_freeze_and_no_other(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    await slack_app.types("morgan", "/freeze exempt checkout PR-12 for 4h fixes the leak")
    assert (await slack_app.types("riley", "/ship checkout pr-12")).text.startswith(
        ":white_check_mark: Yes, `pr-12`"
    )
    refused = await slack_app.types("riley", "/ship checkout PR-13")
    assert refused.text.startswith(":no_entry: No, `PR-13` may not ship")
    assert "peak sale" in refused.text
    assert "Next: ask <@U0SAM>" in refused.text
    assert ("#checkout", "exemption_granted") in await announced(slack_app)


async def test_policys_kinds_pass_the_bots_hold_but_not_a_persons(slack_app: RunningSlackApp) -> None:
    await placed_by_the_bot(slack_app)
    assert "if it is a P0 or security change" in (await slack_app.types("riley", "/ship checkout PR-1")).text
    unproven = (await slack_app.types("riley", "/ship checkout security")).text
    assert "No, a security change" in unproven
    assert "That it is a security change is not proven" in unproven
    proven = "/ship checkout security CVE-2026-1234"
    assert "Yes, a security change" in (await slack_app.types("riley", proven)).text
    named = "/ship checkout PR-1 security GHSA-jfh8-c2jp-5v3q in production"
    assert "Yes, `PR-1` (security)" in (await slack_app.types("riley", named)).text
    refused = (await slack_app.types("riley", "/ship checkout PR-1 P0 incident 7")).text
    assert "Incident 7 proves nothing: it is not open, or does not concern checkout" in refused
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert "No, a security change" in (await slack_app.types("riley", proven)).text


async def test_ship_alone_lists_who_may_ship(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze search index rebuild")
    lines = (await slack_app.types("riley", "/ship")).text.splitlines()
    assert lines[0] == "No — *search*, frozen by <@U0SAM>"
    assert lines[1].startswith("Yes — *checkout*, 20.0")


async def test_typed_broadcasts_and_markup_ping_nobody(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout <!channel> @channel <@U0DANA|dana> *<https://x.io|y>* `z`")
    seen = slack_app.slack.messages("#general")[-1]
    async with slack_app.database.reading() as connection:
        rows = list(await connection.execute(select(outbox.c.text, outbox.c.blocks)))
    for shown in (
        seen.text,
        str(seen.blocks),
        *(row.text for row in rows),
        *(str(row.blocks) for row in rows),
    ):
        assert "<!channel>" not in shown
        assert "@channel" not in shown
        assert "<@U0DANA" not in shown
        assert "&lt;!channel&gt;" in shown


@pytest.mark.parametrize(
    ("typed", "listed"),
    [
        ("/freeze checkout asked by <@U0DANA>", "/ship checkout"),
        ("/ship checkout exempt PR-12 asked by <@U0DANA>", "/ship exemptions"),
        ("/freeze exempt checkout PR-12 asked by <@U0DANA>", "/freeze"),
        ("/budget exclude checkout from 4:00 to 4:30 asked by <@U0DANA>", "/budget adjustments checkout"),
        (
            "/freeze schedule checkout from friday 15:00 until monday 7:00 asked by <@U0DANA>",
            "/freeze schedule",
        ),
    ],
)
async def test_a_list_shows_the_people_whom_a_reason_names(
    typed: str, listed: str, slack_app: RunningSlackApp
) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    await slack_app.types("sam", typed.replace("/freeze checkout", "/freeze replace checkout"))
    assert "asked by <@U0DANA>" in str((await slack_app.types("riley", listed)).blocks)


async def test_whoami_says_what_one_may_do_and_why(slack_app: RunningSlackApp) -> None:
    sam = (await slack_app.types("sam", "/governor whoami")).text
    assert "You may *freeze and lift*, because you are in @sre." in sam
    morgan = (await slack_app.types("morgan", "/governor whoami")).text
    assert "You may not *freeze and lift*: only @sre may." in morgan
    assert "You may *exempt a change*, because the policy names you." in morgan
    assert "Europe/London" in morgan
    assert "*open and change incidents*" in morgan


async def test_audit_lists_the_newest_first(slack_app: RunningSlackApp) -> None:
    assert "Nothing was changed" in (await slack_app.types("riley", "/audit")).text
    await slack_app.types("sam", "/freeze checkout peak sale")
    slack_app.shop.clock.time = NOW + timedelta(minutes=5)
    await slack_app.types("sam", "/freeze lift checkout sale is over")
    lines = (await slack_app.types("riley", "/audit checkout since 12h")).text.splitlines()
    assert "lifted a hold: sale is over" in lines[0]
    assert "froze it: peak sale" in lines[1]
    assert "Nothing was changed" in (await slack_app.types("riley", "/audit search")).text


async def test_audit_is_filtered_by_person_and_flag(slack_app: RunningSlackApp) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    assert "froze it: peak sale" in (await slack_app.types("riley", "/audit @sam since 1d")).text
    assert "Nothing was changed" in (await slack_app.types("riley", "/audit @riley")).text
    assert "Nothing was changed" in (await slack_app.types("riley", "/audit flag new-checkout")).text
    assert "Nothing was changed" in (await slack_app.types("riley", "/audit @governor")).text
    assert "There is no service" in (await slack_app.types("riley", "/audit flag")).text


async def test_a_service_that_left_the_policies_is_shown_as_held_and_lifted_by_its_name(
    slack_app: RunningSlackApp,
) -> None:
    await slack_app.types("sam", "/freeze checkout peak sale")
    await placed_by_the_bot(slack_app)
    policies = slack_app.shop.catalog
    others = {name: each for name, each in policies.services.items() if name != "checkout"}
    slack_app.shop.catalog = replace(policies, services=others)
    assert "*checkout*" in (await slack_app.types("riley", "/freeze")).text
    refused = await slack_app.types("riley", "/freeze lift checkout")
    assert refused.text == "Only @sre may lift a freeze. Ask one of them."
    lifted = await slack_app.types("sam", "/freeze lift Checkout retired")
    assert lifted.text.startswith(":white_check_mark: *checkout* is open again")
    assert not await slack_app.hold_registry.holds(NOW)
    answer = await slack_app.types("sam", "/freeze lift checkout again")
    assert "There is no service" in answer.text
