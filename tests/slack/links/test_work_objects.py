"""Incidents as Work Objects: below links, and in the pane that one person opens beside them."""

from typing import Any

import pytest

from bot.sandbox.fake_slack.block_kit.entities import entity_faults
from bot.sandbox.fake_slack.model import Message
from bot.slack.links.events import DetailsRequest
from bot.slack.links.unfurls import WORK_OBJECTS
from tests.slack.links.conftest import INCIDENT, SERVICE, shares, unfurls
from tests.support.slack_incidents import RunningIncidentApp


async def details(incident_app: RunningIncidentApp, who: str, message: Message, channel: str) -> str:
    """Let a person open the pane beside a link; return all that it shows."""
    slack = incident_app.slack_app.slack
    slack.person(who).opens_details(message, channel, INCIDENT)
    await slack.wait_until_delivered()
    await incident_app.slack_app.app.drain(10)
    return str(incident_app.form(who))


def entity_of(message: Message) -> dict[str, Any]:
    """Return the Work Object below a message's only link to an incident."""
    (entity,) = [each["entity"] for each in message.attachments if "entity" in each]
    assert entity_faults(entity) == []
    found: dict[str, Any] = entity
    return found


async def test_incident_is_a_work_object_and_a_service_has_blocks(incident_app: RunningIncidentApp) -> None:
    channel = await incident_app.open()
    await incident_app.slack_app.types("sam", "/incident role commander", channel)
    message = await shares(incident_app, f"{INCIDENT} and {SERVICE}", "#random")
    assert {each["from_url"]: "entity" in each for each in message.attachments} == {
        INCIDENT: True,
        SERVICE: False,
    }
    entity = entity_of(message)
    assert (entity["entity_type"], entity["external_ref"]["id"]) == ("slack#/entities/incident", "1")
    payload = entity["entity_payload"]
    assert payload["attributes"]["title"] == {"text": "Checkout 500s"}
    assert payload["attributes"]["display_id"] == "INC-1"
    assert payload["fields"]["status"] == {"value": "investigating", "tag_color": "red"}
    assert payload["fields"]["priority"] == {"value": "sev2", "label": "Severity"}
    assert payload["fields"]["service"] == {"value": "checkout"}
    assert payload["fields"]["assigned_to"]["user"] == {"user_id": "U0SAM"}


async def test_link_by_another_address_is_named_as_it_was_written(incident_app: RunningIncidentApp) -> None:
    await incident_app.open()
    written = INCIDENT.replace("/1", "/INC-1") + "?from=mail"
    entity = entity_of(await shares(incident_app, written, "#random"))
    assert (entity["app_unfurl_url"], entity["url"]) == (written, INCIDENT)


async def test_where_slack_refuses_work_objects_blocks_are_shown_and_it_is_remembered(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.open()
    incident_app.slack_app.slack.workspace.plan.has_work_objects = False
    for _ in range(2):
        message = await shares(incident_app, INCIDENT, "#random")
        (preview,) = message.attachments
        assert "*Checkout 500s*" in str(preview["blocks"])
    assert [call.error for call in unfurls(incident_app)] == ["missing_unfurls", None, None]
    assert incident_app.slack_app.client.new_blocks.refused({WORK_OBJECTS}) == {WORK_OBJECTS}


async def test_where_slack_drops_work_objects_with_a_warning_blocks_are_shown(
    incident_app: RunningIncidentApp,
) -> None:
    await incident_app.open()
    slack = incident_app.slack_app.slack
    slack.faults.answer("chat.unfurl", '{"ok": true, "warning": "invalid_metadata_format"}')
    (preview,) = (await shares(incident_app, INCIDENT, "#random")).attachments
    assert "*Checkout 500s*" in str(preview["blocks"])


async def test_details_show_the_incident_as_it_is_when_they_are_opened(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    message = await shares(incident_app, INCIDENT, "#random")
    await incident_app.slack_app.types("sam", "/incident status mitigated", channel)
    shown = await details(incident_app, "riley", message, "#random")
    assert "Checkout 500s" in shown
    assert "mitigated" in shown
    assert f"<#{channel}>" in shown


async def test_details_of_a_private_incident_are_for_those_who_may_see_it(
    incident_app: RunningIncidentApp,
) -> None:
    channel = await incident_app.open()
    message = await shares(incident_app, INCIDENT, "#random")
    await incident_app.slack_app.types("dana", "/incident private", channel)
    hidden = await details(incident_app, "riley", message, "#random")
    assert "not found" in hidden
    assert "Checkout" not in hidden
    assert "Checkout 500s" in await details(incident_app, "dana", message, "#random")


@pytest.mark.parametrize("number", ["999", "one", "9" * 40])
async def test_details_of_what_is_not_there_are_not_found(
    incident_app: RunningIncidentApp, number: str
) -> None:
    await incident_app.open()
    message = await shares(incident_app, INCIDENT, "#random")
    entity = entity_of(message)
    entity["external_ref"]["id"] = number
    assert "not found" in await details(incident_app, "riley", message, "#random")


def test_details_without_a_reference_are_those_of_the_address() -> None:
    request = {"user": "U0RILEY", "trigger_id": "1.2", "link": {"url": INCIDENT}}
    assert DetailsRequest.from_event(request) == DetailsRequest("U0RILEY", "1.2", INCIDENT, "")
    assert DetailsRequest.from_event(request | {"trigger_id": ""}) is None
