"""Whom a message notifies: user groups and people, once, and never at the price of the message itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.blockkit.blocks import actions, button, section
from bot.slack.delivery.context import DeliveryTiming
from bot.store.outbox import OutboxMessage, enqueue
from tests.support.delivery import BRISK, Delivery, open_delivery, working

TEAMS = ("@checkout-devs", "U0SAM", "@nobody")
BLOCKS = (section("*checkout* is frozen"), *actions(button("See budget", "show", "budget checkout")))


@pytest.fixture
async def delivery(tmp_path: Path) -> AsyncIterator[Delivery]:
    async with open_delivery(tmp_path) as delivery:
        yield delivery


async def put(delivery: Delivery, *texts: str) -> None:
    """Put messages for the teams into the outbox."""
    messages = [OutboxMessage("#checkout", "told", text, BLOCKS, mentions=TEAMS) for text in texts]
    async with delivery.database.transaction() as connection:
        await enqueue(connection, messages, SystemClock().now())


def expected(delivery: Delivery) -> str:
    group = delivery.slack.workspace.group("@checkout-devs").id
    return f"For <!subteam^{group}> <@U0SAM> @nobody"


async def test_groups_and_people_are_notified_in_text_and_blocks(delivery: Delivery) -> None:
    await put(delivery, "Frozen")
    async with delivery.dispatcher():
        await delivery.until_done()
    [message] = delivery.slack.messages("#checkout")
    assert message.text == f"Frozen\n{expected(delivery)}"
    assert message.blocks is not None
    assert [block["type"] for block in message.blocks] == ["section", "section", "actions"]
    assert message.blocks[1]["text"]["text"] == expected(delivery)
    assert not delivery.slack.refused


@pytest.mark.parametrize("fault", [InjectedFault.CUT, InjectedFault.RATE_LIMITED])
async def test_a_post_that_is_repeated_or_found_notifies_once(
    delivery: Delivery, fault: InjectedFault
) -> None:
    delivery.slack.faults.once(fault, "chat.postMessage")
    await put(delivery, "Frozen")
    async with delivery.dispatcher(), working(delivery.database, delivery.client, timing=BRISK):
        await delivery.until_done()
    assert delivery.texts("#checkout") == [f"Frozen\n{expected(delivery)}"]


async def test_slack_is_asked_once_more_who_the_groups_are(delivery: Delivery) -> None:
    delivery.slack.faults.once(InjectedFault.SERVER_ERROR, "usergroups.list")
    await put(delivery, "Frozen")
    async with delivery.dispatcher():
        await delivery.until_done()
    assert delivery.texts("#checkout") == [f"Frozen\n{expected(delivery)}"]


async def test_a_message_goes_out_with_handles_where_slack_does_not_say_who_they_are(tmp_path: Path) -> None:
    async with open_delivery(tmp_path, without_scopes=["usergroups:read"]) as delivery:
        await put(delivery, "Frozen", "Frozen again")
        async with delivery.dispatcher(timing=DeliveryTiming(interval_s=0.05, not_permitted_s=3_600.0)):
            await delivery.until_done()
        line = "For @checkout-devs <@U0SAM> @nobody"
        assert delivery.texts("#checkout") == [f"Frozen\n{line}", f"Frozen again\n{line}"]
