"""Threads: the messages of one subject in one channel. The first is the head, which says how things are now.

A thread knows where its head is once that was sent. A head that is gone is forgotten: the next message of the
thread takes its place.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables.threads import threads


@dataclass(frozen=True, slots=True)
class MessageLocation:
    """Where a message is in Slack: the channel's id and the message's `ts`."""

    channel_id: str
    ts: str


async def find_thread(connection: AsyncConnection, subject: str, channel: str) -> int | None:
    """Return the thread of a subject in a channel that has not ended."""
    query = select(threads.c.id).where(
        threads.c.subject == subject, threads.c.channel == channel, threads.c.ended_at.is_(None)
    )
    return (await connection.execute(query.order_by(threads.c.id.desc()).limit(1))).scalar_one_or_none()


async def continue_thread(connection: AsyncConnection, subject: str, channel: str, now: datetime) -> int:
    """Return the thread of a subject in a channel, a new one if there is none that lasts."""
    found = await find_thread(connection, subject, channel)
    if found is None:
        values = {"subject": subject, "channel": channel, "opened_at": now, "touched_at": now}
        created = await connection.execute(insert(threads).values(values).returning(threads.c.id))
        return int(created.scalar_one())
    await connection.execute(update(threads).where(threads.c.id == found).values(touched_at=now))
    return found


async def lasts(connection: AsyncConnection, subject: str) -> bool:
    """Return whether the subject has a thread that has not ended."""
    query = select(threads.c.id).where(threads.c.subject == subject, threads.c.ended_at.is_(None))
    return (await connection.execute(query.limit(1))).first() is not None


async def end_threads(
    connection: AsyncConnection, subject: str, now: datetime, *, quiet_since: datetime | None = None
) -> None:
    """End the subject's threads; with `quiet_since`, only those to which nothing was added after that."""
    open_ones = (threads.c.subject == subject) & threads.c.ended_at.is_(None)
    if quiet_since is not None:
        open_ones &= threads.c.touched_at < quiet_since
    await connection.execute(update(threads).where(open_ones).values(ended_at=now))


async def head_of(connection: AsyncConnection, thread_id: int) -> MessageLocation | None:
    """Return where the thread's head is; None if it was not sent or is gone."""
    query = select(threads.c.channel_id, threads.c.ts).where(threads.c.id == thread_id)
    row = (await connection.execute(query)).one_or_none()
    return MessageLocation(row.channel_id, row.ts) if row is not None and row.ts else None


async def has_ended_with(connection: AsyncConnection, thread_id: int, head: MessageLocation) -> bool:
    """Return whether the thread has ended and this is its head."""
    is_it = (threads.c.channel_id == head.channel_id) & (threads.c.ts == head.ts)
    query = select(threads.c.id).where(threads.c.id == thread_id, threads.c.ended_at.is_not(None), is_it)
    return (await connection.execute(query)).first() is not None


async def beginning_of(connection: AsyncConnection, thread_id: int) -> str:
    """Return what the thread's head said in a line when it was sent."""
    query = select(threads.c.began).where(threads.c.id == thread_id)
    return (await connection.execute(query)).scalar_one_or_none() or ""


async def set_head(
    connection: AsyncConnection, thread_id: int, place: MessageLocation, began: str | None
) -> None:
    """Record where the thread's head is, and what it said in a line when it was sent."""
    values = {"channel_id": place.channel_id, "ts": place.ts, "began": began}
    await connection.execute(update(threads).where(threads.c.id == thread_id).values(values))


async def forget_head(connection: AsyncConnection, thread_id: int, place: MessageLocation) -> None:
    """Record that the head is gone from there."""
    same = (threads.c.id == thread_id) & (threads.c.ts == place.ts)
    await connection.execute(update(threads).where(same).values(channel_id=None, ts=None))
