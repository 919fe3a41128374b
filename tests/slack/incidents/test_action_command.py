"""Actions: added, owned, done; listed with what they lack."""

from datetime import date, timedelta

from bot.incidents.visibility import OPERATOR
from bot.slack.interactions import Interaction, Query
from tests.support.clock import NOW
from tests.support.slack_incidents import RunningIncidentApp, ticked, typed


async def test_action_of_an_incident_belongs_to_its_service_and_its_owner(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    seen = await incident_app.slack_app.types(
        "sam", "/action add test the rollback @dana due friday P0", channel
    )
    assert seen.ephemeral_to is None
    assert seen.text == ("Action 1 (checkout): *P0* test the rollback — <@U0DANA>, due 2026-11-27")
    (action,) = await incident_app.slack_app.incidents.actions.of_service("checkout", OPERATOR)
    assert (action.incident_id, action.owner, action.due) == (1, "U0DANA", date(2026, 11, 27))
    assert action.is_p0


async def test_action_without_owner_or_date_says_what_it_needs(incident_app: RunningIncidentApp) -> None:
    seen = await incident_app.slack_app.types("sam", "/action add alert earlier", "#search")
    assert seen.text == (
        "Action 1 (search): alert earlier — nobody yet. Next: it needs an owner and a due date: "
        "`/action change 1 @OWNER due friday`."
    )
    seen = await incident_app.slack_app.types("sam", "/action change 1 @priya due tomorrow", "#search")
    assert seen.text == "Action 1 (search): alert earlier — <@U0PRIYA>, due 2026-11-24"
    assert "Name an owner or a day" in (await incident_app.slack_app.types("sam", "/action change 1")).text


async def test_tomorrow_is_the_askers(incident_app: RunningIncidentApp) -> None:
    incident_app.slack_app.slack.workspace.users["U0SAM"].tz = "Pacific/Honolulu"
    seen = await incident_app.slack_app.types("sam", "/action add alert earlier @sam due tomorrow for search")
    assert seen.text.endswith("due 2026-11-23")


async def test_repeated_delivery_adds_one_action(incident_app: RunningIncidentApp) -> None:
    interaction = Interaction(Query("action", "add alert earlier"), "U0SAM", "C9", request="the same trigger")
    for _ in range(2):
        await incident_app.slack_app.app.workspaces.main.router.answer(interaction)
    assert len(await incident_app.slack_app.incidents.actions.of_service(None, OPERATOR)) == 1


async def test_who_may_not_change_incidents_may_only_list_their_actions(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.slack_app.types("sam", "/action add alert earlier for search")
    for text in ("add more", "done 1", "change 1 @riley"):
        answer = await incident_app.slack_app.types("riley", f"/action {text}")
        assert answer.text.startswith("Only @sre or @checkout-devs may")
    assert "alert earlier" in (await incident_app.slack_app.types("riley", "/action list search")).text


async def test_an_owner_marks_their_own_action_as_done_without_the_right(
    incident_app: RunningIncidentApp,
) -> None:
    types = incident_app.slack_app.types
    await types("sam", "/action add alert earlier @riley for search")
    told = (await incident_app.slack_app.types("sam", "/action add canary @sam for search"), "#search")
    assert (await types("riley", "/action done 2")).text.startswith("Only @sre or @checkout-devs may")
    await incident_app.presses("riley", told[0], "#general", "action.done_here")
    answer = await types("riley", "/action done 1")
    assert answer.text == "Action 1 is done, marked by <@U0RILEY>: alert earlier"
    done = await incident_app.slack_app.incidents.actions.of_service("search", OPERATOR)
    assert [action.id for action in done if action.done_at is None] == [2]


async def test_list_has_p0_first_and_tells_what_is_overdue(incident_app: RunningIncidentApp) -> None:
    assert (await incident_app.slack_app.types("sam", "/action")).text.startswith(
        "There are no open actions."
    )
    await incident_app.slack_app.types("sam", "/action add load test @sam due tomorrow for checkout")
    await incident_app.slack_app.types("sam", "/action add canary P0 for checkout")
    incident_app.slack_app.shop.clock.time = NOW + timedelta(days=3)
    answer = await incident_app.slack_app.types("riley", "/action list checkout")
    first, second = answer.text.splitlines()
    assert first.startswith("Action 2 (checkout): *P0* canary — nobody yet")
    assert second == "Action 1 (checkout): load test — <@U0SAM>, due 2026-11-24 — overdue"
    assert "2 open, 1 without an owner or a date" in str(answer.blocks)
    done = await incident_app.slack_app.types("sam", "/action done 1")
    assert done.text == "Action 1 is done, marked by <@U0SAM>: load test"
    assert "load test" not in (await incident_app.slack_app.types("riley", "/action list")).text


async def test_what_cannot_be_understood_says_what_to_type(incident_app: RunningIncidentApp) -> None:
    types = incident_app.slack_app.types
    assert (await types("sam", "/action done 7")).text == "There is no action 7."
    assert "`/action done ID`" in (await types("sam", "/action done it")).text
    assert "`/action add`" in (await types("sam", "/action fix it")).text
    assert "There is no service `chekout`" in (await types("sam", "/action list chekout")).text


async def test_actions_of_a_private_incident_are_not_there_for_others(
    incident_app: RunningIncidentApp,
) -> None:
    types = incident_app.slack_app.types
    channel = await incident_app.open()
    await types("sam", "/incident private", channel)
    assert (await types("sam", "/action add rotate the keys", channel)).ephemeral_to is None
    for text in ("done 1", "change 1 @sam", "change 1 due friday"):
        assert (await types("sam", f"/action {text}")).text == "There is no action 1."
    assert "rotate" not in (await types("sam", "/action list")).text
    (action,) = await incident_app.slack_app.incidents.actions.of_service(None, OPERATOR)
    assert (action.owner, action.due, action.done_at) == (None, None, None)
    assert "rotate" in (await types("sam", "/action list", channel)).text


async def test_who_opened_a_private_incident_sees_its_actions_alone(incident_app: RunningIncidentApp) -> None:
    types = incident_app.slack_app.types
    channel = await incident_app.open()
    await types("sam", "/incident private", channel)
    await types("sam", "/action add rotate the keys @omar", channel)
    listed = await types("dana", "/action list")
    assert "rotate" in listed.text
    assert "question.share" not in str(listed.blocks)
    changed = await types("dana", "/action change 1 due friday")
    assert (changed.ephemeral_to, "rotate" in changed.text) == ("U0DANA", True)
    # The owner was told what to do.
    assert "rotate" in (await types("omar", "/action list")).text


async def test_a_change_of_an_incidents_action_is_told_in_its_channel_alone(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/action add alert earlier", channel)
    elsewhere = await incident_app.slack_app.types("sam", "/action change 1 @sam", "#search")
    assert elsewhere.ephemeral_to == "U0SAM"
    assert (await incident_app.slack_app.types("sam", "/action done 1", channel)).ephemeral_to is None


async def test_form_adds_an_action_to_the_postmortem(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    document = await incident_app.slack_app.types("dana", "/postmortem", channel)
    await incident_app.presses("dana", document, channel, "action.add")
    past = {"type": "datepicker", "selected_date": "2026-11-01"}
    owner = {"type": "users_select", "selected_user": "U0DANA"}
    assert await incident_app.submits("dana", text=typed("add a canary"), due=past) == {
        "due": "That day has passed."
    }
    later = {"type": "datepicker", "selected_date": "2026-12-01"}
    unknown = await incident_app.submits(
        "dana", text=typed("add a canary"), due=later, issue=typed("acme/shop#7")
    )
    assert unknown == {
        "issue": "Write the address of an issue, such as https://github.com/acme/shop/issues/12."
    }
    issue = typed("https://acme.atlassian.net/browse/SHOP-7")
    assert (
        await incident_app.submits(
            "dana", text=typed("add a canary"), owner=owner, due=later, p0=ticked(), issue=issue
        )
        == {}
    )
    assert incident_app.last("sam", channel).text == (
        "Action 1 (checkout): *P0* add a canary — <@U0DANA>, due 2026-12-01"
        " · <https://acme.atlassian.net/browse/SHOP-7|SHOP-7>"
    )


async def test_done_in_a_list_is_told_and_leaves_the_list(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/action add alert earlier", channel)
    await incident_app.slack_app.types("sam", "/action add load test", channel)
    listed = await incident_app.slack_app.types("dana", "/action list checkout", channel)
    await incident_app.presses("dana", listed, channel, "action.done_listed")
    assert incident_app.slack_app.slack.messages(channel)[-1].text == (
        "Action 1 is done, marked by <@U0DANA>: alert earlier"
    )
    assert "alert earlier" not in listed.text
    assert "load test" in listed.text
    assert len(await incident_app.slack_app.incidents.actions.of_service(None, OPERATOR)) == 1


async def test_done_in_a_shared_list_shows_nobody_what_only_one_may_see(
    incident_app: RunningIncidentApp,
) -> None:
    types = incident_app.slack_app.types
    channel = await incident_app.open()
    await types("sam", "/incident private", channel)
    await types("sam", "/action add rotate the keys @dana", channel)
    await types("sam", "/action add alert earlier for checkout")
    listed = await types("riley", "/action list checkout", "#checkout")
    await incident_app.presses("riley", listed, "#checkout", "question.share")
    shared = incident_app.slack_app.slack.messages("#checkout")[-1]
    await incident_app.presses("dana", shared, "#checkout", "action.done_listed")
    assert "rotate the keys" not in shared.text + str(shared.blocks)
    told = incident_app.slack_app.slack.messages("#checkout")[-1]
    assert told.text == "Action 2 is done, marked by <@U0DANA>: alert earlier"


async def test_done_beside_an_action_takes_the_place_of_its_message_once(
    incident_app: RunningIncidentApp,
) -> None:
    told = await incident_app.slack_app.types("sam", "/action add alert earlier @dana", "#search")
    await incident_app.presses("riley", told, "#search", "action.done_here")
    assert incident_app.last("riley", "#search").text.startswith("Only @sre")
    await incident_app.presses("dana", told, "#search", "action.done_here")
    assert told.text == "Action 1 is done, marked by <@U0DANA>: alert earlier"
    assert "action.done" not in str(told.blocks)


async def test_owner_who_is_reminded_says_done_where_it_is_read(incident_app: RunningIncidentApp) -> None:
    slack = incident_app.slack_app.slack
    await incident_app.slack_app.types("sam", "/action add alert earlier @dana due tomorrow", "#search")
    (action,) = await incident_app.slack_app.incidents.actions.of_service(None, OPERATOR)
    due = incident_app.slack_app.incidents.step_runner._cards._messages.action_due(action)
    await incident_app.slack_app.client.chat_postMessage(
        channel="U0DANA", text=due.text, blocks=list(due.blocks)
    )
    direct = slack.workspace.open_direct("U0DANA", "U0GOVERNOR").id
    reminder = slack.seen_by("dana", direct)[-1]
    await incident_app.presses("dana", reminder, direct, "action.done_here")
    assert reminder.text == "Action 1 is done, marked by <@U0DANA>: alert earlier"


async def test_document_marks_actions_as_done(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.slack_app.types("sam", "/action add alert earlier", channel)
    document = await incident_app.slack_app.types("dana", "/postmortem", channel)
    for _ in range(2):
        await incident_app.presses("dana", document, channel, "action.done")
    assert incident_app.last("dana", channel).text == "Action 1 is done already."
    again = await incident_app.slack_app.types("dana", "/postmortem", channel)
    assert ":white_check_mark: 1. alert earlier" in str(again.blocks)
    assert "action.done" not in str(again.blocks)


async def test_an_action_is_linked_to_an_issue_by_its_address(incident_app: RunningIncidentApp) -> None:
    app = incident_app.slack_app
    await app.types("sam", "/action add alert earlier @dana due tomorrow", "#search")
    seen = await app.types("sam", "/action link 1 https://github.com/acme/shop/issues/7", "#search")
    assert seen.text.endswith("due 2026-11-24 · <https://github.com/acme/shop/issues/7|acme/shop#7>")
    assert "Give the address of an issue" in (await app.types("sam", "/action link 1 acme/shop#7")).text
    assert (
        "There is no action 9"
        in (await app.types("sam", "/action link 9 https://github.com/acme/shop/issues/7")).text
    )
    seen = await app.types("dana", "/action unlink 1", "#search")
    assert "github.com" not in seen.text
    assert "is not linked to an issue" in (await app.types("dana", "/action unlink 1", "#search")).text
    refused = await app.types("omar", "/action link 1 https://github.com/acme/shop/issues/7", "#search")
    assert "may open or change an incident" in refused.text
