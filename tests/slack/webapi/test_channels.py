"""Names of channels in a workspace whose list has more pages than Slack lets anybody read in a minute."""

from collections.abc import AsyncIterator

import pytest

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.slack.webapi.channels import ChannelDirectory
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.errors import RateLimitedError, SlackRefusedError, SlackUnavailableError

_PAGES = 45
_ROWS = 3


class Seconds:
    """The time of the stand-in's rate limits and of the directory, which a test sets forward."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def slack(seconds: Seconds) -> AsyncIterator[FakeSlackServer]:
    async with FakeSlackServer(manifest=manifest("https://governor.example"), wall=seconds) as slack:
        workspace = slack.workspace
        while len(workspace.channels) < _PAGES * _ROWS:
            workspace.create_channel(f"team-{len(workspace.channels)}", "U0SAM")
        workspace.plan.most_rows = _ROWS
        yield slack


@pytest.fixture
def directory(slack: FakeSlackServer, seconds: Seconds) -> ChannelDirectory:
    client = SlackClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    return ChannelDirectory(client, now_s=seconds)


async def resolve_with_patience(directory: ChannelDirectory, seconds: Seconds, address: str) -> str:
    """Resolve as a channel's queue does: ask again after the time that Slack names."""
    for _ in range(20):
        try:
            return await directory.resolve(address)
        except RateLimitedError as error:
            seconds.now += error.retry_after_s
    raise AssertionError("Slack's rate limit was never passed")


def pages_read(slack: FakeSlackServer) -> list[str]:
    """Return the cursors of the pages that Slack answered with."""
    calls = [call for call in slack.calls if call.method == "conversations.list" and not call.error]
    return [str(call.args.get("cursor") or "") for call in calls]


async def test_a_reading_goes_on_where_the_rate_limit_interrupted_it(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    last = list(slack.workspace.channels.values())[-1]
    assert await resolve_with_patience(directory, seconds, f"#{last.name}") == last.id
    cursors = pages_read(slack)
    assert len(cursors) == len(set(cursors)) == _PAGES


async def test_nobody_asks_before_the_time_that_slack_names(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    last = list(slack.workspace.channels.values())[-1]
    with pytest.raises(RateLimitedError) as refused:
        await directory.resolve(f"#{last.name}")
    calls = len(slack.calls)
    seconds.now += refused.value.retry_after_s / 2
    for name in (last.name, "nowhere"):
        with pytest.raises(RateLimitedError) as again:
            await directory.resolve(f"#{name}")
        assert again.value.retry_after_s == pytest.approx(refused.value.retry_after_s / 2)
    assert len(slack.calls) == calls


async def test_a_name_on_an_early_page_waits_for_no_other_page(
    slack: FakeSlackServer, directory: ChannelDirectory
) -> None:
    first = next(iter(slack.workspace.channels.values()))
    assert await directory.resolve(f"#{first.name}") == first.id
    assert await directory.resolve(f"#{first.name}") == first.id
    assert len(pages_read(slack)) == 1


async def test_a_name_that_is_nowhere_is_said_to_be_so_after_one_whole_reading(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    first = next(iter(slack.workspace.channels.values()))
    await directory.resolve(f"#{first.name}")
    with pytest.raises(SlackRefusedError, match="channel_not_found"):
        await resolve_with_patience(directory, seconds, "#nowhere")
    # The rest of the reading that had begun before, then a whole one.
    assert len(pages_read(slack)) == 2 * _PAGES


async def test_a_channel_that_is_made_later_is_found_when_it_is_asked_for_again(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    slack.rates.enabled = False
    with pytest.raises(SlackRefusedError, match="channel_not_found"):
        await directory.resolve("#later")
    made = slack.workspace.create_channel("later", "U0SAM")
    assert await resolve_with_patience(directory, seconds, "#later") == made.id


async def test_archived_channels_are_left_out(slack: FakeSlackServer, directory: ChannelDirectory) -> None:
    slack.rates.enabled = False
    channels = list(slack.workspace.channels.values())
    for channel in channels[6:-1]:
        channel.is_archived = True
    assert await directory.resolve(f"#{channels[-1].name}") == channels[-1].id
    assert len(pages_read(slack)) == 3
    # The list without them is short, so it is worth saying what is wrong with this one.
    assert await directory.resolve(f"#{channels[7].name}") == channels[7].id
    for channel in channels[6:-1]:
        channel.is_archived = False
    channels[40].is_archived = True
    with pytest.raises(SlackRefusedError, match="channel_not_found"):
        await directory.resolve(f"#{channels[40].name}")


async def test_a_cursor_that_has_ended_begins_the_reading_again(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    last = list(slack.workspace.channels.values())[-1]
    with pytest.raises(RateLimitedError) as refused:
        await directory.resolve(f"#{last.name}")
    seconds.now += refused.value.retry_after_s
    slack.faults.refuse("conversations.list", "invalid_cursor")
    with pytest.raises(SlackUnavailableError, match="invalid_cursor"):
        await directory.resolve(f"#{last.name}")
    assert await resolve_with_patience(directory, seconds, f"#{last.name}") == last.id


async def test_an_answer_without_channels_is_tried_again(
    slack: FakeSlackServer, directory: ChannelDirectory, seconds: Seconds
) -> None:
    slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.list")
    first = next(iter(slack.workspace.channels.values()))
    with pytest.raises(Exception, match="http_500"):
        await directory.resolve(f"#{first.name}")
    assert await resolve_with_patience(directory, seconds, f"#{first.name}") == first.id
