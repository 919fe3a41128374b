"""The fake Slack's Web API, called by Slack's own client."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.sandbox.bolt_app import MANIFEST, Json


class WallClock:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def workspace(
    *missing_scopes: str, wall: Callable[[], float] = time.time
) -> AsyncIterator[tuple[FakeSlackServer, AsyncWebClient]]:
    """Serve a workspace whose app has all scopes but these."""
    scopes = [s for s in MANIFEST["oauth_config"]["scopes"]["bot"] if s not in missing_scopes]
    manifest = MANIFEST | {"oauth_config": {"scopes": {"bot": scopes}}}
    async with FakeSlackServer(manifest=manifest, wall=wall) as slack:
        yield slack, AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def refusal(call: Any) -> Json:
    with pytest.raises(SlackApiError) as caught:
        await call
    response: Json = caught.value.response.data
    return response


async def test_a_message_keeps_its_metadata_for_those_who_ask() -> None:
    async with workspace() as (slack, client):
        metadata = {"event_type": "freeze", "event_payload": {"key": "k1"}}
        posted = await client.chat_postMessage(channel="#releases", text="Hi", metadata=metadata)
        channel = posted["channel"]
        with_metadata = await client.conversations_history(channel=channel, include_all_metadata=True)
        without_metadata = await client.conversations_history(channel=channel)
        assert with_metadata["messages"][0]["metadata"] == metadata
        assert without_metadata["messages"][0]["metadata"] == {"event_type": "freeze"}
        assert not slack.refused


async def test_history_comes_newest_first_in_pages_without_replies() -> None:
    async with workspace() as (slack, client):
        slack.rates.enabled = False
        first = await client.chat_postMessage(channel="#releases", text="0")
        await client.chat_postMessage(channel="#releases", text="re", thread_ts=first["ts"])
        for number in range(1, 5):
            await client.chat_postMessage(channel="#releases", text=str(number))
        pages = [
            [message["text"] for message in page["messages"]]
            async for page in await client.conversations_history(channel=first["channel"], limit=2)
        ]
        thread = await client.conversations_replies(channel=first["channel"], ts=first["ts"])
        assert pages == [["4", "3"], ["2", "1"], ["0"]]
        assert [message["text"] for message in thread["messages"]] == ["0", "re"]


async def test_message_times_never_repeat() -> None:
    async with workspace() as (slack, client):
        slack.rates.enabled = False
        posted = [await client.chat_postMessage(channel="#search", text="x") for _ in range(20)]
        times = [message["ts"] for message in posted]
        assert times == sorted(set(times))


async def test_arguments_may_come_as_query_form_or_json() -> None:
    async with workspace() as (slack, _), aiohttp.ClientSession() as session:
        fields = {"channel": slack.find_channel("#releases")}
        url = f"{slack.api_url}conversations.info"
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        encodings: list[dict[str, Any]] = [{"params": fields}, {"data": fields}, {"json": fields}]
        for body in encodings:
            async with session.post(url, headers=headers, **body) as response:
                assert (await response.json())["channel"]["name"] == "releases"


async def test_a_missing_scope_is_named() -> None:
    async with workspace("pins:write") as (_, client):
        response = await refusal(client.pins_add(channel="C1", timestamp="1.1"))
        assert response["error"] == "missing_scope"
        assert response["needed"] == "pins:write"
        assert "chat:write" in response["provided"]


async def test_private_channels_need_their_own_scopes() -> None:
    async with workspace() as (_, client):
        response = await refusal(client.conversations_create(name="secret", is_private=True))
        assert response["needed"] == "groups:write"


async def test_no_and_wrong_tokens_are_told_apart() -> None:
    async with workspace() as (slack, client):
        wrong = AsyncWebClient(token="xoxb-other", base_url=slack.api_url)
        assert (await refusal(wrong.auth_test()))["error"] == "invalid_auth"
        client.token = None
        assert (await refusal(client.auth_test()))["error"] == "not_authed"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "", "blocks": []}, "no_text"),
        ({"text": "x", "blocks": [{"type": "header"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": {}}, "invalid_blocks_format"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        (
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"a": "x" * 17_000}}},
            "metadata_too_large",
        ),
        (
            {
                "text": "x",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}} for _ in range(5)
                ],
            },
            "msg_blocks_too_long",
        ),
        (
            {
                "text": "x",
                "blocks": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}] * 2,
            },
            "invalid_attachments",
        ),
        ({"text": "x", "username": "Someone"}, "missing_scope"),
        ({"text": "x", "thread_ts": "1.000001"}, "cannot_reply_to_message"),
    ],
)
async def test_a_message_that_slack_refuses(arguments: Json, error: str) -> None:
    async with workspace() as (slack, client):
        response = await refusal(
            client.api_call("chat.postMessage", json={"channel": "#releases", **arguments})
        )
        assert response["error"] == error
        assert [call.error for call in slack.refused] == [error]
        assert slack.messages("#releases") == []


async def test_the_longest_message_is_taken_and_an_update_takes_less() -> None:
    async with workspace() as (_, client):
        posted = await client.chat_postMessage(channel="#releases", text="x" * 40_000)
        location: Any = {"channel": posted["channel"], "ts": posted["ts"]}
        await client.chat_update(**location, text="x" * 4000)
        assert (await refusal(client.chat_update(**location, text="x" * 4001)))["error"] == ("msg_too_long")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Upper", "invalid_name_specials"),
        ("a b", "invalid_name_specials"),
        ("x" * 81, "invalid_name_maxlength"),
        ("---", "invalid_name_punctuation"),
        ("", "invalid_name_required"),
        ("releases", "name_taken"),
    ],
)
async def test_a_channel_name_that_slack_refuses(name: str, error: str) -> None:
    async with workspace() as (_, client):
        assert (await refusal(client.conversations_create(name=name)))["error"] == error


async def test_a_channel_name_and_topic_of_the_greatest_length_are_taken() -> None:
    async with workspace() as (_, client):
        created = await client.conversations_create(name="x" * 80)
        channel = created["channel"]["id"]
        await client.conversations_setTopic(channel=channel, topic="x" * 250)
        response = await refusal(client.conversations_setTopic(channel=channel, topic="x" * 251))
        assert response["error"] == "too_long"


async def test_a_file_is_uploaded_in_three_steps() -> None:
    async with workspace() as (slack, client):
        channel = slack.find_channel("#incidents")
        await client.files_upload_v2(channel=channel, content="# Postmortem", filename="p.md")
        shared = slack.messages("#incidents")[-1]
        file = slack.workspace.files[shared.files[0]["id"]]
        assert file.content == b"# Postmortem"


async def test_messages_to_a_channel_are_held_to_one_a_second_after_a_burst() -> None:
    wall = WallClock()
    async with workspace(wall=wall) as (slack, client):
        for _ in range(slack.rates.burst):
            await client.chat_postMessage(channel="#releases", text="x")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel="#releases", text="x")
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel="#search", text="another channel")
        wall.seconds += 1
        await client.chat_postMessage(channel="#releases", text="x")


async def test_a_method_is_held_to_its_tier() -> None:
    wall = WallClock()
    async with workspace(wall=wall) as (slack, client):
        for _ in range(20):
            await client.users_list()
        with pytest.raises(SlackApiError) as caught:
            await client.users_list()
        assert caught.value.response.headers["Retry-After"] == "60"
        wall.seconds += 60
        await client.users_list()
        assert [call.error for call in slack.refused] == ["ratelimited"]


async def test_a_cut_connection_leaves_the_message_behind() -> None:
    async with workspace() as (slack, client):
        slack.faults.once(InjectedFault.CUT, "chat.postMessage")
        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel="#releases", text="Sent once")
        assert [message.text for message in slack.messages("#releases")] == ["Sent once"]
        assert not slack.refused


@pytest.mark.parametrize(
    ("fault", "status"), [(InjectedFault.RATE_LIMITED, 429), (InjectedFault.SERVER_ERROR, 500)]
)
async def test_a_fault_does_nothing_but_fail(fault: InjectedFault, status: int) -> None:
    async with workspace() as (slack, _), aiohttp.ClientSession() as session:
        slack.faults.once(fault)
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        fields = {"channel": "#releases", "text": "x"}
        async with session.post(f"{slack.api_url}chat.postMessage", json=fields, headers=headers) as response:
            assert response.status == status
        assert slack.messages("#releases") == []


async def test_nonsense_comes_after_the_call_is_carried_out() -> None:
    async with workspace() as (slack, _), aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        slack.faults.once(InjectedFault.NONSENSE)
        fields = {"channel": "#releases", "text": "Sent once"}
        async with session.post(f"{slack.api_url}chat.postMessage", json=fields, headers=headers) as response:
            assert response.status == 200
            assert '"ts"' not in await response.text()
        assert [message.text for message in slack.messages("#releases")] == ["Sent once"]


async def test_faults_come_as_often_as_they_are_set_and_the_same_for_a_seed() -> None:
    async with workspace() as (slack, _):
        slack.faults.change({"server_error": 0.5, "seed": 7})
        first = [slack.faults.decide("auth.test") for _ in range(40)]
        slack.faults.change({"seed": 7})
        assert first == [slack.faults.decide("auth.test") for _ in range(40)]
        assert 5 < first.count(InjectedFault.SERVER_ERROR) < 35
        slack.faults.clear()
        assert slack.faults.decide("auth.test") is None


async def test_only_its_author_may_change_a_message() -> None:
    async with workspace() as (slack, client):
        await slack.person("dana").says("Mine", "#releases")
        ts = slack.messages("#releases")[-1].ts
        location: Any = {"channel": slack.find_channel("#releases"), "ts": ts}
        assert (await refusal(client.chat_update(**location, text="Ours")))["error"] == (
            "cant_update_message"
        )
        assert (await refusal(client.chat_delete(**location)))["error"] == "cant_delete_message"


async def test_a_canvas_belongs_to_a_channel_once() -> None:
    async with workspace() as (slack, client):
        channel = slack.find_channel("#incidents")
        created = await client.conversations_canvases_create(
            channel_id=channel, document_content={"type": "markdown", "markdown": "# One"}
        )
        change = {
            "operation": "insert_at_end",
            "document_content": {"type": "markdown", "markdown": "\nTwo"},
        }
        await client.canvases_edit(canvas_id=created["canvas_id"], changes=[change])
        assert slack.workspace.canvases[created["canvas_id"]]["markdown"] == "# One\nTwo"
        again = await refusal(client.api_call("conversations.canvases.create", json={"channel_id": channel}))
        assert again["error"] == "channel_canvas_already_exists"


async def test_people_and_groups_are_found() -> None:
    async with workspace() as (_, client):
        user = await client.users_lookupByEmail(email="sam@acme.example")
        groups = await client.usergroups_list(include_users=True)
        sre = next(group for group in groups["usergroups"] if group["handle"] == "sre")
        assert sre["users"] == [user["user"]["id"]]
