"""A post that waits for its turn among many calls is made only while the lease lasts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from bot.slack.delivery.context import LeaseLostError
from bot.slack.delivery.sender import MessageSender
from bot.store.outbox import DeliveryState, OutboxMessage, QueuedMessage
from tests.durability.channel import SteppedClient
from tests.support.clock import NOW


async def test_nothing_is_sent_where_the_lease_ended_while_other_calls_took_the_turn() -> None:
    is_asked, first_may_end, asked = asyncio.Event(), asyncio.Event(), list[str]()
    holds = True

    async def answer(_method: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(args["text"])
        is_asked.set()
        await first_may_end.wait()
        return {"channel": "C1", "ts": "1.0"}

    def left_s() -> float:
        if not holds:
            raise LeaseLostError
        return 60.0

    def post(text: str) -> asyncio.Task[object]:
        message = OutboxMessage("C1", "told", text)
        queued = QueuedMessage(1, text, message, DeliveryState.SENDING, NOW, NOW)
        return asyncio.create_task(sender.post(queued, "C1", message, left_s))

    sender = MessageSender(SteppedClient(answer), timeout_s=60, calls=1)
    first = post("one")
    await is_asked.wait()
    second = post("two")
    await asyncio.sleep(0)
    holds = False
    first_may_end.set()
    await first
    with pytest.raises(LeaseLostError):
        await second
    assert asked == ["one"]
