"""Threads: replies to a head that is kept up to date, whatever becomes of the head and of the bot."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.clock import SystemClock
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.blockkit.blocks import section
from bot.slack.delivery.dispatcher import OutboxDispatcher
from bot.slack.webapi.client import SlackClient
from bot.store.database import Database
from bot.store.leases import Leases, LeaseTiming
from bot.store.outbox import Backlog, OutboxMessage, claim, enqueue, first_unsent, read_backlog
from tests.support.delivery import BRISK, SPEED, Delivery, open_delivery, working
from tests.support.running import eventually
from tests.support.servers import PostgreSQL

THREAD = "burn checkout"


@pytest.fixture
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


def told(
    text: str, *, is_broadcast: bool = False, brief: str | None = None, channel: str = "#checkout"
) -> OutboxMessage:
    """Return a message of the channel's thread, whose head then says `now: text`."""
    now = f"now: {text}"
    return OutboxMessage(
        channel,
        "told",
        text,
        [section(text)],
        brief,
        thread=THREAD,
        head={"text": now, "blocks": [section(now)], "line": text},
        is_broadcast=is_broadcast,
    )


async def put(delivery: Delivery, *messages: OutboxMessage) -> None:
    async with delivery.database.transaction() as connection:
        await enqueue(connection, messages, SystemClock().now())


async def sent(delivery: Delivery, *messages: OutboxMessage) -> None:
    """Put messages into the outbox and send them."""
    await put(delivery, *messages)
    async with delivery.dispatcher():
        await delivery.until_done()


def seen(delivery: Delivery) -> list[tuple[str, str | None, bool]]:
    """Return each message of the channel: its text, what it replies to, and whether the channel shows it."""
    messages = delivery.slack.messages("#checkout")
    by_ts = {message.ts: message.text for message in messages}
    return [
        (
            message.text,
            by_ts.get(message.thread_ts or "") if message.is_reply else None,
            message.is_in_channel,
        )
        for message in messages
    ]


def head(delivery: Delivery) -> Message:
    return delivery.slack.messages("#checkout")[0]


async def test_what_follows_replies_to_the_first_message_which_says_how_things_are_now(
    delivery: Delivery,
) -> None:
    await sent(delivery, told("alert"), told("warning"), told("freeze", is_broadcast=True))
    now = "now: freeze\nBegan with: alert"
    assert seen(delivery) == [(now, None, True), ("warning", now, False), ("freeze", now, True)]
    assert [block["type"] for block in head(delivery).blocks] == ["section", "context"]
    assert not delivery.slack.refused


