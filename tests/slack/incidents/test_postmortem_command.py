"""The postmortem's document: opened, written in forms, taken away."""

from dataclasses import replace
from datetime import timedelta

from bot.incidents.incident import CauseClass, Role, Status
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records.channels import ChannelKind
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.incidents.card import card_blocks
from bot.slack.incidents.postmortem_view import document_blocks
from bot.slack.links.previews import incident_preview
from tests.support.clock import NOW
from tests.support.slack_incidents import RunningIncidentApp, chosen, picked, typed


async def resolved(incident_app: RunningIncidentApp) -> str:
    """Play an incident of fifteen minutes; return its channel."""
    channel = await incident_app.open()
    incident_app.slack_app.shop.clock.time = NOW + timedelta(minutes=15)
    await incident_app.slack_app.types("sam", "/incident status resolved", channel)
    return channel


async def test_button_on_resolve_opens_the_postmortem_once(incident_app: RunningIncidentApp) -> None:
    channel = await resolved(incident_app)
    message = incident_app.last("dana", channel)
    for _ in range(2):
        await incident_app.presses("dana", message, channel, "postmortem.open")
    assert incident_app.last("dana", channel).text.startswith("Its postmortem is open already")
    assert (await incident_app.view()).incident.postmortem_at is not None
    await incident_app.work()
    room = incident_app.channel_id(await incident_app.view(), ChannelKind.POSTMORTEM)
    found = incident_app.slack_app.slack.workspace.channels[room]
    assert found.name.startswith("pm-2026-11-23-checkout-500s")
    assert {"U0DANA", "U0SAM"} <= set(found.members)


