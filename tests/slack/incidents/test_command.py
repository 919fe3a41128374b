"""Opening an incident and saying what becomes of it: typed, pressed, filled in, pinned."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.incidents.incident import IncidentChange, Role, Severity, Status
from bot.incidents.records.channels import ChannelKind, change_channel
from bot.incidents.timeline import EntryKind
from bot.incidents.visibility import OPERATOR
from bot.sandbox.fake_slack import pins_and_reactions as marks
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import Json
from bot.slack.incidents.messages import CARD
from bot.slack.interactions import SHOW, Interaction, Query
from bot.slack.manifest import manifest
from tests.support.clock import NOW
from tests.support.slack_incidents import RunningIncidentApp, chosen, number, picked, several, ticked, typed

SINCE = (NOW - timedelta(minutes=20)).timestamp()


async def test_one_line_opens_an_incident_and_the_channel_sees_where_it_is(
    incident_app: RunningIncidentApp,
) -> None:
    seen = await incident_app.slack_app.types("dana", "/incident open “Checkout 500s” checkout sev2")
    view = await incident_app.view()
    incident = view.incident
    assert (incident.title, incident.severity, incident.services) == (
        "Checkout 500s",
        Severity.SEV2,
        ("checkout",),
    )
    assert seen.ephemeral_to is None
    assert seen.text == (
        f"Incident 1 is open, sev2 (checkout). Next: join <#{incident_app.channel_id(view)}>."
    )
    members = incident_app.slack_app.slack.workspace.channels[incident_app.channel_id(view)].members
    assert {"U0DANA", "U0SAM"} <= set(members)


async def test_incident_typed_in_a_services_channel_concerns_that_service(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.slack_app.types("dana", "/incident open nobody can pay", "#checkout")
    incident = (await incident_app.view()).incident
    assert incident.services == ("checkout",)
    assert incident.severity is Severity.SEV3


async def test_repeated_delivery_opens_one_incident_and_says_so_quietly(
    incident_app: RunningIncidentApp,
) -> None:
    interaction = Interaction(
        Query("incident", "open it is slow"), "U0DANA", "C9", request="the same trigger"
    )
    desk = incident_app.slack_app.app.workspaces.main.router
    first, second = await desk.answer(interaction), await desk.answer(interaction)
    assert (first.seen_by_channel, second.seen_by_channel) == (True, False)
    assert len(await incident_app.slack_app.incidents.snapshots.list(OPERATOR)) == 1


async def test_who_may_not_open_an_incident_is_told_who_can(incident_app: RunningIncidentApp) -> None:
    for text in ("/incident", "/incident open it is slow"):
        answer = await incident_app.slack_app.types("riley", text)
        assert answer.text == "Only @sre or @checkout-devs may open or change an incident. Ask one of them."
    assert not await incident_app.slack_app.incidents.snapshots.list(OPERATOR)
    assert incident_app.slack_app.slack.person("riley").modal is None


@pytest.mark.parametrize("channel", ["#releases", "#checkout"])
@pytest.mark.parametrize("is_typed", [True, False])
async def test_where_incidents_are_announced_the_form_and_the_command_post_nothing_besides(
    incident_app: RunningIncidentApp, channel: str, is_typed: bool
) -> None:
    slack_app = incident_app.slack_app
    if is_typed:
        answer = await slack_app.types("dana", "/incident open It is slow", channel)
    else:
        await incident_app.says("dana", "/incident", channel)
        await incident_app.submits("dana", title=typed("It is slow"), severity=chosen("sev3"))
        answer = incident_app.last("dana", channel)
    assert answer.text.startswith("Incident 1 is open, sev3")
    assert answer.ephemeral_to == ("U0DANA" if channel == "#releases" else None)


async def test_form_opens_a_private_incident_that_only_the_asker_is_told_of(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.says("dana", "/incident", "#checkout")
    form = incident_app.form("dana")
    assert form["title"]["text"] == "Open an incident"
    faults = await incident_app.submits(
        "dana",
        title=typed("Cards are charged twice"),
        services=several("checkout", "payments"),
        severity=chosen("sev1"),
        started_at=picked(SINCE),
        private=ticked(),
    )
    assert faults == {}
    incident = (await incident_app.view()).incident
    assert (incident.severity, incident.private) == (Severity.SEV1, True)
    assert incident.services == ("checkout", "payments")
    assert incident.started_at == NOW - timedelta(minutes=20)
    answer = incident_app.last("dana", "#checkout")
    assert answer.ephemeral_to == "U0DANA"
    assert answer.text.startswith("Incident 1 is open, sev1 (checkout, payments).")
    assert (
        incident_app.slack_app.slack.workspace.channels[
            incident_app.channel_id(await incident_app.view())
        ].kind
        == "private"
    )


async def test_what_is_wrong_is_said_in_the_form_and_nothing_is_opened(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.says("dana", "/incident", "#checkout")
    later = (NOW + timedelta(hours=1)).timestamp()
    faults = await incident_app.submits("dana", title=typed("   "), started_at=picked(later))
    assert faults == {
        "title": "Say in a few words what is wrong.",
        "started_at": "It cannot begin in the future.",
    }
    assert not await incident_app.slack_app.incidents.snapshots.list(OPERATOR)


async def test_form_that_slack_does_not_open_is_replaced_by_what_to_type(
    incident_app: RunningIncidentApp,
) -> None:
    incident_app.slack_app.slack.faults.once(InjectedFault.SERVER_ERROR, "views.open")
    await incident_app.says("dana", "/incident", "#checkout")
    text = incident_app.last("dana", "#checkout").text
    assert text == "Slack did not open the form. Type `/incident open TITLE sev2 SERVICE` instead."


async def test_incident_in_its_channel_shows_what_can_be_done(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    panel = await incident_app.slack_app.types("dana", "/incident", channel)
    labels = [
        b["text"]["text"] for block in panel.blocks for b in block.get("elements", ()) if "action_id" in b
    ]
    assert labels == [
        "Take command",
        "Cause identified",
        "Mitigated",
        "Resolved",
        "Add a note",
        "Set the impact",
        "Caused by…",
        "Title and services",
        "Duplicate",
        "False alarm",
    ]


async def test_status_severity_and_roles_are_typed_in_the_channel(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    types = incident_app.slack_app.types
    incident_app.slack_app.shop.clock.time = NOW + timedelta(minutes=15)
    assert (await types("sam", "/incident role commander", channel)).text == "<@U0SAM> is commander."
    said = (await types("sam", "/incident role scribe @dana", channel)).text
    assert said == "<@U0DANA> is scribe, named by <@U0SAM>."
    assert "`sev3` or `sev4`" in (await types("sam", "/incident severity sev9", channel)).text
    said = (await types("sam", "/incident severity sev1", channel)).text
    assert said == "*sev1* now, sev2 before — set by <@U0SAM>. Its services are held while it lasts."
    said = (await types("sam", "/incident status mitigated", channel)).text
    assert said.startswith("15\u00a0min of impact in all — <@U0SAM> set it to *mitigated*. Next: watch")
    assert "already" in (await types("sam", "/incident status mitigated", channel)).text
    resolved = await types("sam", "/incident status resolved", channel)
    assert "Open postmortem" in str(resolved.blocks)
    incident = (await incident_app.view()).incident
    assert incident.roles == {Role.COMMANDER: "U0SAM", Role.SCRIBE: "U0DANA"}
    assert (incident.status, incident.severity) == (Status.RESOLVED, Severity.SEV1)


async def test_who_may_not_change_an_incident_changes_nothing(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    incident_app.slack_app.slack.workspace.channels[channel].members.append("U0RILEY")
    before = (await incident_app.view()).incident
    orders = (
        "status resolved",
        "severity sev4",
        "role commander",
        "note hello",
        "impact 3%",
        "private",
        "snooze 2h",
    )
    for order in orders:
        answer = await incident_app.slack_app.types("riley", f"/incident {order}", channel)
        assert answer.text.startswith("Only @sre or @checkout-devs may open or change")
    await incident_app.presses("riley", await incident_app.card(channel), channel, "incident.status.resolved")
    assert (await incident_app.view()).incident == before


async def test_whoami_says_who_may_change_incidents(incident_app: RunningIncidentApp) -> None:
    dana = (await incident_app.slack_app.types("dana", "/governor whoami")).text
    assert "You may *open and change incidents*, because you are in @checkout-devs." in dana
    riley = (await incident_app.slack_app.types("riley", "/governor whoami")).text
    assert "You may not *open and change incidents*: only @sre or @checkout-devs may." in riley


async def test_audit_says_in_words_what_was_done(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/incident role commander", channel)
    await incident_app.slack_app.types("sam", "/action add test the rollback", channel)
    told = (await incident_app.slack_app.types("riley", "/audit checkout")).text
    for deed in (
        "opened an incident: Checkout 500s",
        "assigned a role",
        "added an action: test the rollback",
    ):
        assert deed in told


async def test_outside_a_channel_orders_say_where_they_belong(incident_app: RunningIncidentApp) -> None:
    answer = await incident_app.slack_app.types("dana", "/incident status resolved")
    assert (
        answer.text
        == "This channel is not an incident's. Type it in an incident's channel; `/incident list` lists them."
    )
    assert (
        "Did you mean `/incident status`?"
        in (await incident_app.slack_app.types("dana", "/incident stauts x")).text
    )


async def test_impact_is_read_in_the_askers_zone(incident_app: RunningIncidentApp) -> None:
    incident_app.slack_app.slack.workspace.users["U0SAM"].tz = "America/New_York"
    channel = await incident_app.open()
    said = await incident_app.slack_app.types("sam", "/incident impact 30% from 03:05 to 03:20", channel)
    (impact,) = (await incident_app.view()).incident.impacts
    assert impact.start == datetime(2026, 11, 23, 8, 5, tzinfo=UTC)
    assert impact.end == datetime(2026, 11, 23, 8, 20, tzinfo=UTC)
    assert impact.share == 0.3
    assert said.text.startswith("30% of requests failed from <!date^")
    assert said.text.endswith("4\u00a0min 30\u00a0s of full outage in total.")


async def test_impact_without_times_weighs_all_that_is_known(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/incident impact 12.5%", channel)
    assert [impact.share for impact in (await incident_app.view()).incident.impacts] == [0.125]
    answer = await incident_app.slack_app.types("sam", "/incident impact 30% from 08:35 to 09:10", channel)
    assert "cannot end in the future" in answer.text


async def test_notes_are_seen_by_the_channel_and_stand_on_the_timeline_once(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    seen = await incident_app.slack_app.types("dana", "/incident note rolled <!channel> back to 41", channel)
    assert seen.text == "Noted by <@U0DANA>: rolled &lt;!channel&gt; back to 41"
    assert seen.ephemeral_to is None
    named = await incident_app.slack_app.types("dana", "/incident note ask <@U0SAM>", channel)
    assert named.text == "Noted by <@U0DANA>: ask <@U0SAM>"
    interaction = Interaction(Query("incident", "note twice"), "U0DANA", channel, request="the same trigger")
    for _ in range(2):
        last = await incident_app.slack_app.app.workspaces.main.router.answer(interaction)
    assert last.text == "That note is on the timeline already."
    notes = [entry.text for entry in (await incident_app.view()).timeline if entry.kind is EntryKind.NOTE]
    assert notes == ["rolled <!channel> back to 41", "ask @U0SAM", "twice"]


async def test_private_and_snoozed_incidents_keep_quiet(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    assert (
        "Private from now on"
        in (await incident_app.slack_app.types("sam", "/incident private", channel)).text
    )
    assert (
        "No reminders until <!date^"
        in (await incident_app.slack_app.types("sam", "/incident snooze 2h", channel)).text
    )
    assert "up to 7 days" in (await incident_app.slack_app.types("sam", "/incident snooze 8d", channel)).text
    incident = (await incident_app.view()).incident
    assert incident.private
    assert incident.snoozed_until == NOW + timedelta(hours=2)


async def test_list_and_show_keep_private_incidents_from_others(incident_app: RunningIncidentApp) -> None:
    await incident_app.open("it is slow search")
    await incident_app.open("Cards leak sev1 checkout")
    await incident_app.slack_app.incidents.lifecycle.change(
        2, IncidentChange(private=True), by="U0DANA", now=NOW
    )
    listed = (await incident_app.slack_app.types("riley", "/incident list")).text
    assert "it is slow" in listed
    assert "Cards leak" not in listed
    assert (await incident_app.slack_app.types("riley", "/incident show 2")).text.startswith(
        "There is no incident 2."
    )
    assert "Cards leak" in (await incident_app.slack_app.types("dana", "/incident list")).text
    assert (
        "No incident of *payments*"
        in (await incident_app.slack_app.types("riley", "/incident list payments")).text
    )
    shown = await incident_app.slack_app.types(
        "sam", "/incident show", incident_app.channel_id(await incident_app.view(2))
    )
    assert "Cards leak" in str(shown.blocks)
    assert "Share" not in str(shown.blocks)


async def test_buttons_of_the_card_act_and_open_forms(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    card = await incident_app.card(channel)
    assert (card.metadata or {}).get("event_type") in {None, CARD}
    await incident_app.presses("sam", card, channel, "incident.claim")
    assert incident_app.last("sam", channel).text == "<@U0SAM> is commander."
    await incident_app.presses("sam", card, channel, "incident.status.identified")
    assert "*identified*" in incident_app.last("dana", channel).text
    await incident_app.presses("sam", card, channel, "incident.note")
    assert await incident_app.submits("sam", text=typed("a bad deploy")) == {}
    assert incident_app.last("dana", channel).text == "Noted by <@U0SAM>: a bad deploy"
    await incident_app.presses("sam", card, channel, "incident.impact")
    late = (NOW + timedelta(minutes=1)).timestamp()
    faults = await incident_app.submits("sam", share=number("30"), start=picked(SINCE), end=picked(late))
    assert faults == {"end": "It cannot end in the future; leave the end empty while it goes on."}
    ended = picked(SINCE + 600)
    assert await incident_app.submits("sam", share=number("30"), start=picked(SINCE), end=ended) == {}
    (impact,) = (await incident_app.view()).incident.impacts
    assert (impact.share, impact.end) == (0.3, NOW - timedelta(minutes=10))


ELSEWHERE: tuple[tuple[str, dict[str, Json], str], ...] = (
    ("incident.claim", {}, "is commander"),
    ("incident.note", {"text": typed("the key AKIA123 leaked")}, "Noted by"),
    ("incident.impact", {"share": number("30"), "start": picked(SINCE)}, "30% of requests failed"),
    ("incident.rename", {"title": typed("All data open"), "services": several("search")}, "Renamed to"),
    ("incident.status.resolved", {"summary": typed("The bucket was public")}, "The bucket was public"),
    ("postmortem.open", {}, "opens the postmortem"),
    ("action.add", {"text": typed("Change all keys")}, "Change all keys"),
    ("incident.status.investigating", {}, "set it to *investigating*"),
    ("incident.caused_by", {"deployment": chosen("none")}, "No deployment caused it"),
    ("incident.cancel", {"reason": typed("only test data")}, "only test data"),
    ("incident.reopen", {}, "open again"),
    ("incident.merge", {"into": chosen("2")}, "Merged into incident 2"),
)
"""What can be pressed on a card or in a postmortem, what is filled in, and what is told."""


@pytest.mark.parametrize("private", [True, False])
async def test_what_is_done_elsewhere_is_told_in_the_incidents_channel_and_to_whoever_did_it(
    incident_app: RunningIncidentApp, private: bool
) -> None:
    channel = await incident_app.open("Keys leaked sev1 checkout")
    await incident_app.open("Carts leaked sev1 checkout")
    if private:
        await incident_app.slack_app.types("dana", "/incident private", channel)
        other = incident_app.channel_id(await incident_app.view(2))
        await incident_app.slack_app.types("dana", "/incident private", other)
    slack = incident_app.slack_app.slack
    before = slack.messages("#general")
    for button, filled_in, told in ELSEWHERE:
        shows = "/postmortem 1" if button == "action.add" else "/incident show 1"
        card = await incident_app.slack_app.types("dana", shows, "#general")
        await incident_app.presses("dana", card, "#general", button)
        if filled_in:
            assert await incident_app.submits("dana", **filled_in) == {}, button
        assert told in str(slack.messages(channel)[-1]), button
        answer = incident_app.last("dana")
        assert (answer.ephemeral_to, told in str(answer)) == ("U0DANA", True), button
    assert slack.messages("#general") == before


@pytest.mark.parametrize("typed_", ["/incident reopen 1", "/postmortem open 1"])
async def test_what_is_typed_elsewhere_is_told_in_the_incidents_channel_and_to_whoever_typed_it(
    incident_app: RunningIncidentApp, typed_: str
) -> None:
    channel = await incident_app.open("Keys leaked sev1 checkout")
    await incident_app.slack_app.types("dana", "/incident private", channel)
    await incident_app.slack_app.types("dana", "/incident status resolved", channel)
    answer = await incident_app.slack_app.types("dana", typed_, "#general")
    assert answer.ephemeral_to == "U0DANA"
    assert incident_app.slack_app.slack.messages(channel)[-1].text == answer.text


async def test_what_is_done_in_the_channel_of_another_incident_is_not_told_there(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open("Keys leaked sev1 checkout")
    await incident_app.open("It is slow sev3 search")
    other = incident_app.channel_id(await incident_app.view(2))
    await incident_app.slack_app.types("dana", "/incident private", channel)
    card = await incident_app.slack_app.types("dana", "/incident show 1", other)
    before = incident_app.slack_app.slack.messages(other)
    await incident_app.presses("dana", card, other, "incident.note")
    await incident_app.submits("dana", text=typed("the key AKIA123 leaked"))
    assert incident_app.slack_app.slack.messages(other) == before
    assert "AKIA123" in incident_app.slack_app.slack.messages(channel)[-1].text


async def test_what_is_done_elsewhere_with_an_incident_without_a_channel_only_its_person_sees(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open("Keys leaked sev1 checkout")
    await incident_app.slack_app.types("dana", "/incident private", channel)
    await incident_app.slack_app.types("dana", "/incident cancel only test data", channel)
    async with incident_app.slack_app.database.transaction() as connection:
        own = (await incident_app.view()).channels[ChannelKind.INCIDENT]
        await change_channel(connection, own, archived_at=NOW)
    answer = await incident_app.slack_app.types("dana", "/incident reopen 1", "#general")
    assert (answer.ephemeral_to, "open again" in answer.text) == ("U0DANA", True)


async def test_pushpin_puts_a_message_onto_the_timeline_and_takes_it_off(
    incident_app: RunningIncidentApp,
) -> None:
    channel_id = await incident_app.open()
    slack = incident_app.slack_app.slack
    channel = slack.workspace.channels[channel_id]
    await slack.person("dana").says("error rate falls <https://x.example|graph>", channel_id)
    message = slack.messages(channel_id)[-1]

    async def pinned() -> list[str]:
        await slack.wait_until_delivered()
        await incident_app.slack_app.app.drain(10)
        return [entry.text for entry in (await incident_app.view()).timeline if entry.kind is EntryKind.PIN]

    marks.react(slack.workspace, channel, message.ts, "eyes", "U0SAM")
    assert await pinned() == []
    marks.react(slack.workspace, channel, message.ts, "pushpin", "U0SAM")
    (text,) = await pinned()
    assert text.startswith("dana: error rate falls")
    marks.react(slack.workspace, channel, message.ts, "pushpin", "U0DANA")
    assert len(await pinned()) == 1
    marks.unreact(slack.workspace, channel, message.ts, "pushpin", "U0SAM")
    assert len(await pinned()) == 1
    marks.unreact(slack.workspace, channel, message.ts, "pushpin", "U0DANA")
    assert await pinned() == []


def test_manifest_asks_for_reactions_and_the_scope_to_read_them() -> None:
    made = manifest("https://governor.example")
    assert {"reaction_added", "reaction_removed"} <= set(
        made["settings"]["event_subscriptions"]["bot_events"]
    )
    assert "reactions:read" in made["oauth_config"]["scopes"]["bot"]


async def test_a_hold_stops_naming_an_incident_that_becomes_private(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open("Leaked keys sev2 checkout")
    assert "Leaked keys" in (await incident_app.slack_app.types("riley", "/freeze")).text
    await incident_app.slack_app.types("dana", "/incident private", channel)
    for text in ("/freeze", "/budget checkout", "/ship checkout"):
        answer = await incident_app.slack_app.types("riley", text)
        assert "private incident" in answer.text + str(answer.blocks)
        assert "Leaked keys" not in answer.text + str(answer.blocks)


async def test_assumed_impact_is_said_to_be_one_until_somebody_states_it(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open("It is slow sev3 checkout")
    card = await incident_app.card(channel)
    assert "10% of the requests to checkout failed, assumed until somebody states it" in str(card.blocks)
    await incident_app.presses("sam", card, channel, "incident.impact")
    share, *_ = incident_app.form("sam")["blocks"]
    assert "initial_value" not in share["element"]
    assert share["hint"]["text"] == "Nobody has said yet. Assumed so far: 10%."
    assert await incident_app.submits("sam", start=picked(SINCE)) != {}
    assert (await incident_app.view()).incident.is_assumed
    assert await incident_app.submits("sam", share=number("10"), start=picked(SINCE)) == {}
    stated = await incident_app.view()
    assert not stated.incident.is_assumed
    assert [entry.text for entry in stated.timeline if entry.kind is EntryKind.IMPACT] == [
        "10% of requests failed"
    ]
    card = await incident_app.card(channel)
    assert "assumed" not in str(card.blocks)
    await incident_app.presses("sam", card, channel, "incident.impact")
    assert incident_app.form("sam")["blocks"][0]["element"]["initial_value"] == "10"


async def test_resolved_asks_for_a_summary_and_shows_it(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    card = await incident_app.card(channel)
    await incident_app.presses("sam", card, channel, "incident.status.resolved")
    assert (await incident_app.view()).incident.status is Status.INVESTIGATING
    (summary,) = incident_app.form("sam")["blocks"]
    assert summary["optional"]
    assert await incident_app.submits("sam", summary=typed("A <deploy> filled the pool.\nIt is back.")) == {}
    told = incident_app.last("dana", channel)
    assert told.blocks[1]["text"]["text"] == "A &lt;deploy&gt; filled the pool.\nIt is back."
    assert "Write a summary" not in str(told.blocks)
    snapshot = await incident_app.view()
    assert snapshot.incident.status is Status.RESOLVED
    assert snapshot.incident.summary == "A <deploy> filled the pool.\nIt is back."
    messages = incident_app.slack_app.incidents.step_runner._cards._messages
    notice = messages.notice(snapshot, ChannelKind.INCIDENT)
    assert notice is not None
    for shown in (await incident_app.card(channel), notice):
        assert "A &lt;deploy&gt; filled the pool." in str(shown.blocks)
    assert "It is back" in snapshot.postmortem.markdown()
    await incident_app.presses("dana", card, channel, "incident.status.resolved")
    assert incident_app.last("dana", channel).text == "It is resolved already."


async def test_summary_can_be_typed_or_written_later(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    resolved = await incident_app.slack_app.types("sam", "/incident status resolved", channel)
    assert (await incident_app.view()).incident.summary == ""
    await incident_app.presses("sam", resolved, channel, "postmortem.edit.summary")
    assert await incident_app.submits("sam", text=typed("The pool was full.")) == {}
    assert (await incident_app.view()).incident.summary == "The pool was full."
    await incident_app.slack_app.types("sam", "/incident status investigating", channel)
    await incident_app.slack_app.types(
        "sam", '/incident status resolved "It was the pool, <@U0DANA>."', channel
    )
    assert (await incident_app.view()).incident.summary == "It was the pool, @U0DANA."
    assert "It was the pool, <@U0DANA>." in str((await incident_app.card(channel)).blocks)


async def test_a_private_incidents_summary_is_told_nowhere_else(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/incident private", channel)
    await incident_app.slack_app.types("sam", "/incident status resolved Keys leaked.", channel)
    snapshot = await incident_app.view()
    messages = incident_app.slack_app.incidents.step_runner._cards._messages
    notice = messages.notice(snapshot, ChannelKind.INCIDENT)
    assert notice is None or "Keys leaked" not in str(notice.blocks) + notice.text


async def test_many_incidents_are_a_table_of_which_each_can_be_looked_at(
    incident_app: RunningIncidentApp,
) -> None:
    slack_app = incident_app.slack_app
    for count in range(12):
        await slack_app.types("dana", f"/incident open Slow pages {count} sev3 checkout", "#checkout")
    listing = await slack_app.types("riley", "/incident list", "#general")
    (table,) = [block for block in listing.blocks if block["type"] == "data_table"]
    assert [cell["text"] for cell in table["rows"][0]][:3] == ["No.", "Title", "Severity"]
    assert len(table["rows"]) == 13
    assert table["rows"][1][0] == {"type": "raw_number", "value": 12, "text": "12"}
    assert table["rows"][1][1]["text"] == "Slow pages 11"
    assert "12 open" in str(listing.blocks)
    chosen = {"selected_option": {"value": Query("incident", "show 3").to_value()}}
    await slack_app.slack.person("riley").acts(listing, "#general", SHOW, **chosen)
    await slack_app.app.drain(10)
    assert "Slow pages 2" in slack_app.slack.ephemerals("#general", "riley")[-1].text