async def test_the_head_is_not_edited_while_nothing_follows(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    assert seen(delivery) == [("alert", None, True)]


async def test_messages_of_other_subjects_stay_outside(delivery: Delivery) -> None:
    await sent(delivery, told("alert"), OutboxMessage("#checkout", "told", "elsewhere"), told("warning"))
    assert ("elsewhere", None, True) in seen(delivery)
    assert ("warning", "now: warning\nBegan with: alert", False) in seen(delivery)


async def test_what_follows_a_deleted_head_takes_its_place(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    channel = delivery.slack.workspace.channel("#checkout")
    delivery.slack.workspace.delete(channel, head(delivery))
    await sent(delivery, told("warning"), told("freeze", is_broadcast=True))
    now = "now: freeze\nBegan with: warning"
    assert seen(delivery) == [(now, None, True), ("freeze", now, True)]
    assert [row.state for row in await delivery.rows()] == ["sent"] * 4


async def test_a_head_that_cannot_be_edited_is_replaced_by_the_next_message(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    delivery.slack.faults.refuse("chat.update", "edit_window_closed")
    await sent(delivery, told("warning"))
    await sent(delivery, told("freeze", is_broadcast=True))
    await sent(delivery, told("open"))
    now = "now: open\nBegan with: freeze"
    assert seen(delivery) == [
        ("alert", None, True),
        ("warning", "alert", False),
        (now, None, True),
        ("open", now, False),
    ]


async def test_edits_of_many_heads_keep_to_the_workspaces_rate_limit(delivery: Delivery) -> None:
    channels = [f"#service-{number}" for number in range(60)]
    for channel in channels:
        delivery.slack.workspace.create_channel(channel.removeprefix("#"), BOT_USER_ID)
    await put(
        delivery, *(told(text, channel=channel) for channel in channels for text in ("alert", "freeze"))
    )
    async with delivery.dispatcher(timing=replace(BRISK, minute_s=62 / SPEED)):
        await delivery.until_done()
    heads = {delivery.slack.messages(channel)[0].text for channel in channels}
    assert heads == {"now: freeze\nBegan with: alert"}
    assert not delivery.slack.refused


async def test_posts_do_not_wait_behind_an_edit_that_waits_for_its_limit(delivery: Delivery) -> None:
    await put(delivery, told("alert"), told("warning"))
    without_edits = replace(BRISK, minute_s=1e9)
    async with delivery.dispatcher(timing=without_edits) as dispatcher:
        await delivery.slack.until(lambda: len(seen(delivery)) == 2)
        await delivery.write("#checkout", "elsewhere")
        dispatcher.notify()
        await delivery.slack.until(lambda: len(seen(delivery)) == 3)

        async def backlog() -> Backlog:
            async with delivery.database.reading() as connection:
                return await read_backlog(connection)

        await eventually(backlog, lambda of: of == Backlog({"#checkout": 1}, {}))
    assert head(delivery).text == "alert"


async def test_posts_do_not_wait_for_an_edit_that_slack_puts_off(delivery: Delivery) -> None:
    delivery.slack.faults.retry_after_s = 3_600
    delivery.slack.faults.once(InjectedFault.RATE_LIMITED, "chat.update")
    await put(delivery, told("alert"), told("warning"))
    async with delivery.dispatcher() as dispatcher:
        await eventually_delayed(dispatcher)
        await delivery.write("#checkout", "elsewhere")
        dispatcher.notify()
        await delivery.slack.until(lambda: len(seen(delivery)) == 3)
    # The edit was not tried again before its time, and waits on in the outbox.
    assert head(delivery).text == "alert"
    assert [row.state for row in await delivery.rows() if row.is_edit] == ["waiting"]


async def eventually_delayed(dispatcher: OutboxDispatcher) -> None:
    """Wait until Slack has put off something in the channel."""

    async def delayed() -> Mapping[str, str]:
        return dispatcher.health.delayed

    await eventually(delayed, lambda found: "#checkout" in found)


async def test_a_channel_that_was_made_anew_gets_its_own_head(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    workspace = delivery.slack.workspace
    old = workspace.channel("#checkout")
    workspace.rename_channel(old, "checkout-old", BOT_USER_ID)
    workspace.archive(old, BOT_USER_ID)
    workspace.create_channel("checkout", "U0DANA").members.append(BOT_USER_ID)
    await sent(delivery, told("warning"), told("freeze"))
    now = "now: freeze\nBegan with: warning"
    assert seen(delivery) == [(now, None, True), ("freeze", now, False)]
    assert [message.text for message in delivery.slack.messages("#checkout-old")] == ["alert"]


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
@pytest.mark.parametrize("fault", [InjectedFault.CUT, InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR])
async def test_a_fault_between_two_replicas_neither_doubles_nor_loses(
    delivery: Delivery, method: str, fault: InjectedFault
) -> None:
    await sent(delivery, told("alert"))
    delivery.slack.faults.once(fault, method)
    await put(delivery, told("warning"), told("freeze", is_broadcast=True))
    async with delivery.dispatcher(), working(delivery.database, delivery.client, timing=BRISK):
        await delivery.until_done()
    # Both believe to have the channel, so their edits reach Slack in any order: the next one sets it right.
    replies = [(text, is_in_channel) for text, _, is_in_channel in seen(delivery)[1:]]
    assert replies == [("warning", False), ("freeze", True)]
    await sent(delivery, told("open"))
    now = "now: open\nBegan with: alert"
    assert seen(delivery) == [
        (now, None, True),
        ("warning", now, False),
        ("freeze", now, True),
        ("open", now, False),
    ]


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
@pytest.mark.parametrize("fault", [InjectedFault.CUT, InjectedFault.RATE_LIMITED, InjectedFault.SERVER_ERROR])
async def test_after_a_fault_the_head_says_the_newest_where_one_replica_has_the_channel(
    tmp_path: Path, postgresql: PostgreSQL, method: str, fault: InjectedFault
) -> None:
    url = await postgresql.new_database()
    async with open_delivery(tmp_path, url=url) as delivery, Database(url) as other_database:
        await sent(delivery, told("alert"))
        delivery.slack.faults.once(fault, method)
        await put(delivery, told("warning"), told("freeze", is_broadcast=True))
        # They last for the test, so that no beat is needed.
        timing = LeaseTiming(holds_s=120.0, dead_after_s=180.0)
        one, other = Leases(delivery.database, timing), Leases(other_database, timing)
        await one.join()
        await other.join()
        async with (
            working(delivery.database, delivery.client, leases=one),
            working(other_database, delivery.client, leases=other),
        ):
            await delivery.until_done()
        now = "now: freeze\nBegan with: alert"
        assert seen(delivery) == [(now, None, True), ("warning", now, False), ("freeze", now, True)]


async def test_a_reply_that_arrived_before_a_crash_is_found_in_its_thread(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    await put(delivery, told("warning"))
    async with delivery.database.transaction() as connection:
        queued = await first_unsent(connection, "#checkout")
        assert queued is not None
        assert await claim(connection, queued, SystemClock().now())
    metadata = {"event_type": "told", "event_payload": {"key": queued.key}}
    workspace = delivery.slack.workspace
    arrived = Message(
        workspace.new_ts(), BOT_USER_ID, "warning", metadata=metadata, thread_ts=head(delivery).ts
    )
    workspace.post(workspace.channel("#checkout"), arrived)
    async with delivery.dispatcher():
        await delivery.until_done()
    now = "now: warning\nBegan with: alert"
    assert seen(delivery) == [(now, None, True), ("warning", now, False)]


async def test_a_combined_post_is_no_head_and_is_never_overwritten(delivery: Delivery) -> None:
    await sent(delivery, *[told(f"freeze {number}", brief=f"freeze {number}") for number in range(12)])
    (combined,) = delivery.slack.messages("#checkout")
    await sent(delivery, told("open again", is_broadcast=True))
    assert seen(delivery) == [(combined.text, None, True), ("open again", None, True)]


async def test_only_the_newest_of_waiting_edits_is_made(delivery: Delivery) -> None:
    await sent(delivery, told("alert"))
    await put(delivery, told("warning"), told("freeze"))
    await put(delivery, OutboxMessage("#checkout", "told", "now: over", thread=THREAD, is_edit=True))
    async with delivery.dispatcher():
        await delivery.until_done()
    edits = [call.args["text"] for call in delivery.slack.calls if call.method == "chat.update"]
    assert edits[-1] == head(delivery).text
    assert len(edits) < 3


class LateEdits(SlackClient):
    """A client whose edits reach Slack only when `may_go` is set, as from a replica that was halted."""

    is_editing: asyncio.Event
    may_go: asyncio.Event

    async def chat_update(self, **arguments: Any) -> AsyncSlackResponse:
        self.is_editing.set()
        await self.may_go.wait()
        return await super().chat_update(**arguments)


async def test_an_edit_that_arrives_after_a_later_one_of_another_replica_does_not_stay(
    delivery: Delivery,
) -> None:
    await sent(delivery, told("alert"))
    of_slack = delivery.client
    late = LateEdits(token=of_slack.token, base_url=of_slack.base_url, session=of_slack.session)
    late.is_editing, late.may_go = asyncio.Event(), asyncio.Event()

    def texts() -> list[str]:
        calls = [call for call in delivery.slack.calls if call.method == "chat.update" and not call.error]
        return [call.args["text"].split("\n")[0] for call in calls]

    await put(delivery, told("warning"))
    async with working(delivery.database, late):
        await late.is_editing.wait()
        await put(delivery, told("freeze"))
        async with delivery.dispatcher():
            await delivery.until_done()
            assert texts() == ["now: freeze"]
            late.may_go.set()
            await delivery.slack.until(lambda: "now: warning" in texts() and texts()[-1] == "now: freeze")
            await delivery.until_done()
    assert head(delivery).text == "now: freeze\nBegan with: alert"


async def test_an_edit_without_a_thread_is_not_stored(delivery: Delivery) -> None:
    await put(delivery, OutboxMessage("#checkout", "told", "now: over", thread=THREAD, is_edit=True))
    assert await delivery.rows() == []
