"""Shortcuts: an incident opened from anywhere or from a message, and messages put onto a timeline."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.incidents.incident import IncidentChange
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Message
from bot.slack.incidents.shortcuts import ADD_TO_TIMELINE, OPEN_ANYWHERE, OPEN_FROM_MESSAGE
from bot.slack.incidents.source_message import read_message
from tests.support.clock import NOW
from tests.support.slack_incidents import RunningIncidentApp, chosen, typed


async def said(incident_app: RunningIncidentApp, who: str, text: str, channel: str = "#checkout") -> Message:
    """Let a person write a message; return it."""
    await incident_app.slack_app.slack.person(who).says(text, channel)
    return incident_app.slack_app.slack.messages(channel)[-1]


async def uses(
    incident_app: RunningIncidentApp,
    who: str,
    shortcut: str,
    message: Message | None = None,
    channel: str = "#checkout",
) -> None:
    await incident_app.slack_app.slack.person(who).uses_shortcut(shortcut, message=message, channel=channel)
    await incident_app.slack_app.app.drain(10)


async def pins(incident_app: RunningIncidentApp, id_: int = 1) -> list[TimelineEntry]:
    timeline = (await incident_app.view(id_)).timeline
    return [entry for entry in timeline if entry.kind is EntryKind.PIN]


async def test_incident_is_opened_from_anywhere(incident_app: RunningIncidentApp) -> None:
    await uses(incident_app, "dana", OPEN_ANYWHERE)
    assert incident_app.form("dana")["title"]["text"] == "Open an incident"
    assert await incident_app.submits("dana", title=typed("Checkout 500s")) == {}
    incident = (await incident_app.view()).incident
    assert (incident.title, incident.opened_by) == ("Checkout 500s", "U0DANA")
    direct = incident_app.slack_app.slack.workspace.open_direct("U0DANA", "U0GOVERNOR").id
    assert incident_app.last("dana", direct).text.startswith("Incident 1 is open, sev3")


async def test_incident_opened_from_a_message_has_its_text_author_and_link(
    incident_app: RunningIncidentApp,
) -> None:
    message = await said(incident_app, "priya", "@dana customers &amp; I see <https://x.example|500s>")
    incident_app.slack_app.shop.clock.time = datetime.fromtimestamp(float(message.ts), UTC) + timedelta(
        minutes=5
    )
    await uses(incident_app, "dana", OPEN_FROM_MESSAGE, message)
    blocks = {block["block_id"]: block["element"] for block in incident_app.form("dana")["blocks"]}
    assert blocks["title"]["initial_value"] == "@dana customers & I see"
    assert blocks["services"]["initial_options"][0]["value"] == "checkout"
    assert blocks["started_at"]["initial_date_time"] == int(float(message.ts))
    assert await incident_app.submits("dana", title=typed("Checkout 500s")) == {}
    assert (await incident_app.view()).incident.title == "Checkout 500s"
    (entry,) = await pins(incident_app)
    assert entry.text.startswith("priya: @dana customers & I see https://x.example")
    assert (entry.by, entry.at) == ("U0DANA", datetime.fromtimestamp(float(message.ts), UTC))
    assert entry.url is not None
    assert entry.url.endswith(f"/p{message.ts.replace('.', '')}")
    card = await incident_app.slack_app.types("dana", "/postmortem 1")
    await incident_app.presses("dana", card, "#general", "postmortem.open")
    document = await incident_app.slack_app.types("dana", "/postmortem 1")
    assert f"<{entry.url}|details>" in str(document.blocks)


async def test_old_message_does_not_say_since_when(incident_app: RunningIncidentApp) -> None:
    message = await said(incident_app, "priya", "it is slow" + " again" * 100)
    sent = datetime.fromtimestamp(float(message.ts), UTC)
    incident_app.slack_app.shop.clock.time = sent + timedelta(days=3)
    await uses(incident_app, "dana", OPEN_FROM_MESSAGE, message)
    blocks = {block["block_id"]: block["element"] for block in incident_app.form("dana")["blocks"]}
    assert "initial_date_time" not in blocks["started_at"]
    assert len(blocks["title"]["initial_value"]) == 200
    assert blocks["title"]["initial_value"].endswith("…")


async def test_long_message_is_cut_to_what_a_form_carries(incident_app: RunningIncidentApp) -> None:
    message = await said(incident_app, "priya", 'ümlaut "quotes" \\ ' * 180)
    await uses(incident_app, "dana", OPEN_FROM_MESSAGE, message)
    assert await incident_app.submits("dana", title=typed("Checkout 500s")) == {}
    (entry,) = await pins(incident_app)
    assert entry.text.startswith('priya: ümlaut "quotes"')
    assert entry.text.endswith("…")


async def test_message_of_an_app_in_attachments_is_read(incident_app: RunningIncidentApp) -> None:
    people = incident_app.slack_app.app.workspaces.main.people
    message = {
        "ts": "1700000000.000100",
        "text": "",
        "bot_profile": {"name": "Grafana"},
        "attachments": [{"fallback": "CheckoutDown: 5 firing, says <@U0DANA>"}],
    }
    read = await read_message(people, message, "C1")
    entry = read.entry("U0SAM", NOW, None)
    assert entry.text == "Grafana: CheckoutDown: 5 firing, says @dana"
    assert entry.at == read.sent_at
    assert (await read_message(people, {"ts": "1.0"}, "C1")).entry("U0SAM", NOW, None).text == (
        "a message without text"
    )


async def test_message_of_the_incidents_channel_goes_onto_its_timeline_once(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    message = await said(incident_app, "sam", "rolled back", channel)
    for _ in range(2):
        await uses(incident_app, "dana", ADD_TO_TIMELINE, message, channel)
    assert incident_app.last("dana", channel).text == "That message is on the timeline already."
    told = incident_app.slack_app.slack.messages(channel)[-1].text
    assert told.endswith("to the timeline of incident 1: sam: rolled back")
    (entry,) = await pins(incident_app)
    assert (entry.text, entry.by) == ("sam: rolled back", "U0DANA")


async def test_message_of_another_channel_asks_for_the_incident(incident_app: RunningIncidentApp) -> None:
    room = await incident_app.open()
    await incident_app.open("It is slow sev3 search")
    message = await said(incident_app, "priya", "I see it too")
    await uses(incident_app, "dana", ADD_TO_TIMELINE, message)
    (asked,) = incident_app.form("dana")["blocks"]
    texts = [option["text"]["text"] for option in asked["element"]["options"]]
    assert texts == ["2. sev3 It is slow", "1. sev2 Checkout 500s"]
    assert await incident_app.submits("dana", incident=chosen("1")) == {}
    told = "<@U0DANA> added a message of"
    assert incident_app.slack_app.slack.messages(room)[-1].text.startswith(told)
    answer = incident_app.last("dana", "#checkout")
    assert (answer.ephemeral_to, answer.text.startswith(told)) == ("U0DANA", True)
    assert [entry.text for entry in await pins(incident_app)] == ["priya: I see it too"]
    assert await pins(incident_app, 2) == []


async def test_a_false_alarm_is_no_choice(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/incident cancel it was a test", channel)
    message = await said(incident_app, "priya", "I see it too")
    await uses(incident_app, "dana", ADD_TO_TIMELINE, message)
    assert incident_app.last("dana", "#checkout").text.startswith("There is no incident to add it to.")


async def test_private_incidents_are_no_choice_for_others(incident_app: RunningIncidentApp) -> None:
    await incident_app.open()
    await incident_app.slack_app.incidents.lifecycle.change(
        1, IncidentChange(private=True), by="U0DANA", now=NOW
    )
    message = await said(incident_app, "priya", "I see it too")
    await uses(incident_app, "sam", ADD_TO_TIMELINE, message)
    assert incident_app.last("sam", "#checkout").text.startswith("There is no incident to add it to.")
    await uses(incident_app, "dana", ADD_TO_TIMELINE, message)
    assert await incident_app.submits("dana", incident=chosen("1")) == {}
    assert "timeline" not in "".join(m.text for m in incident_app.slack_app.slack.messages("#checkout"))


@pytest.mark.parametrize("shortcut", [OPEN_ANYWHERE, OPEN_FROM_MESSAGE, ADD_TO_TIMELINE])
async def test_shortcuts_need_the_permission(incident_app: RunningIncidentApp, shortcut: str) -> None:
    await incident_app.open()
    message = None if shortcut == OPEN_ANYWHERE else await said(incident_app, "priya", "I see it too")
    await uses(incident_app, "riley", shortcut, message)
    assert incident_app.slack_app.slack.person("riley").modal is None
    direct = incident_app.slack_app.slack.workspace.open_direct("U0RILEY", "U0GOVERNOR").id
    where = "#checkout" if message else direct
    assert incident_app.last("riley", where).text.startswith("Only @sre")
    assert await pins(incident_app) == []


async def test_slack_knows_no_shortcut_that_the_manifest_does_not_have(
    incident_app: RunningIncidentApp,
) -> None:
    with pytest.raises(FakeSlackError, match="no_such_shortcut"):
        await uses(incident_app, "dana", ADD_TO_TIMELINE)
