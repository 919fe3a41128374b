"""Answers of Slack that lack what Slack documents: a typed error that may be retried, never a KeyError."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

import bot
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.slack.webapi.answer_shapes import SHAPES, misfit
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.errors import OutcomeUnknownError, RateLimitedError, SlackError, translate_slack_errors

_CALL = re.compile(
    r"\.((?:api|apps|auth|blocks|bots|canvases|chat|conversations|entity|files|oauth|pins|reactions|team|usergroups"
    r"|users|views)_[a-zA-Z_]+)\("
)
_NAMED_CALL = re.compile(r"""api_call\(\s*"([a-z.A-Z0-9]+)""")
BODIES = ("", "null", "[]", "[1]", '"ok"', "{}", '{"ok": true}', '{"ok": true, "channels": {}}', '{"ok": tr')


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example")) as slack:
        yield slack


def test_the_shape_of_every_answer_is_known() -> None:
    sources = [
        path.read_text()
        for part in ("slack", "diagnostics", "app")
        for path in (Path(bot.__file__).parent / part).rglob("*.py")
    ]
    called = {name.replace("_", ".") for text in sources for name in _CALL.findall(text)} - {"api.call"}
    called |= {name for text in sources for name in _NAMED_CALL.findall(text)}
    assert len(called) > 20
    assert called == set(SHAPES)


@pytest.mark.parametrize("body", BODIES)
async def test_an_answer_without_its_content_may_be_retried(slack: FakeSlackServer, body: str) -> None:
    client = SlackClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    slack.faults.answer("users.conversations", body)
    with pytest.raises(SlackError) as raised:
        async with translate_slack_errors():
            await client.users_conversations()
    assert raised.value.retryable
    assert isinstance(raised.value, OutcomeUnknownError)


@pytest.mark.parametrize(
    ("told", "waits_s"),
    [("30", 30), ("0", 1), ("-5", 1), ("nan", 1), ("inf", 3_600), ("1e9", 3_600), ("soon", 10)],
)
async def test_a_rate_limit_is_waited_for_neither_for_ever_nor_not_at_all(told: str, waits_s: float) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(
            {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": told}
        )

    app = web.Application()
    app.router.add_post("/{method}", refuse)
    async with TestServer(app) as server:
        client = SlackClient(token="xoxb-1", base_url=str(server.make_url("/")), retry_handlers=[])
        with pytest.raises(RateLimitedError) as raised:
            async with translate_slack_errors():
                await client.auth_test()
    assert raised.value.retry_after_s == waits_s


async def test_a_post_without_its_place_has_an_unknown_outcome(slack: FakeSlackServer) -> None:
    client = SlackClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    slack.faults.answer("conversations.open", '{"ok": true, "channel": {"id": 7}}')
    with pytest.raises(OutcomeUnknownError, match="incomplete_answer"):
        async with translate_slack_errors():
            await client.conversations_open(users="U0SAM")


def test_one_strange_row_hides_no_other() -> None:
    one, four = {"id": "C1", "name": "one"}, {"id": "C4", "name": "four"}
    channels: list[object] = [one, {"id": "C2"}, None, {"id": 3, "name": "x"}, four]
    with capture_logs() as logs:
        answer = {"ok": True, "channels": channels, "response_metadata": None}
        assert misfit("conversations.list", answer) is None
    assert channels == [one, four]
    assert logs[0]["rows"] == 3


@pytest.mark.parametrize(
    ("method", "answer", "lacking"),
    [
        ("chat.postMessage", {"ok": True, "channel": "C1"}, "ts"),
        ("conversations.create", {"ok": True, "channel": {"name": "inc-1"}}, "channel.id"),
        ("conversations.history", {"messages": [], "response_metadata": {"next_cursor": 5}},
         "response_metadata.next_cursor"),
        ("users.info", {"user": []}, "user"),
        ("auth.test", None, "object"),
    ],
)  # fmt: skip
def test_what_an_answer_lacks_is_named(method: str, answer: object, lacking: str) -> None:
    assert misfit(method, answer) == lacking


async def test_the_details_of_refused_blocks_are_kept(slack: FakeSlackServer) -> None:
    client = SlackClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    blocks = json.dumps([{"type": "section", "text": {"type": "invalid", "text": "x"}}] * 7)
    with pytest.raises(SlackError) as raised:
        async with translate_slack_errors():
            await client.api_call("blocks.validate", data={"blocks": blocks})
    assert raised.value.error == "invalid_blocks"
    assert raised.value.details[0] == (
        "must be a valid enum value (plain_text, mrkdwn) at /0/text/type (failed_constraint)"
    )
    assert raised.value.details[-1] == "and 2 more"
    with pytest.raises(SlackError) as raised:
        async with translate_slack_errors():
            await client.chat_postMessage(channel="#checkout", text="x", blocks=[{"type": "nothing"}])
    # The same text in two places of an answer is shown once.
    assert len(raised.value.details) == 1


async def test_a_message_is_validated_without_its_text(slack: FakeSlackServer) -> None:
    client = SlackClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    await client.api_call("blocks.validate", data={"message": json.dumps({"blocks": [block]})})
    message = json.dumps({"blocks": [block], "text": "x"})
    with pytest.raises(SlackError, match="invalid_message"):
        async with translate_slack_errors():
            await client.api_call("blocks.validate", data={"message": message})
