"""Messages of the outbox, sent or not, found by what they say or are about; their content is replaced.

For what becomes private after it was told, and for holds that have ended. A message that is being sent just
now is left alone: its outcome decides whether it must be edited in Slack. Whoever replaces a message counts
another attempt, so that of two who read it one notices that it has changed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.addresses import qualified, team_of
from bot.store.outbox import DeliveryState, OutboxMessage, enqueue_edit, message_of
from bot.store.tables.core import outbox
from bot.store.threads import MessageLocation
from bot.store.value_lists import is_one_of

HOLD_ENDED = "hold_ended"
"""The event type of what edits the announcement of a hold."""


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
    thread_id: int | None = None


async def read_told(
    connection: AsyncConnection, since: datetime, traces: Collection[str], keys: Collection[str] = ()
) -> Sequence[ToldMessage]:
    """Return the messages since a time whose text contains one of the traces, and those of these keys."""
    contains = [outbox.c.text.contains(trace, autoescape=True) for trace in traces]
    said = (outbox.c.created_at >= since) & or_(*contains) if contains else None
    of_keys = is_one_of(outbox.c.key, keys)
    wanted = of_keys if said is None else or_(said, of_keys)
    return await _read(connection, wanted)


async def find_told(connection: AsyncConnection, id_: int) -> ToldMessage | None:
    """Return the message of that number; None if it is not kept any more."""
    return next(iter(await _read(connection, outbox.c.id == id_)), None)


async def enqueue_end_of_hold(connection: AsyncConnection, hold_id: int, now: datetime) -> None:
    """Have the messages that announce a hold edited, now that it has ended: one edit for each."""
    query = select(outbox.c.id, outbox.c.channel).where(
        outbox.c.hold_id == hold_id, outbox.c.is_edit.is_(False), outbox.c.state != DeliveryState.FAILED
    )
    for row in (await connection.execute(query.order_by(outbox.c.id))).all():
        edit = OutboxMessage(row.channel, HOLD_ENDED, "", is_edit=True, hold_id=hold_id)
        await enqueue_edit(connection, edit, now, edits=row.id)


async def _read(connection: AsyncConnection, wanted: ColumnElement[bool]) -> Sequence[ToldMessage]:
    rows = (await connection.execute(select(outbox).where(wanted).order_by(outbox.c.id))).all()
    timestamps = [row.ts for row in rows if row.ts]
    at_place: dict[tuple[str, str], int] = {}
    for row in await connection.execute(
        select(outbox.c.channel_id, outbox.c.ts).where(is_one_of(outbox.c.ts, timestamps))
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
            thread_id=row.thread_id,
        )
        for row in rows
    ]


async def replace_content(connection: AsyncConnection, told: ToldMessage, message: OutboxMessage) -> bool:
    """Replace what a message says if it is in the state in which it was read; return whether it was."""
    same = (outbox.c.id == told.id) & (outbox.c.state == told.state) & (outbox.c.attempts == told.attempts)
    replaced = await connection.execute(
        update(outbox)
        .where(same)
        .values(
            text=message.text, blocks=list(message.blocks), brief=message.brief, attempts=told.attempts + 1
        )
    )
    return replaced.rowcount == 1
