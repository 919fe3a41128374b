"""The dispatcher's guarantees: order, rate limits, and reports of messages that cannot be delivered."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.blockkit.blocks import line_chart
from bot.slack.delivery.channel_queue import DELIVERY_FAILED
from bot.slack.delivery.dispatcher import LATE_AFTER, OutboxDispatcher
from bot.store.outbox import OutboxMessage, QueuedMessage, first_unsent
from bot.store.tables.core import outbox
from tests.support.clock import ForwardableClock
from tests.support.delivery import Delivery, open_delivery, working


@pytest.fixture
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


def to_releases(message: OutboxMessage, error: str) -> Sequence[OutboxMessage]:
    """Return a notice of a failure for the announcements channel."""
    return [OutboxMessage("#releases", DELIVERY_FAILED, f"{message.channel}: {error}")]


def failing_messages(dispatcher: OutboxDispatcher, channel: str) -> int:
    """Return how many messages of a channel were given up, as far as the dispatcher knows."""
    failing = dispatcher.health.failing.get(channel)
    return failing.messages if failing else 0


async def test_messages_arrive_in_order_within_the_channels_rate_limit(delivery: Delivery) -> None:
    texts = [f"message {number}" for number in range(10)]
    await delivery.write("#checkout", *texts)
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == texts
    assert not delivery.slack.refused


async def test_a_message_carries_text_blocks_and_its_key(delivery: Delivery) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "*Frozen*"}}
    await delivery.write("#checkout", "Frozen", blocks=[block])
    async with delivery.dispatcher():
        await delivery.until_done()
    [row] = await delivery.rows()
    [message] = delivery.slack.messages("#checkout")
    assert message.text == "Frozen"
    assert message.blocks is not None
    assert message.blocks[0]["text"]["text"] == "*Frozen*"
    assert message.metadata == {"event_type": "told", "event_payload": {"key": row.key}}
    assert (row.state, row.ts, row.attempts) == ("sent", message.ts, 1)
    assert row.channel_id == delivery.slack.find_channel("#checkout")


async def test_a_message_written_while_the_dispatcher_runs_is_sent_when_it_is_notified(
    delivery: Delivery,
) -> None:
    async with delivery.dispatcher() as dispatcher:
        await delivery.write("#checkout", "one")
        dispatcher.notify()
        await delivery.until_done()
        await delivery.write("#checkout", "two")  # as another process would: nobody wakes the dispatcher
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]


async def test_a_rate_limited_channel_delays_no_other(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.RATE_LIMITED, "chat.postMessage")
    await delivery.write("#checkout", "throttled")
    async with delivery.dispatcher():
        await delivery.slack.until(lambda: delivery.slack.calls[-1:] and delivery.slack.calls[-1].fault)
        await delivery.write("#search", *[f"message {number}" for number in range(5)])
        await delivery.slack.until(lambda: len(delivery.texts("#search")) == 5)
        assert delivery.texts("#checkout") == []
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["throttled"]


async def test_a_refused_message_is_recorded_and_reported_once(delivery: Delivery) -> None:
    channel = delivery.slack.workspace.channel("#checkout")
    channel.is_archived = True
    await delivery.write("#checkout", "one", "two")
    await delivery.write("#search", "elsewhere")
    async with delivery.dispatcher(notice=to_releases) as dispatcher:
        await delivery.until_done()
        await delivery.slack.until(lambda: delivery.texts("#releases"))
        await delivery.until_done()
        await delivery.until(lambda: failing_messages(dispatcher, "#checkout") == 2)
        assert dispatcher.health.failing["#checkout"].error == "is_archived"
    assert delivery.texts("#releases") == ["#checkout: is_archived"]
    assert delivery.texts("#search") == ["elsewhere"]
    assert [row.error for row in await delivery.rows() if row.channel == "#checkout"] == ["is_archived"] * 2


async def test_a_channel_that_recovered_is_reported_again_when_it_fails_again(delivery: Delivery) -> None:
    channel = delivery.slack.workspace.channel("#checkout")
    async with delivery.dispatcher(notice=to_releases) as dispatcher:
        for text, archived in (("one", True), ("two", False), ("three", True)):
            channel.is_archived = archived
            await delivery.write("#checkout", text)
            dispatcher.notify()
            await delivery.until_done()
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["two"]
    assert delivery.texts("#releases") == ["#checkout: is_archived"] * 2


async def test_failures_are_still_shown_after_a_restart(delivery: Delivery) -> None:
    delivery.slack.workspace.channel("#checkout").is_archived = True
    await delivery.write("#checkout", "one")
    async with delivery.dispatcher(notice=to_releases):
        await delivery.until_done()
    await delivery.write("#checkout", "two")
    async with delivery.dispatcher(notice=to_releases) as dispatcher:
        await delivery.until_done()
        await delivery.write("#search", "later")
        await delivery.slack.until(lambda: delivery.texts("#search"))
        await delivery.until(lambda: failing_messages(dispatcher, "#checkout") == 2)
    assert delivery.texts("#releases") == ["#checkout: is_archived"]


async def test_a_broken_announcements_channel_makes_no_loop(delivery: Delivery) -> None:
    delivery.slack.workspace.channel("#releases").is_archived = True
    await delivery.write("#nowhere", "lost")
    await delivery.write("#releases", "lost too")
    async with delivery.dispatcher(notice=to_releases):
        await delivery.until_done()
    rows = [(row.channel, row.event_type, row.error) for row in await delivery.rows()]
    assert rows == [
        ("#nowhere", "told", "channel_not_found"),
        ("#releases", "told", "is_archived"),
        ("#releases", DELIVERY_FAILED, "is_archived"),
    ]


async def test_the_bot_joins_a_public_channel_that_it_is_not_in(delivery: Delivery) -> None:
    await delivery.write("#general", "hello")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#general") == ["hello"]


async def test_the_text_is_not_lost_because_of_a_refused_chart(delivery: Delivery) -> None:
    await delivery.write("#checkout", "the words", blocks=[{"type": "no such block"}])
    async with delivery.dispatcher():
        await delivery.until_done()
    [message] = delivery.slack.messages("#checkout")
    assert (message.text, message.blocks) == ("the words", [])


async def test_only_the_chart_is_left_out_where_the_workspace_takes_none(delivery: Delivery) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "*Frozen*"}}
    chart = line_chart("Left", "Budget", [("1", 0.5), ("2", 0.4)], x_label="Day", y_label="Left")
    delivery.slack.workspace.plan.has_charts = False
    await delivery.write("#checkout", "one", blocks=[section, *chart])
    await delivery.write("#checkout", "two", blocks=[section, *chart])
    async with delivery.dispatcher():
        await delivery.until_done()
    posted = delivery.slack.messages("#checkout")
    shown = [[block["type"] for block in message.blocks or ()] for message in posted]
    assert shown == [["section"], ["section"]]
    assert [call.error for call in delivery.slack.refused].count("invalid_blocks") == 1


async def test_a_message_that_is_too_long_is_given_up_and_the_next_goes(delivery: Delivery) -> None:
    await delivery.write("#checkout", "x" * 50_000, "short")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert [(row.state, row.error) for row in await delivery.rows()] == [
        ("failed", "msg_too_long"),
        ("sent", None),
    ]


async def test_a_message_that_the_bot_cannot_read_is_set_aside_and_the_next_goes(delivery: Delivery) -> None:
    await delivery.write("#checkout", "damaged", "sound")
    async with delivery.database.transaction() as connection:
        await connection.execute(update(outbox).where(outbox.c.text == "damaged").values(blocks=7))
    async with delivery.dispatcher(notice=to_releases):
        await delivery.until_done()
        await delivery.slack.until(lambda: len(delivery.texts("#releases")) == 1)
    assert await delivery.states() == ["failed", "sent", "sent"]
    assert delivery.texts("#checkout") == ["sound"]
    assert delivery.texts("#releases") == ["#checkout: internal_error"]


async def test_a_message_that_cannot_be_read_is_not_taken_for_the_one_before(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    async def read(connection: AsyncConnection, channel: str) -> QueuedMessage | None:
        nonlocal failures
        queued = await first_unsent(connection, channel)
        if queued is not None and queued.message.text == "two" and failures < 8:
            failures += 1
            raise ValueError("what is in the row is no message")
        return queued

    monkeypatch.setattr("bot.store.outbox.first_unsent", read)
    await delivery.write("#checkout", "one", "two")
    with capture_logs() as logs:
        async with delivery.dispatcher():
            await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]
    assert failures == 8
    assert "message_set_aside" not in {entry["event"] for entry in logs}


async def test_bad_credentials_keep_the_messages(delivery: Delivery) -> None:
    token, delivery.client.token = delivery.client.token, "xoxb-revoked"
    await delivery.write("C12345", "kept")
    async with delivery.dispatcher() as dispatcher:
        await delivery.until(lambda: dispatcher.health.delayed == {"C12345": "invalid_auth"})
    assert await delivery.states() == ["waiting"]
    delivery.client.token = token
    await delivery.write("#checkout", "one")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one"]


async def test_a_message_that_waits_for_minutes_is_late_for_whatever_reason(delivery: Delivery) -> None:
    clock = ForwardableClock()
    delivery.slack.faults.change({"rate_limited": 1.0})
    await delivery.write("#checkout", "one", "two")
    async with working(delivery.database, delivery.client, clock=clock) as dispatcher:
        await delivery.until(lambda: dispatcher.health.delayed == {"#checkout": "ratelimited"})
        assert not dispatcher.health.late
        clock.ahead = LATE_AFTER
        assert dispatcher.health.late["#checkout"].messages == 2
        delivery.slack.faults.clear()
        await delivery.until_done()
        await delivery.until(lambda: not dispatcher.health.late)


async def test_a_renamed_channel_keeps_getting_its_messages(delivery: Delivery) -> None:
    workspace = delivery.slack.workspace
    async with delivery.dispatcher() as dispatcher:
        await delivery.write("#checkout", "before")
        await delivery.until_done()
        workspace.rename_channel(workspace.channel("#checkout"), "till", "U0MORGAN")
        await delivery.write("#checkout", "after")
        dispatcher.notify()
        await delivery.until_done()
    await delivery.write("#checkout", "after a restart")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#till")[-3:] == ["before", "after", "after a restart"]


async def test_a_channel_made_anew_under_the_same_name_is_found(delivery: Delivery) -> None:
    workspace = delivery.slack.workspace
    async with delivery.dispatcher():
        await delivery.write("#checkout", "before")
        await delivery.until_done()
        old = workspace.channel("#checkout")
        workspace.rename_channel(old, "checkout-old", "U0MORGAN")
        old.is_archived = True
        new = workspace.create_channel("checkout", "U0MORGAN")
        await delivery.write("#checkout", "after")
        await delivery.until_done()
    assert delivery.texts(new.id) == ["after"]


async def test_a_person_is_written_to_directly(delivery: Delivery) -> None:
    await delivery.write("U0SAM", "for you alone")
    async with delivery.dispatcher():
        await delivery.until_done()
    [row] = await delivery.rows()
    assert (row.state, str(row.channel_id)[0]) == ("sent", "D")


async def test_a_hundred_channels_are_served_side_by_side(delivery: Delivery) -> None:
    names = [f"team-{number}" for number in range(100)]
    for name in names:
        channel = delivery.slack.workspace.create_channel(name, "U0MORGAN")
        channel.members.append(BOT_USER_ID)
        await delivery.write(f"#{name}", "one", "two", "three")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert all(delivery.texts(f"#{name}") == ["one", "two", "three"] for name in names)
    assert not delivery.slack.refused
