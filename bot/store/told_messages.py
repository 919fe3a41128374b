"""Messages of the outbox, sent or not, found by what they say; their content is replaced.

For what becomes private after it was told. A message that is being sent just now is left alone: its outcome
decides whether it must be edited in Slack.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.addresses import qualified, team_of
from bot.store.outbox import DeliveryState, OutboxMessage, message_of
from bot.store.tables.core import outbox
from bot.store.threads import MessageLocation


@dataclass(frozen=True, slots=True)
class ToldMessage:
    """A message in the outbox, and where it is in Slack once it was sent.

    `is_combined`: it went into one post with others, of which it has a line.
    """

    id: int
    key: str
    message: OutboxMessage
    state: DeliveryState
    attempts: int
    place: MessageLocation | None
    is_combined: bool = False


async def read_told(
    connection: AsyncConnection, since: datetime, traces: Collection[str], keys: Collection[str] = ()
) -> Sequence[ToldMessage]:
    """Return the messages since a time whose text contains one of the traces, and those of these keys."""
    contains = [outbox.c.text.contains(trace, autoescape=True) for trace in traces]
    said = (outbox.c.created_at >= since) & or_(*contains) if contains else None
    of_keys = outbox.c.key.in_(keys)
    wanted = of_keys if said is None else or_(said, of_keys)
    rows = (await connection.execute(select(outbox).where(wanted).order_by(outbox.c.id))).all()
    timestamps = [row.ts for row in rows if row.ts]
    at_place: dict[tuple[str, str], int] = {}
    for row in await connection.execute(
        select(outbox.c.channel_id, outbox.c.ts).where(outbox.c.ts.in_(timestamps))
    ):
        at_place[row.channel_id, row.ts] = at_place.get((row.channel_id, row.ts), 0) + 1
    return [
        ToldMessage(
            row.id,
            row.key,
            message_of(row),
            DeliveryState(row.state),
            row.attempts,
            MessageLocation(qualified(team_of(row.channel), row.channel_id), row.ts) if row.ts else None,
            is_combined=bool(row.ts) and at_place[row.channel_id, row.ts] > 1,
        )
        for row in rows
    ]


async def replace_content(connection: AsyncConnection, told: ToldMessage, message: OutboxMessage) -> bool:
    """Replace what a message says if it is in the state in which it was read; return whether it was.

    One that waits counts another attempt, so that nobody sends what it said before.
    """
    is_waiting = told.state is DeliveryState.WAITING
    same = (outbox.c.id == told.id) & (outbox.c.state == told.state) & (outbox.c.attempts == told.attempts)
    replaced = await connection.execute(
        update(outbox)
        .where(same)
        .values(
            text=message.text,
            blocks=list(message.blocks),
            brief=message.brief,
            attempts=told.attempts + 1 if is_waiting else told.attempts,
        )
    )
    return replaced.rowcount == 1
