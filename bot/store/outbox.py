"""The outbox: messages that were decided in a transaction and are sent later by the courier.

Knows nothing of Slack but that a message has a channel, a text and blocks.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import outbox

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel (`#name` or an id). `event_type` names the occasion, in snake case."""

    channel: str
    event_type: str
    text: str
    blocks: Sequence[Block] = ()


async def enqueue(connection: AsyncConnection, messages: Iterable[Message], now: datetime) -> int:
    """Put messages into the outbox within the caller's transaction; answer how many."""
    rows = [
        {
            "key": str(uuid.uuid4()),
            "channel": message.channel,
            "event_type": message.event_type,
            "text": message.text,
            "blocks": list(message.blocks),
            "created_at": now,
            "state": "waiting",
            "attempts": 0,
        }
        for message in messages
    ]
    if rows:
        await connection.execute(insert(outbox), rows)
    return len(rows)
