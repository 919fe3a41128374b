"""A link to an incident shows in Slack what it leads to, through the whole bot, and in a browser nothing."""

import asyncio
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from bot.sandbox.fake_slack.model import Channel, Message
from tests.stories.conftest import POLICIES
from tests.support.running_bot import RunningBot, start_bot

PUBLIC_URL = "https://governor.example"
INCIDENT = f"{PUBLIC_URL}/incidents/1"
POLICY = POLICIES.replace(
    'permissions: {freeze: ["@sre"]}', 'permissions: {freeze: ["@sre"], incidents: everyone}'
)
T = TypeVar("T")


async def _until(condition: Callable[[], T]) -> T:
    async with asyncio.timeout(30):
        while not (found := condition()):  # noqa: ASYNC110 - the bot works meanwhile
            await asyncio.sleep(0.05)
    return found


def _channel_of_incident(bot: RunningBot) -> Channel | None:
    channels = bot.slack.workspace.channels.values()
    return next((channel for channel in channels if channel.name.startswith("inc-")), None)


async def _shares(bot: RunningBot, who: str, text: str) -> Message:
    """Let a person post links in #random; return the message once the bot was told of it."""
    await bot.slack.person(who).says(text, "#random")
    await bot.slack.wait_until_delivered()
    return bot.slack.messages("#random")[-1]


async def test_link_shows_an_incident_until_it_is_private(tmp_path: Path) -> None:
    async with start_bot(tmp_path, text=POLICY, public_url=PUBLIC_URL) as bot:
        dana = bot.slack.person("dana")
        await dana.says("/incident open Checkout 500s sev2 checkout", "#general")
        channel = await _until(lambda: _channel_of_incident(bot))
        assert channel is not None
        message = await _shares(bot, "omar", INCIDENT)
        shown = await _until(lambda: message.attachments)
        assert "Checkout 500s" in str(shown)
        await dana.says("/incident private", channel.id)
        await bot.governor.parts.slack.app.drain(10)
        assert (await bot.governor.parts.incidents.snapshots.of(1)).incident.private
        both = await _shares(bot, "dana", f"{INCIDENT} and {PUBLIC_URL}/services/checkout")
        await _until(lambda: both.attachments)
        await bot.governor.parts.slack.app.drain(10)
        assert [preview["from_url"] for preview in both.attachments] == [f"{PUBLIC_URL}/services/checkout"]
        async with aiohttp.ClientSession() as browser:
            for path in ("/incidents/1", "/incidents/7", "/services/checkout", "/slack/install"):
                async with browser.get(bot.url + path, allow_redirects=False) as answer:
                    text = await answer.text()
                    assert answer.status == 200, path
                    assert "500s" not in text
                    assert "script" not in answer.headers["Content-Security-Policy"]
            async with browser.get(f"{bot.url}/slack/install") as answer:
                address = (await answer.text()).partition('href="')[2].partition('"')[0]
        assert {"links:read", "links:write"} <= set(URL(unescape(address)).query["scope"].split(","))
