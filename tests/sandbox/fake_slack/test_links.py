"""Links in the fake Slack: the event of a shared link, what `chat.unfurl` takes, and the pane beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.shared_links import app_links
from tests.sandbox.samples import MANIFEST, Json

URL = "https://governor.example/incidents/1"
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Checkout 500s*"}}]


def entity(**payload: Any) -> Json:
    """Return a small entity of the link, with more in its payload."""
    return {
        "entity_type": "slack#/entities/incident",
        "app_unfurl_url": URL,
        "url": URL,
        "external_ref": {"id": "1"},
        "entity_payload": {"attributes": {"title": {"text": "Checkout 500s"}}} | payload,
    }


@pytest.fixture
async def linked() -> AsyncIterator[FakeSlackServer]:
    """A workspace whose app has a domain, and in which dana shared a link of it."""
    features = MANIFEST["features"] | {"unfurl_domains": ["governor.example"]}
    scopes = [*MANIFEST["oauth_config"]["scopes"]["bot"], "links:read", "links:write"]
    document = MANIFEST | {"features": features, "oauth_config": {"scopes": {"bot": scopes}}}
    async with FakeSlackServer(manifest=document) as slack:
        await slack.person("dana").says(f"see {URL}", "#checkout")
        yield slack


def client_of(slack: FakeSlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


def place(slack: FakeSlackServer) -> Json:
    """Return what names dana's message."""
    return {"channel": slack.find_channel("#checkout"), "ts": slack.messages("#checkout")[-1].ts}


async def refused(call: Any) -> str:
    """Return what Slack refuses a call with."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"<{URL}|one> two", [URL]),
        ("https://more.governor.example/x", ["https://more.governor.example/x"]),
        ("https://notgovernor.example/ https://governor.example.evil/ governor.example", []),
    ],
)
def test_links_of_the_domain_and_below_it_are_the_apps(text: str, found: list[str]) -> None:
    manifest = {"features": {"unfurl_domains": ["governor.example"]}}
    assert [link["url"] for link in app_links(text, manifest)] == found
    assert app_links(text, {}) == []


async def test_a_link_shows_what_it_was_given_last(linked: FakeSlackServer) -> None:
    client, message = client_of(linked), linked.messages("#checkout")[-1]
    for _ in range(2):
        await client.chat_unfurl(**place(linked), unfurls={URL: {"blocks": BLOCKS}})
    (shown,) = message.as_json()["attachments"]
    assert (shown["from_url"], shown["blocks"]) == (URL, message.attachments[0]["blocks"])
    await client.chat_unfurl(
        unfurl_id=message.unfurl_id, source="conversations_history", metadata={"entities": [entity()]}
    )
    assert [each.get("entity") for each in message.attachments] == [entity()]


async def test_a_message_that_is_written_is_named_by_its_own_id(linked: FakeSlackServer) -> None:
    unfurl_id = linked.person("dana").writes(URL)
    assert linked.person("dana").writes("no link") == ""
    client = client_of(linked)
    await client.chat_unfurl(unfurl_id=unfurl_id, source="composer", unfurls={URL: {"blocks": BLOCKS}})
    assert linked.workspace.drafts[unfurl_id].attachments[0]["from_url"] == URL


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "missing_unfurls"),
        ({"unfurls": {"https://other.example": {"blocks": BLOCKS}}}, "cannot_unfurl_url"),
        ({"unfurls": {URL: {"blocks": [{"type": "rich_text", "elements": []}]}}}, "cannot_parse_attachment"),
        ({"unfurls": {URL: {"text": "no blocks"}}}, "cannot_parse_attachment"),
        ({"metadata": {"entities": [entity(surplus={})]}}, "invalid_metadata_format"),
        ({"metadata": {"entities": [entity(display_order=["none"])]}}, "invalid_metadata_format"),
        (
            {"metadata": {"entities": [entity(fields={"status": {"value": "x", "tag_color": "pink"}})]}},
            "invalid_metadata_format",
        ),
        ({"ts": "1.2", "unfurls": {URL: {"blocks": BLOCKS}}}, "cannot_find_message"),
        ({"channel": "C0NONE", "unfurls": {URL: {"blocks": BLOCKS}}}, "cannot_find_channel"),
        ({"unfurl_id": "u1", "unfurls": {URL: {"blocks": BLOCKS}}}, "missing_source"),
        ({"unfurl_id": "u1", "source": "mail", "unfurls": {}}, "invalid_source"),
        ({"unfurl_id": "u1", "source": "composer", "unfurls": {}}, "invalid_unfurl_id"),
    ],
)
async def test_what_does_not_fit_is_refused(linked: FakeSlackServer, arguments: Json, error: str) -> None:
    assert await refused(client_of(linked).chat_unfurl(**place(linked) | arguments)) == error
    assert linked.messages("#checkout")[-1].attachments == []


async def test_entities_are_ignored_where_the_workspace_has_none(linked: FakeSlackServer) -> None:
    linked.workspace.plan.has_work_objects = False
    call = client_of(linked).chat_unfurl(**place(linked), metadata={"entities": [entity()]})
    assert await refused(call) == "missing_unfurls"


async def test_only_an_entity_has_details_and_only_its_own(linked: FakeSlackServer) -> None:
    client, dana = client_of(linked), linked.person("dana")
    message: Message = linked.messages("#checkout")[-1]
    with pytest.raises(FakeSlackError):
        dana.opens_details(message, "#checkout", URL)
    await client.chat_unfurl(**place(linked), metadata={"entities": [entity()]})
    dana.opens_details(message, "#checkout", URL)
    (trigger,) = linked.views.details
    other = entity() | {"external_ref": {"id": "2"}}
    present = client.entity_presentDetails
    assert await refused(present(trigger_id="1", metadata=entity())) == "invalid_trigger_id"
    assert await refused(present(trigger_id=trigger, metadata={"url": URL})) == "invalid_metadata"
    mismatch = "entity_metadata_does_not_match_trigger"
    assert await refused(present(trigger_id=trigger, metadata=other)) == mismatch
    assert await refused(present(trigger_id=trigger, error={"status": "odd"})) == "invalid_arguments"
    assert dana.modal is None
    await present(trigger_id=trigger, metadata=entity())
    assert dana.modal is not None
    assert "Checkout 500s" in str(dana.modal.content)
