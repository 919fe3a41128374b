"""What the dispatcher does when nobody knows whether a message arrived: it looks, and never sends blindly."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from bot.clock import SimulatedClock, SystemClock
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.delivery.sender import MessageSender
from bot.slack.webapi.errors import RateLimitedError
from bot.store.outbox import QueuedMessage, claim, first_unsent, requeue
from tests.support.delivery import BRISK, Delivery, manifest, open_delivery, working
from tests.support.servers import free_port


@pytest.fixture
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


def calls(delivery: Delivery, method: str) -> list[dict[str, Any]]:
    """Return the arguments of every call of a method."""
    return [call.args for call in delivery.slack.calls if call.method == method]


async def begin_sending(delivery: Delivery, channel: str, *, arrives: bool) -> None:
    """Do what a dispatcher has done that is killed before it hears Slack's answer."""
    async with delivery.database.transaction() as connection:
        queued = await first_unsent(connection, channel)
        assert queued is not None
        assert await claim(connection, queued, SystemClock().now())
    if arrives:
        await MessageSender(delivery.client, timeout_s=5, calls=1).post(
            queued, delivery.slack.find_channel(channel), queued.message
        )


async def test_a_post_that_was_cut_off_is_found_and_not_sent_again(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.CUT, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher():
        await delivery.until_done()
        counted = generate_latest(delivery.registry).decode()
    assert delivery.texts("#checkout") == ["one", "two"]
    assert len(calls(delivery, "chat.postMessage")) == 2
    assert [row.ts for row in await delivery.rows()] == [m.ts for m in delivery.slack.messages("#checkout")]
    assert 'governor_outbox_messages_total{outcome="found"} 1.0' in counted
    assert 'governor_outbox_retries_total{reason="connection_lost"} 1.0' in counted


async def test_a_post_that_failed_within_slack_is_looked_for_and_sent_again(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.SERVER_ERROR, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]
    assert len(calls(delivery, "conversations.history")) == 1
    assert [row.attempts for row in await delivery.rows()] == [2, 1]


async def test_an_answer_that_comes_too_late_doubles_nothing(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.SLOW, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher(timing=replace(BRISK, call_timeout_s=0.3)):
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]


async def test_a_post_is_found_though_the_bots_clock_is_far_ahead(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.CUT, "chat.postMessage")
    await delivery.write("#checkout", "one")
    ahead = SimulatedClock(SystemClock().now() + timedelta(days=365), speed=100)
    async with working(delivery.database, delivery.client, clock=ahead):
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one"]


async def test_faults_of_the_look_up_itself_are_waited_out(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.CUT, "chat.postMessage")
    delivery.slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.history")
    delivery.slack.faults.once(InjectedFault.CUT, "conversations.history")
    await delivery.write("#checkout", "one")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one"]
    assert len(calls(delivery, "conversations.history")) == 3


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_message_that_was_being_sent_at_a_crash_is_told_once(
    delivery: Delivery, *, arrives: bool
) -> None:
    await delivery.write("#checkout", "one", "two")
    await begin_sending(delivery, "#checkout", arrives=arrives)
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]


async def test_a_message_is_found_below_much_chatter(delivery: Delivery) -> None:
    workspace = delivery.slack.workspace
    channel = workspace.channel("#checkout")
    delivery.slack.rates.enabled = False
    await delivery.write("#checkout", "one")
    async with delivery.dispatcher():
        await delivery.until_done()
    await delivery.write("#checkout", "two")
    await begin_sending(delivery, "#checkout", arrives=True)
    for number in range(450):
        workspace.say(channel, "U0RILEY", f"chatter {number}")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert [text for text in delivery.texts("#checkout") if not text.startswith("chatter")] == ["one", "two"]
    assert len(calls(delivery, "conversations.history")) == 3


