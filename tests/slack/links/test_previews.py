"""What Slack shows below a link to an incident or a service, where the conversation may see it."""

from pathlib import Path

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from tests.slack.links.conftest import INCIDENT, SERVICE, shares, tells_again, unfurls
from tests.support.slack_app import PUBLIC_URL, run_slack_app, shop
from tests.support.slack_incidents import RunningIncidentApp


def without_work_objects(incident_app: RunningIncidentApp) -> None:
    incident_app.slack_app.slack.workspace.plan.has_work_objects = False


async def test_link_to_an_incident_shows_its_state(incident_app: RunningIncidentApp) -> None:
    without_work_objects(incident_app)
    await incident_app.open()
    message = await shares(incident_app, f"see {INCIDENT}", "#random")
    (preview,) = message.attachments
    assert preview["from_url"] == INCIDENT
    shown = str(preview["blocks"])
    assert "*Checkout 500s*" in shown
    assert "sev2 investigating" in shown
    assert "Incident 1" in shown
    assert not [block for block in preview["blocks"] if block["type"] == "actions"]


async def test_link_to_a_service_shows_what_is_left_of_its_budget(incident_app: RunningIncidentApp) -> None:
    message = await shares(incident_app, f"<{SERVICE}|checkout> and {PUBLIC_URL}/services/nowhere", "#random")
    (preview,) = message.attachments
    assert preview["from_url"] == SERVICE
    assert "*checkout*" in str(preview["blocks"])
    assert "90.0" in str(preview["blocks"])


async def test_link_to_what_is_not_there_stays_as_it_is(incident_app: RunningIncidentApp) -> None:
    await incident_app.open()
    links = " ".join(
        [
            f"{PUBLIC_URL}/incidents/999",
            f"{PUBLIC_URL}/incidents/none",
            f"{PUBLIC_URL}/slack/install",
            "https://elsewhere.example/incidents/1",
            "https://more.governor.example/incidents/1",
            "http://governor.example/incidents/1",
        ]
    )
    assert (await shares(incident_app, links, "#random")).attachments == []
    assert unfurls(incident_app) == []


async def test_private_incident_is_shown_in_its_own_channel_alone(incident_app: RunningIncidentApp) -> None:
    without_work_objects(incident_app)
    channel = await incident_app.open()
    await incident_app.slack_app.types("dana", "/incident private", channel)
    # Dana may see it; the others in the channel may not.
    assert (await shares(incident_app, INCIDENT, "#random", "dana")).attachments == []
    assert unfurls(incident_app) == []
    inside = incident_app.channel_id(await incident_app.view())
    assert "Checkout 500s" in str((await shares(incident_app, INCIDENT, inside, "dana")).attachments)


async def test_nothing_is_shown_where_people_of_elsewhere_read_along(
    incident_app: RunningIncidentApp,
) -> None:
    slack = incident_app.slack_app.slack
    await incident_app.open()
    slack.workspace.channels[slack.find_channel("#random")].is_ext_shared = True
    assert (await shares(incident_app, INCIDENT, "#random")).attachments == []
    assert unfurls(incident_app) == []


async def test_nothing_is_shown_while_the_message_is_written(incident_app: RunningIncidentApp) -> None:
    await incident_app.open()
    slack = incident_app.slack_app.slack
    slack.person("riley").writes(f"see {INCIDENT}")
    await slack.wait_until_delivered()
    await incident_app.slack_app.app.drain(10)
    assert unfurls(incident_app) == []


async def test_link_is_shown_once_however_often_slack_tells_of_it(incident_app: RunningIncidentApp) -> None:
    await incident_app.open()
    message = await shares(incident_app, INCIDENT, "#random")
    await tells_again(incident_app, message)
    assert len(unfurls(incident_app)) == 1


async def test_link_that_slack_did_not_take_is_shown_when_it_is_told_of_again(
    incident_app: RunningIncidentApp,
) -> None:
    without_work_objects(incident_app)
    await incident_app.open()
    slack = incident_app.slack_app.slack
    slack.faults.once(InjectedFault.SERVER_ERROR, "chat.unfurl")
    message = await shares(incident_app, INCIDENT, "#random")
    assert message.attachments == []
    await tells_again(incident_app, message)
    assert len(message.attachments) == 1


async def test_without_the_scope_links_stay_as_they_are_and_nobody_is_told(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as slack_app:
        slack_app.slack.manifest["oauth_config"]["scopes"]["bot"].remove("links:write")
        await slack_app.slack.person("riley").says(SERVICE, "#random")
        await slack_app.slack.wait_until_delivered()
        await slack_app.app.drain(10)
        (message,) = slack_app.slack.messages("#random")
        assert (message.text, message.attachments) == (SERVICE, [])
        assert slack_app.slack.seen_by("riley", "#random") == [message]
        assert [call.error for call in slack_app.slack.refused] == ["missing_scope"]