async def test_postmortem_typed_before_there_is_one_offers_to_open_it(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    answer = await incident_app.slack_app.types("riley", "/postmortem 1")
    assert answer.text == "Incident 1 has no postmortem yet: *Checkout 500s*."
    await incident_app.presses("riley", answer, "#general", "postmortem.open")
    assert "Only @sre or @checkout-devs" in incident_app.last("riley").text
    opened = await incident_app.slack_app.types("sam", "/postmortem open", channel)
    assert opened.text.startswith("<@U0SAM> opens the postmortem of incident 1.")
    shown = await incident_app.slack_app.types("sam", "/postmortem", channel)
    assert shown.text == "The postmortem of incident 1: Checkout 500s"


async def test_document_shows_the_end_of_a_long_timeline(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    for number in range(20):
        await incident_app.slack_app.types("sam", f"/incident note {number} {'seen again ' * 20}", channel)
    incident_app.slack_app.shop.clock.time = NOW + timedelta(minutes=15)
    await incident_app.slack_app.types("sam", "/incident status resolved", channel)
    view = await incident_app.view()
    texts = [block["text"]["text"] for block in document_blocks(view) if "text" in block]
    (timeline,) = [text for text in texts if text.startswith("*Timeline*")]
    left_out, *shown = timeline.splitlines()[1:]
    assert "investigating → resolved" in "".join(shown)
    assert left_out == f"{len(view.timeline) - len(shown)} earlier"


async def test_card_document_and_preview_show_everybody_who_has_a_role(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.open()
    view = await incident_app.view()
    everybody = {role: f"U0{number}" for number, role in enumerate(Role)}
    view = replace(view, incident=replace(view.incident, roles=everybody))
    for blocks in (card_blocks(view), document_blocks(view), incident_preview(view)):
        assert all(f"<@{person}>" in str(blocks) for person in everybody.values())


async def test_document_is_written_in_forms_that_come_filled_in(incident_app: RunningIncidentApp) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    room = incident_app.channel_id(await incident_app.view(), ChannelKind.POSTMORTEM)
    document = await incident_app.card(room, ChannelKind.POSTMORTEM)
    written = {"summary": "Payments failed.", "factors": "No canary.", "went_well": "The alert."}
    for part, text in written.items():
        await incident_app.presses("dana", document, room, f"postmortem.edit.{part}")
        assert await incident_app.submits("dana", text=typed(text)) == {}
    await incident_app.presses("sam", document, room, "postmortem.edit.summary")
    assert incident_app.form("sam")["blocks"][0]["element"]["initial_value"] == "Payments failed."
    await incident_app.presses("sam", document, room, "postmortem.cause")
    assert await incident_app.submits("sam", cause=chosen("capacity")) == {}
    assert (
        incident_app.last("sam", room).text
        == "Cause: *capacity*. The document says what work this points to."
    )
    incident = (await incident_app.view()).incident
    assert incident.document == written
    assert incident.cause is CauseClass.CAPACITY


async def test_times_are_corrected_and_wrong_ones_refused_in_the_form(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    document = await incident_app.card(channel, ChannelKind.POSTMORTEM)
    began, ended = NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)
    await incident_app.presses("sam", document, channel, "postmortem.times")
    faults = await incident_app.submits(
        "sam", started_at=picked(ended.timestamp()), ended_at=picked(began.timestamp())
    )
    assert faults == {"ended_at": "It ends before it begins."}
    faults = await incident_app.submits(
        "sam", started_at=picked(began.timestamp()), ended_at=picked(ended.timestamp())
    )
    assert faults == {}
    incident = (await incident_app.view()).incident
    assert (incident.started_at, incident.ended_at) == (began, ended)
    assert incident.status is Status.RESOLVED


async def test_export_is_a_markdown_file_in_the_askers_direct_messages(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("dana", "/incident note rolled back", channel)
    answer = await incident_app.slack_app.types("sam", "/postmortem export", channel)
    assert answer.text == "`postmortem-1-2026-11-23.md` is in your direct messages with Governor."
    (file,) = incident_app.slack_app.slack.workspace.files.values()
    assert file.is_complete
    assert file.name == "postmortem-1-2026-11-23.md"
    direct = next(
        c for c in incident_app.slack_app.slack.workspace.channels.values() if c.id in file.shared_in
    )
    assert "U0SAM" in direct.members
    assert direct.kind == "im"


async def test_export_falls_back_to_a_message_where_slack_takes_no_file(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await resolved(incident_app)
    incident_app.slack_app.slack.faults.once(InjectedFault.SERVER_ERROR, "files.getUploadURLExternal")
    answer = await incident_app.slack_app.types("sam", "/postmortem export 1", channel)
    assert answer.text.startswith("Slack does not accept a file from Governor")
    assert "# Checkout 500s" in str(answer.blocks)
    assert "GET /api/v1/incidents/1/postmortem.md" in answer.text


async def test_canvas_shows_the_document_as_it_stands(incident_app: RunningIncidentApp) -> None:
    channel = await resolved(incident_app)
    assert (
        "It has no channel yet"
        in (await incident_app.slack_app.types("sam", "/postmortem canvas", channel)).text
    )
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    room = incident_app.channel_id(await incident_app.view(), ChannelKind.POSTMORTEM)
    answer = await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    assert answer.text == f"The canvas of <#{room}> now shows the document."
    (canvas,) = incident_app.slack_app.slack.workspace.canvases.values()
    assert "# Checkout 500s" in canvas["markdown"]
    incident_app.slack_app.slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.canvases.create")
    answer = await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    assert answer.text == "Slack does not accept a canvas here (`http_500`). Next: `/postmortem export 1`."


async def test_canvas_is_written_anew_in_place(incident_app: RunningIncidentApp) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    await incident_app.slack_app.types("dana", "/incident note rolled back", channel)
    await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    (canvas,) = incident_app.slack_app.slack.workspace.canvases.values()
    assert "rolled back" in canvas["markdown"]


async def test_canvas_of_the_free_plan_is_written_anew_too(incident_app: RunningIncidentApp) -> None:
    slack = incident_app.slack_app.slack
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    # The rights of this policy are those of user groups, which a free plan lacks: they are known by now.
    slack.workspace.plan.is_free = True
    await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    await incident_app.slack_app.types("dana", "/incident note rolled back", channel)
    answer = await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    assert answer.text.startswith("The canvas of ")
    (canvas,) = slack.workspace.canvases.values()
    assert "rolled back" in canvas["markdown"]


async def test_a_canvas_of_the_free_plan_that_is_not_there_says_what_to_do(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    room = incident_app.channel_id(await incident_app.view(), ChannelKind.POSTMORTEM)
    incident_app.slack_app.slack.faults.refuse(
        "conversations.canvases.create", "free_team_canvas_tab_already_exists"
    )
    answer = await incident_app.slack_app.types("sam", "/postmortem canvas", channel)
    assert f"<#{room}> has one that Governor cannot write" in answer.text
    assert "delete that canvas and try again, or `/postmortem export 1`" in answer.text


async def test_postmortem_of_a_private_incident_is_shown_in_its_channel_alone(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/incident private", channel)
    assert (await incident_app.slack_app.types("riley", "/postmortem export 1")).text.startswith(
        "There is no incident 1."
    )
    assert (await incident_app.slack_app.types("riley", "/postmortem 7")).text.startswith(
        "There is no incident 7."
    )
    assert (
        "not the number of an incident"
        in (await incident_app.slack_app.types("riley", "/postmortem seven")).text
    )
    assert "One incident at a time" in (await incident_app.slack_app.types("riley", "/postmortem 1 2")).text


async def closable(incident_app: RunningIncidentApp) -> str:
    """Play an incident to a postmortem that lacks nothing but an action; return its channel."""
    channel = await resolved(incident_app)
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    await incident_app.work()
    return channel


async def test_close_says_what_is_missing_and_how_to_mend_it(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    said = (await incident_app.slack_app.types("sam", "/postmortem close", channel)).text
    assert said == "Not closed: it has no postmortem yet. Next: `/postmortem open 1`."
    await incident_app.slack_app.types("sam", "/postmortem open", channel)
    said = (await incident_app.slack_app.types("sam", "/postmortem close", channel)).text
    assert said == "Not closed: the incident is not resolved yet. Next: `/incident status resolved`."
    assert "Only @sre" in (await incident_app.slack_app.types("riley", "/postmortem close 1")).text


async def test_closed_from_the_document_after_being_asked_once_more(incident_app: RunningIncidentApp) -> None:
    channel = await closable(incident_app)
    room = incident_app.channel_id(await incident_app.view(), ChannelKind.POSTMORTEM)
    document = await incident_app.card(room, ChannelKind.POSTMORTEM)
    (close,) = [e for b in document.blocks for e in b.get("elements", ()) if e.get("text") == _plain("Close")]
    assert close["confirm"]["title"]["text"] == "Close the postmortem"
    assert close["confirm"]["text"]["text"].startswith(
        "Still empty: What happened, Cause, Contributing factors, What went well and Actions. The document"
    )
    await incident_app.presses("dana", document, room, "postmortem.close")
    assert incident_app.last("dana", room).text == (
        "The postmortem of incident 1 is closed. Its channels are archived in a moment."
    )
    assert (await incident_app.view()).incident.finished_at is not None
    await incident_app.presses("dana", document, room, "postmortem.edit.summary")
    await incident_app.submits("dana", text=typed("too late"))
    assert "is closed; open it again to change it" in incident_app.last("dana", room).text
    shown = await incident_app.slack_app.types("sam", "/postmortem 1", channel)
    labels = [e["text"]["text"] for b in shown.blocks for e in b.get("elements", ()) if "action_id" in e]
    assert labels == ["Export", "Open again"]
    await incident_app.presses("sam", shown, channel, "postmortem.open")
    assert (await incident_app.view()).incident.finished_at is None


async def test_close_names_the_empty_sections_and_asks_first(incident_app: RunningIncidentApp) -> None:
    channel = await closable(incident_app)
    types = incident_app.slack_app.types
    asked = await types("sam", "/postmortem close", channel)
    assert asked.text == (
        "Not closed yet: What happened, Cause, Contributing factors, What went well and Actions are still "
        "empty. Closing keeps the document as it is and archives the channels. Next: fill in what is "
        "missing, or `/postmortem close 1 anyway`."
    )
    assert (await incident_app.view()).incident.finished_at is None
    await incident_app.presses("sam", asked, channel, "postmortem.edit.summary")
    assert await incident_app.submits("sam", text=typed("Payments failed.")) == {}
    await types("sam", "/action add mend it", channel)
    asked = await types("sam", "/postmortem close", channel)
    assert asked.text.startswith("Not closed yet: Cause, Contributing factors and What went well are still")
    await incident_app.presses("sam", asked, channel, "postmortem.close")
    assert (await incident_app.view()).incident.finished_at is not None


async def test_close_asks_nothing_where_all_is_written(incident_app: RunningIncidentApp) -> None:
    channel = await closable(incident_app)
    lifecycle, now = incident_app.slack_app.incidents.lifecycle, NOW + timedelta(minutes=20)
    for part in PostmortemPart:
        await lifecycle.write_part(1, part, "Written.", by="U0SAM", now=now)
    await lifecycle.classify(1, CauseClass.CAPACITY, by="U0SAM", now=now)
    await incident_app.slack_app.types("sam", "/action add mend it", channel)
    said = await incident_app.slack_app.types("sam", "/postmortem close", channel)
    assert said.text.startswith("The postmortem of incident 1 is closed.")


async def test_buttons_of_the_document_show_what_is_filled_in(incident_app: RunningIncidentApp) -> None:
    channel = await closable(incident_app)
    types = incident_app.slack_app.types

    async def labels() -> list[str]:
        shown = await types("sam", "/postmortem", channel)
        return [e["text"]["text"] for b in shown.blocks for e in b.get("elements", ()) if "action_id" in e]

    assert (await labels())[:4] == ["What happened", "Contributing factors", "What went well", "Cause"]
    document = await types("sam", "/postmortem", channel)
    await incident_app.presses("sam", document, channel, "postmortem.edit.factors")
    await incident_app.submits("sam", text=typed("No canary."))
    await types("sam", "/action add mend it", channel)
    assert await labels() == [
        "What happened",
        ":white_check_mark: Contributing factors",
        "What went well",
        "Cause",
        "Times",
        "Add an action (1)",
        "Export",
        "Close",
    ]


async def test_closing_twice_says_so(incident_app: RunningIncidentApp) -> None:
    await closable(incident_app)
    await incident_app.slack_app.types("sam", "/action add mend it for checkout")
    await incident_app.slack_app.types("sam", "/postmortem close 1 anyway")
    for _ in range(3):
        await incident_app.work()
    assert "It is closed already" in (await incident_app.slack_app.types("sam", "/postmortem close 1")).text


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text, "emoji": True}
