"""Correcting an incident as a whole: its title and services."""

from tests.support.slack_incidents import RunningIncidentApp, several, typed


async def test_title_and_services_are_changed_by_command(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    types = incident_app.slack_app.types
    assert (await types("sam", "/incident rename “Nobody can pay”", channel)).text == (
        "Renamed to *Nobody can pay* by <@U0SAM>."
    )
    assert (await types("sam", "/incident service add search", channel)).text == (
        "It concerns *search* too, says <@U0SAM>. New services are held while it lasts."
    )
    assert (await types("sam", "/incident service remove search", channel)).text == (
        "It does not concern *search*, says <@U0SAM>. The incident's hold there is lifted."
    )
    assert "concerns `checkout`" in (await types("sam", "/incident service remove search", channel)).text
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
