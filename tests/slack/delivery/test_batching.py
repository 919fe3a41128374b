"""Hundreds of messages to one channel: sent in a few posts, each once and in order, and nobody else waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.slack.delivery.batching import MOST_LINES, SMALLEST_BATCH, combine, next_batch
from bot.slack.delivery.rate_limits import WorkspaceRateLimit
from bot.store.outbox import DeliveryState, OutboxMessage, QueuedMessage, enqueue
from tests.stories.test_crash import keys_of
from tests.support.delivery import BRISK, Delivery, open_delivery

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


def brief(number: int, words: str = "is frozen") -> OutboxMessage:
    text = f"service-{number} {words}"
    return OutboxMessage("#releases", "service_frozen", f"*{text}* in full", brief=text, is_bulk=True)


def waiting(messages: Sequence[OutboxMessage]) -> list[QueuedMessage]:
    return [
        QueuedMessage(number, f"key-{number}", message, DeliveryState.WAITING, AT, None, 0)
        for number, message in enumerate(messages)
    ]


async def put(delivery: Delivery, messages: Sequence[OutboxMessage]) -> None:
    async with delivery.database.transaction() as connection:
        await enqueue(connection, messages, AT)


async def keys_shown(delivery: Delivery, channel: str) -> list[str]:
    return [key for message in delivery.slack.messages(channel) for key in keys_of(message)]


async def check_told_once(delivery: Delivery) -> None:
    rows = await delivery.rows()
    assert {row.state for row in rows} == {"sent"}
    assert await keys_shown(delivery, "#releases") == [row.key for row in rows]


def test_few_messages_are_sent_one_by_one() -> None:
    messages = waiting([brief(number) for number in range(SMALLEST_BATCH - 1)])
    assert list(next_batch(messages)) == messages[:1]


def test_a_message_without_a_brief_is_not_combined_and_not_overtaken() -> None:
    alone = OutboxMessage("#releases", "policy_faults", "Nobody can read the policies.")
    messages = waiting([*(brief(n) for n in range(SMALLEST_BATCH)), alone, *(brief(n) for n in range(50))])
    assert list(next_batch(messages)) == messages[:SMALLEST_BATCH]
    assert list(next_batch(messages[SMALLEST_BATCH:])) == [messages[SMALLEST_BATCH]]


def test_a_line_that_no_block_takes_is_sent_by_itself() -> None:
    long = OutboxMessage("#releases", "told", "long", brief="x" * 3_500)
    messages = waiting([long, *(brief(number) for number in range(20))])
    assert list(next_batch(messages)) == messages[:1]
    assert list(next_batch(messages[1:])) == messages[1:]


def test_a_combined_message_has_every_line_and_keeps_to_slacks_limits() -> None:
    messages = waiting([brief(number, "is frozen, as " + "it is " * 12) for number in range(400)])
    batch = next_batch(messages)
    assert SMALLEST_BATCH < len(batch) <= MOST_LINES
    message = combine(batch)
    words = "\n".join(block["text"]["text"] for block in message.blocks if block["type"] == "section")
    assert words.startswith(f"{len(batch)} changes at once:")
    assert [line for line in words.splitlines()[1:] if line] == [queued.message.brief for queued in batch]
    assert len(message.blocks) <= LIMITS["message"]["blocks"]
    assert all(len(block["text"]["text"]) <= 3_000 for block in message.blocks if block["type"] == "section")
    assert len(message.text) <= 3_000


async def test_hundreds_are_sent_in_a_few_messages(delivery: Delivery) -> None:
    await put(delivery, [brief(number) for number in range(500)])
    async with delivery.dispatcher():
        await delivery.until_done()
    await check_told_once(delivery)
    assert len(delivery.slack.messages("#releases")) == -(-500 // MOST_LINES)
    assert not delivery.slack.refused


@pytest.mark.parametrize("fault", [InjectedFault.CUT, InjectedFault.SERVER_ERROR, InjectedFault.RATE_LIMITED])
async def test_a_combined_message_is_sent_once_whatever_happens_to_it(
    delivery: Delivery, fault: InjectedFault
) -> None:
    delivery.slack.faults.once(fault, "chat.postMessage")
    await put(delivery, [brief(number) for number in range(40)])
    async with delivery.dispatcher():
        await delivery.until_done()
    await check_told_once(delivery)
    assert len(delivery.slack.messages("#releases")) == 1


async def test_what_slack_refuses_as_a_batch_is_sent_one_by_one(delivery: Delivery) -> None:
    delivery.slack.faults.refuse("chat.postMessage", "msg_too_long")
    await put(delivery, [brief(number) for number in range(20)])
    async with delivery.dispatcher():
        await delivery.until_done()
    await check_told_once(delivery)
    assert len(delivery.slack.messages("#releases")) == 20


async def test_bulk_leaves_room_for_others_in_the_workspace_rate_limit() -> None:
    quota = WorkspaceRateLimit(100, 60.0, lambda: 1)
    taken = 0
    while quota.acquire(is_bulk=True) == 0:
        taken += 1
    assert taken == 88
    assert [quota.acquire(is_bulk=False) for _ in range(12)] == [0] * 12
    assert 59 < quota.acquire(is_bulk=False) <= 60


async def test_a_call_counts_until_a_minute_after_its_end() -> None:
    quota = WorkspaceRateLimit(1, 60.0, lambda: 1)
    assert quota.acquire(is_bulk=True) == 0
    # It has not ended, so Slack may not have counted it yet.
    assert quota.wait_s(is_bulk=False) == 60
    assert quota.room(is_bulk=False, within_s=120) == 0
    quota.record_end(is_bulk=True)
    assert 59 < quota.wait_s(is_bulk=False) <= 60
    assert [quota.room(is_bulk=is_bulk, within_s=0) for is_bulk in (True, False)] == [0, 0]
    assert [quota.room(is_bulk=is_bulk, within_s=60) for is_bulk in (True, False)] == [1, 1]


async def test_replicas_share_the_rate_limit() -> None:
    quotas = [WorkspaceRateLimit(90, 60.0, lambda: 3) for _ in range(3)]
    assert sum(quota.acquire(is_bulk=False) == 0 for quota in quotas for _ in range(90)) == 90


async def test_nobody_waits_behind_what_comes_by_the_hundred(delivery: Delivery) -> None:
    most = 60
    delivery.slack.rates.burst = 1
    names = [f"service-{number}" for number in range(most + 30)]
    for name in names:
        delivery.slack.workspace.create_channel(name, BOT_USER_ID)
    await put(delivery, [OutboxMessage(f"#{name}", "told", name, is_bulk=True) for name in names])
    async with delivery.dispatcher(timing=replace(BRISK, most_a_minute=most, minute_s=1.5)) as dispatcher:
        channel_names = [f"#{name}" for name in names]
        await delivery.slack.until(
            lambda: sum(bool(delivery.texts(name)) for name in channel_names) >= most * 8 // 10
        )
        await delivery.write("#checkout", "not bulk")
        dispatcher.notify()
        await delivery.slack.until(lambda: delivery.texts("#checkout"))
        assert not all(delivery.texts(name) for name in channel_names)
        await asyncio.wait_for(delivery.until_done(), 20)
