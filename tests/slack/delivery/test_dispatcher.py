"""What the dispatcher promises about order, pace and messages that cannot be delivered."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.delivery.channel_queue import DELIVERY_FAILED
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.store.outbox import OutboxMessage
from tests.support.delivery import Post, post_office


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with post_office(tmp_path) as post:
        yield post


def to_releases(message: OutboxMessage, error: str) -> Sequence[OutboxMessage]:
    """Tell a failure in the announcements channel."""
    return [OutboxMessage("#releases", DELIVERY_FAILED, f"{message.channel}: {error}")]


def failing_messages(dispatcher: OutboxDispatcher, channel: str) -> int:
    """Return how many messages of a channel were given up, as far as the dispatcher knows."""
    failing = dispatcher.health.failing.get(channel)
    return failing.messages if failing else 0


async def test_messages_arrive_in_order_at_the_channels_pace(post: Post) -> None:
    texts = [f"message {number}" for number in range(10)]
    await post.write("#checkout", *texts)
    async with post.dispatcher():
        await post.until_done()
    assert post.texts("#checkout") == texts
    assert not post.slack.refused


async def test_a_message_carries_text_blocks_and_its_key(post: Post) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Frozen*"}}
    await post.write("#checkout", "Frozen", blocks=[block])
    async with post.dispatcher():
        await post.until_done()
    [row] = await post.rows()
    [message] = post.slack.messages("#checkout")
    assert message.text == "Frozen"
    assert message.blocks is not None
    assert message.blocks[0]["text"]["text"] == "*Frozen*"
    assert message.metadata == {"event_type": "told", "event_payload": {"key": row.key}}
    assert (row.state, row.ts, row.attempts) == ("sent", message.ts, 1)
    assert row.channel_id == post.slack.find_channel("#checkout")


async def test_a_message_written_while_the_dispatcher_runs_is_sent_when_it_is_woken(post: Post) -> None:
    async with post.dispatcher() as dispatcher:
        await post.write("#checkout", "one")
        dispatcher.wake()
        await post.until_done()
        await post.write("#checkout", "two")  # as another process would: nobody wakes the dispatcher
        await post.until_done()
    assert post.texts("#checkout") == ["one", "two"]


async def test_a_throttled_channel_holds_up_no_other(post: Post) -> None:
    post.slack.faults.once(InjectedFault.RATE_LIMITED, "chat.postMessage")
    await post.write("#checkout", "throttled")
    async with post.dispatcher():
        await post.slack.until(lambda: post.slack.calls[-1:] and post.slack.calls[-1].fault)
        await post.write("#search", *[f"message {number}" for number in range(5)])
        await post.slack.until(lambda: len(post.texts("#search")) == 5)
        assert post.texts("#checkout") == []
        await post.until_done()
    assert post.texts("#checkout") == ["throttled"]


async def test_a_refused_message_is_recorded_and_told_once(post: Post) -> None:
    channel = post.slack.workspace.channel("#checkout")
    channel.is_archived = True
    await post.write("#checkout", "one", "two")
    await post.write("#search", "elsewhere")
    async with post.dispatcher(notice=to_releases) as dispatcher:
        await post.until_done()
        await post.slack.until(lambda: post.texts("#releases"))
        await post.until_done()
        await post.until(lambda: failing_messages(dispatcher, "#checkout") == 2)
        assert dispatcher.health.failing["#checkout"].error == "is_archived"
    assert post.texts("#releases") == ["#checkout: is_archived"]
    assert post.texts("#search") == ["elsewhere"]
    assert [row.error for row in await post.rows() if row.channel == "#checkout"] == ["is_archived"] * 2


async def test_a_channel_that_recovered_is_told_again_when_it_fails_again(post: Post) -> None:
    channel = post.slack.workspace.channel("#checkout")
    async with post.dispatcher(notice=to_releases) as dispatcher:
        for text, archived in (("one", True), ("two", False), ("three", True)):
            channel.is_archived = archived
            await post.write("#checkout", text)
            dispatcher.wake()
            await post.until_done()
        await post.until_done()
    assert post.texts("#checkout") == ["two"]
    assert post.texts("#releases") == ["#checkout: is_archived"] * 2


async def test_failures_are_still_shown_after_a_restart(post: Post) -> None:
    post.slack.workspace.channel("#checkout").is_archived = True
    await post.write("#checkout", "one")
    async with post.dispatcher(notice=to_releases):
        await post.until_done()
    await post.write("#checkout", "two")
    async with post.dispatcher(notice=to_releases) as dispatcher:
        await post.until_done()
        await post.write("#search", "later")
        await post.slack.until(lambda: post.texts("#search"))
        await post.until(lambda: failing_messages(dispatcher, "#checkout") == 2)
    assert post.texts("#releases") == ["#checkout: is_archived"]


async def test_a_broken_announcements_channel_makes_no_loop(post: Post) -> None:
    post.slack.workspace.channel("#releases").is_archived = True
    await post.write("#nowhere", "lost")
    await post.write("#releases", "lost too")
    async with post.dispatcher(notice=to_releases):
        await post.until_done()
    rows = [(row.channel, row.event_type, row.error) for row in await post.rows()]
    assert rows == [
        ("#nowhere", "told", "channel_not_found"),
        ("#releases", "told", "is_archived"),
        ("#releases", DELIVERY_FAILED, "is_archived"),
    ]


async def test_the_bot_joins_a_public_channel_that_it_is_not_in(post: Post) -> None:
    await post.write("#general", "hello")
    async with post.dispatcher():
        await post.until_done()
    assert post.texts("#general") == ["hello"]


async def test_words_are_not_lost_because_of_a_picture(post: Post) -> None:
    await post.write("#checkout", "the words", blocks=[{"type": "no such block"}])
    async with post.dispatcher():
        await post.until_done()
    [message] = post.slack.messages("#checkout")
    assert (message.text, message.blocks) == ("the words", [])


async def test_a_message_that_is_too_long_is_given_up_and_the_next_goes(post: Post) -> None:
    await post.write("#checkout", "x" * 50_000, "short")
    async with post.dispatcher():
        await post.until_done()
    assert [(row.state, row.error) for row in await post.rows()] == [
        ("failed", "msg_too_long"),
        ("sent", None),
    ]


async def test_bad_credentials_keep_the_messages(post: Post) -> None:
    token, post.client.token = post.client.token, "xoxb-revoked"
    await post.write("C12345", "kept")
    async with post.dispatcher() as dispatcher:
        await post.until(lambda: dispatcher.health.delayed == {"C12345": "invalid_auth"})
    assert await post.states() == ["waiting"]
    post.client.token = token
    await post.write("#checkout", "one")
    async with post.dispatcher():
        await post.until_done()
    assert post.texts("#checkout") == ["one"]


async def test_a_renamed_channel_keeps_getting_its_messages(post: Post) -> None:
    workspace = post.slack.workspace
    async with post.dispatcher() as dispatcher:
        await post.write("#checkout", "before")
        await post.until_done()
        workspace.rename_channel(workspace.channel("#checkout"), "till", "U0MORGAN")
        await post.write("#checkout", "after")
        dispatcher.wake()
        await post.until_done()
    await post.write("#checkout", "after a restart")
    async with post.dispatcher():
        await post.until_done()
    assert post.texts("#till")[-3:] == ["before", "after", "after a restart"]


async def test_a_channel_made_anew_under_the_same_name_is_found(post: Post) -> None:
    workspace = post.slack.workspace
    async with post.dispatcher():
        await post.write("#checkout", "before")
        await post.until_done()
        old = workspace.channel("#checkout")
        workspace.rename_channel(old, "checkout-old", "U0MORGAN")
        old.is_archived = True
        new = workspace.create_channel("checkout", "U0MORGAN")
        await post.write("#checkout", "after")
        await post.until_done()
    assert post.texts(new.id) == ["after"]


async def test_a_person_is_written_to_directly(post: Post) -> None:
    await post.write("U0SAM", "for you alone")
    async with post.dispatcher():
        await post.until_done()
    [row] = await post.rows()
    assert (row.state, str(row.channel_id)[0]) == ("sent", "D")


async def test_a_hundred_channels_are_paced_side_by_side(post: Post) -> None:
    names = [f"team-{number}" for number in range(100)]
    for name in names:
        channel = post.slack.workspace.create_channel(name, "U0MORGAN")
        channel.members.append(post.slack.platform.workspace.channel("#checkout").members[-1])
        await post.write(f"#{name}", "one", "two", "three")
    async with post.dispatcher():
        await post.until_done()
    assert all(post.texts(f"#{name}") == ["one", "two", "three"] for name in names)
    assert not post.slack.refused
