"""Whether a channel shows a file is looked for in all pages of its history, as far as Slack lets us."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.manifest import manifest
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.errors import RateLimitedError
from bot.slack.webapi.files import SlackFiles


@dataclass
class SharedFile:
    """A file that was shared in a channel before much was written there."""

    slack: FakeSlackServer
    files: SlackFiles
    channel_id: str
    file_id: str

    @property
    def pages(self) -> int:
        """How many pages of the history were read."""
        calls = self.slack.calls
        return sum(call.method == "conversations.history" and not call.error for call in calls)


@pytest.fixture
async def shared() -> AsyncIterator[SharedFile]:
    async with (
        FakeSlackServer(manifest=manifest("https://governor.example")) as slack,
        aiohttp.ClientSession() as session,
    ):
        slack.rates.enabled = False
        client = SlackClient(
            token=slack.bot_token, base_url=slack.api_url, session=session, retry_handlers=[]
        )
        files, channel = SlackFiles(client), slack.workspace.create_channel("inc-1", BOT_USER_ID)
        file_id = await files.upload("postmortem.md", "# Checkout")
        await files.share(file_id, "postmortem.md", channel.id, "Postmortem")
        slack.workspace.plan.most_rows = 10
        yield SharedFile(slack, files, channel.id, file_id)


async def write(shared: SharedFile, messages: int) -> None:
    """Write messages into the channel."""
    for number in range(messages):
        shared.slack.web_api.call(
            "chat.postMessage",
            {"token": shared.slack.bot_token, "channel": shared.channel_id, "text": str(number)},
        )


async def test_a_file_is_found_behind_many_messages(shared: SharedFile) -> None:
    await write(shared, 95)
    assert await shared.files.is_shared(shared.file_id, shared.channel_id)
    assert shared.pages == 10
    assert not await shared.files.is_shared("F0NOTHERE", shared.channel_id)


async def test_a_search_goes_on_where_the_rate_limit_interrupted_it(shared: SharedFile) -> None:
    await write(shared, 25)
    shared.slack.faults.once(InjectedFault.RATE_LIMITED, "conversations.history")
    with pytest.raises(RateLimitedError):
        await shared.files.is_shared(shared.file_id, shared.channel_id)
    assert await shared.files.is_shared(shared.file_id, shared.channel_id)
    assert shared.pages == 3


async def test_a_very_long_history_is_not_searched_to_its_end(shared: SharedFile) -> None:
    await write(shared, 210)
    assert not await shared.files.is_shared(shared.file_id, shared.channel_id)
    assert shared.pages == 20