async def test_a_look_up_for_another_attempt_begins_at_the_newest_page(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = delivery.slack.workspace.channel("#checkout")
    delivery.slack.rates.enabled = False
    for number in range(250):
        delivery.slack.workspace.say(channel, "U0RILEY", f"chatter {number}")
    await delivery.write("#checkout", "one")
    await begin_sending(delivery, "#checkout", arrives=False)
    first = await queued_in(delivery, "#checkout")
    sender, cursors = MessageSender(delivery.client, timeout_s=5, calls=1), []
    read_page = sender._history

    async def read(channel_id: str, oldest: str, cursor: str) -> Mapping[str, Any]:
        cursors.append(cursor)
        if len(cursors) == 2:
            delivery.slack.faults.once(InjectedFault.RATE_LIMITED, "conversations.history")
        return await read_page(channel_id, oldest, cursor)

    monkeypatch.setattr(sender, "_history", read)
    with pytest.raises(RateLimitedError):
        await sender.find(first, channel.id, "0")
    # Here the lease ends. Another replica finds nothing, posts, and ends before it has recorded that.
    async with delivery.database.transaction() as connection:
        await requeue(connection, first, "not_arrived")
    await begin_sending(delivery, "#checkout", arrives=True)
    found = await sender.find(await queued_in(delivery, "#checkout"), channel.id, "0")
    assert found is not None
    assert found.keys == {first.key}
    assert cursors[2] == "", "the page that was next for the attempt before"


async def queued_in(delivery: Delivery, channel: str) -> QueuedMessage:
    """Return the first message that is not done."""
    async with delivery.database.reading() as connection:
        queued = await first_unsent(connection, channel)
    assert queued is not None
    return queued


async def test_an_unreadable_history_delays_the_message_and_no_other_channel(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, without_scopes=["channels:history"]) as delivery:
        delivery.slack.faults.once(InjectedFault.CUT, "chat.postMessage")
        await delivery.write("#checkout", "one", "two")
        async with delivery.dispatcher() as dispatcher:
            why = "missing_scope: needs channels:history"
            await delivery.until(lambda: dispatcher.health.delayed == {"#checkout": why})
            await delivery.write("#search", "elsewhere")
            await delivery.slack.until(lambda: delivery.texts("#search"))
            assert delivery.texts("#checkout") == ["one"]
            delivery.slack.platform.manifest = manifest()
            await delivery.until_done()
        assert delivery.texts("#checkout") == ["one", "two"]


async def test_a_channel_that_shut_the_bot_out_is_given_up_not_guessed(delivery: Delivery) -> None:
    await delivery.write("#checkout", "one")
    await begin_sending(delivery, "#checkout", arrives=True)
    channel = delivery.slack.workspace.channel("#checkout")
    channel.kind = "private"
    channel.members = ["U0MORGAN"]
    async with delivery.dispatcher():
        await delivery.until_done()
    assert [(row.state, row.error) for row in await delivery.rows()] == [("failed", "channel_not_found")]
    assert delivery.texts(channel.id) == ["one"]


async def test_slack_out_of_reach_keeps_the_messages_waiting(delivery: Delivery) -> None:
    reachable, delivery.client.base_url = delivery.client.base_url, f"http://127.0.0.1:{free_port()}/"
    await delivery.write(delivery.slack.find_channel("#checkout"), "one")
    async with delivery.dispatcher() as dispatcher:
        await delivery.until(lambda: bool(dispatcher.health.delayed))
    [row] = await delivery.rows()
    assert (row.state, row.error) == ("waiting", "not_connected")
    delivery.client.base_url = reachable
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one"]
    assert not calls(delivery, "conversations.history")


async def test_a_locked_database_loses_and_doubles_nothing(delivery: Delivery, tmp_path: Path) -> None:
    refused = asyncio.Event()
    engine = delivery.database.engine.sync_engine
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=20"))

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        if "locked" in str(context.original_exception):
            refused.set()

    await engine_reconnects(delivery)
    delivery.slack.faults.slow_s = 0.2
    delivery.slack.faults.once(InjectedFault.SLOW, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher():
        await delivery.slack.until(lambda: delivery.texts("#checkout"))
        other = sqlite3.connect(tmp_path / "governor.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await refused.wait()
        other.execute("ROLLBACK")
        other.close()
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]
    assert not calls(delivery, "conversations.history")


async def engine_reconnects(delivery: Delivery) -> None:
    """Close the pooled connections, so that new ones see new settings."""
    await delivery.database.engine.dispose()


async def test_a_drain_finishes_what_is_being_sent_and_begins_nothing_new(delivery: Delivery) -> None:
    delivery.slack.faults.slow_s = 0.3
    delivery.slack.faults.once(InjectedFault.SLOW, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher() as dispatcher:
        await delivery.slack.until(lambda: delivery.texts("#checkout"))
        await dispatcher.drain(5)
    assert await delivery.states() == ["sent", "waiting"]


async def test_a_drain_that_runs_out_of_time_leaves_the_message_to_be_found(delivery: Delivery) -> None:
    delivery.slack.faults.slow_s = 5
    delivery.slack.faults.once(InjectedFault.SLOW, "chat.postMessage")
    await delivery.write("#checkout", "one", "two")
    async with delivery.dispatcher() as dispatcher:
        await delivery.slack.until(lambda: delivery.texts("#checkout"))
        await dispatcher.drain(0.05)
    assert await delivery.states() == ["sending", "waiting"]
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == ["one", "two"]
