"""Correcting an incident as a whole: its title and services, and whether it was one at all."""

from bot.incidents.incident import Status
from tests.support.slack_incidents import RunningIncidentApp, chosen, several, typed


async def test_title_and_services_are_changed_by_command(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    types = incident_app.slack_app.types
    assert (await types("sam", "/incident rename “Nobody can pay”", channel)).text == (
        "Renamed to *Nobody can pay* by <@U0SAM>."
    )
    assert (await types("sam", "/incident service add search", channel)).text == (
        "It affects *search* too, set by <@U0SAM>. New services are held while it lasts."
    )
    assert (await types("sam", "/incident service remove search", channel)).text == (
        "It no longer affects *search*, set by <@U0SAM>. The incident's hold there is lifted."
    )
    assert "affects `checkout`" in (await types("sam", "/incident service remove search", channel)).text
    assert "Nothing changed" in (await types("sam", "/incident service add checkout", channel)).text
    assert "search" in (await types("sam", "/incident service add serch", channel)).text
    incident = (await incident_app.view()).incident
    assert (incident.title, incident.services) == ("Nobody can pay", ("checkout",))


async def test_title_and_services_are_changed_in_a_form(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    card = await incident_app.card(channel)
    await incident_app.presses("sam", card, channel, "incident.rename")
    assert await incident_app.submits("sam", title=typed(" "), services=several("checkout")) == {
        "title": "Say in a few words what is wrong."
    }
    await incident_app.submits("sam", title=typed("Checkout 500s"), services=several("search", "checkout"))
    incident = (await incident_app.view()).incident
    assert (incident.services, incident.is_renamed) == (("checkout", "search"), False)


async def test_a_false_alarm_is_cancelled_after_a_question_and_reopened(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    await incident_app.presses("sam", await incident_app.card(channel), channel, "incident.cancel")
    assert "taken out of every budget" in str(incident_app.form("sam")["blocks"])
    assert (await incident_app.view()).incident.status is Status.INVESTIGATING
    await incident_app.submits("sam", reason=typed("the pager was tested"))
    assert (await incident_app.view()).incident.status is Status.CANCELLED
    assert incident_app.last("dana", channel).text == (
        "Cancelled as a false alarm by <@U0SAM>: the pager was tested. No budget and no statistic counts it. "
        "Next: `/incident reopen 1` if it was real."
    )
    assert (
        "cancelled already" in (await incident_app.slack_app.types("sam", "/incident cancel", channel)).text
    )
    card = await incident_app.card(channel)
    await incident_app.presses("dana", card, channel, "incident.reopen")
    assert (await incident_app.view()).incident.status is Status.INVESTIGATING
    assert "open again, reopened by <@U0DANA>" in incident_app.last("sam", channel).text


async def test_a_typed_reason_cancels_at_once_and_a_missing_one_is_asked_for(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    await incident_app.says("sam", "/incident status cancelled", channel)
    assert incident_app.form("sam")["callback_id"] == "incident.cancel"
    told = await incident_app.slack_app.types("sam", "/incident cancel a test with <@U0DANA>.", channel)
    assert "by <@U0SAM>: a test with <@U0DANA>. No budget" in told.text
    told = await incident_app.slack_app.types("sam", "/incident reopen 1", "#general")
    assert "Incident 1 is open again" in told.text
    assert "open" in (await incident_app.slack_app.types("sam", "/incident reopen", channel)).text


async def test_a_duplicate_is_merged_in_a_form_that_offers_what_the_person_may_see(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.open()
    for text in ("Carts fail sev3 checkout", "Leaked keys sev3 checkout"):
        await incident_app.slack_app.types("dana", f"/incident open {text}")
    channels = [incident_app.channel_id(await incident_app.view(id_)) for id_ in (1, 2, 3)]
    await incident_app.slack_app.types("dana", "/incident private", channels[2])
    card = await incident_app.card(channels[1], id_=2)
    await incident_app.presses("sam", card, channels[1], "incident.merge")
    options = incident_app.form("sam")["blocks"][1]["element"]["options"]
    assert [option["text"]["text"] for option in options] == ["1. sev2 investigating: Checkout 500s"]
    await incident_app.submits("sam", into=chosen("1"))
    assert (await incident_app.view(2)).incident.merged_into == 1
    assert incident_app.last("sam", channels[1]).text == (
        f"Merged into incident 1 by <@U0SAM>, which counts for both. Next: go on in <#{channels[0]}>."
    )
    types = incident_app.slack_app.types
    assert "no incident 3" in (await types("sam", "/incident merge into 3", channels[0])).text
    assert "merged into incident 1" in (await types("sam", "/incident severity sev1", channels[1])).text
    assert "Incident 2 is open again" in (await types("sam", "/incident reopen", channels[1])).text
    assert "Merged into incident 1" in (await types("sam", "/incident merge into 1", channels[1])).text
