"""The whole program on a Slack that this project did not write: it knows channels only by id."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.fake_slack.request_sender import signature
from tests.stories.conftest import POLICIES
from tests.support.running import Bot, eventually, running_governor, write_policies
from tests.support.slack_emulator import Emulator, running_emulator

SECRET = "the-emulators-secret"


class Elsewhere:
    """What the program needs to know of a Slack."""

    def __init__(self, emulator: Emulator) -> None:
        self.api_url = emulator.api_url
        self.bot_token = emulator.token
        self.signing_secret = SECRET
        self.bot_url: str | None = None


class Answers:
    """A place for what is sent to `response_url`."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Mapping[str, Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response()


@asynccontextmanager
async def listening() -> AsyncIterator[Answers]:
    answers = Answers()
    app = web.Application()
    app.router.add_post("/", answers.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answers.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield answers
    finally:
        await runner.cleanup()


async def types(
    bot: Bot, text: str, answers: Answers, *, user: str = "U0SAM", channel: str = "C1"
) -> Mapping[str, Any]:
    """Send a slash command as Slack does; return what came to its `response_url`."""
    command, _, words = text.partition(" ")
    body = urlencode(
        {
            "command": command,
            "text": words,
            "user_id": user,
            "team_id": "T1",
            "channel_id": channel,
            "channel_name": "general",
            "trigger_id": f"1.{time.monotonic_ns()}",
            "response_url": answers.url,
        }
    )
    stamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(SECRET, stamp, body),
    }
    before = len(answers.bodies)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bot.url}/slack/events", data=body, headers=headers) as ack,
    ):
        assert (ack.status, await ack.text()) == (200, "")

    async def bodies() -> list[Mapping[str, Any]]:
        return answers.bodies

    return (await eventually(bodies, lambda found: len(found) > before))[-1]


async def history(client: AsyncWebClient, channel: str) -> list[str]:
    channels = (await client.conversations_list())["channels"]
    (id_,) = [each["id"] for each in channels if each["name"] == channel]
    return [message["text"] for message in (await client.conversations_history(channel=id_))["messages"]]


async def test_a_freeze_is_announced_and_asked_about_on_another_slack(tmp_path: Path) -> None:
    policies = write_policies(tmp_path, POLICIES)
    async with running_emulator() as emulator, listening() as answers:
        slack = Elsewhere(emulator)
        client = AsyncWebClient(token=emulator.token, base_url=emulator.api_url)
        async with running_governor(policies=policies, slack=slack, folder=tmp_path) as bot:
            event = {"service": "checkout", "slo": "orders", "good": 900, "bad": 100}
            assert (await bot.api("POST", "events", json=event))[0] == 202
            await bot.until_state("checkout", "frozen")
            for channel in ("checkout", "releases"):
                told = await eventually(
                    partial(history, client, channel), lambda texts: any("is frozen" in t for t in texts)
                )
                assert sum("is frozen" in text for text in told) == 1
            refused = await types(bot, "/ship checkout", answers)
            assert refused["response_type"] == "ephemeral"
            assert "may not ship" in refused["text"]
            assert (await types(bot, "/budget", answers))["blocks"]
