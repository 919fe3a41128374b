"""The reading half of the outbox, in both databases."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from bot.store import outbox
from bot.store.database import Database
from bot.store.outbox import DeliveryState, OutboxMessage, QueuedMessage
from bot.store.threads import MessageLocation
from tests.support.clock import NOW

LATER = NOW + timedelta(minutes=5)
BLOCK = {"type": "divider"}


async def write(database: Database, channel: str, *texts: str, now: datetime = NOW) -> None:
    """Put messages into the outbox."""
    async with database.transaction() as connection:
        await outbox.enqueue(
            connection, [OutboxMessage(channel, "told", text, [BLOCK]) for text in texts], now
        )


async def first(database: Database, channel: str = "#checkout") -> QueuedMessage:
    """Return the first message that is not done."""
    async with database.reading() as connection:
        queued = await outbox.first_unsent(connection, channel)
    assert queued is not None
    return queued


async def claimed(database: Database, queued: QueuedMessage, now: datetime = NOW) -> bool:
    """Try to claim a message in a transaction of its own."""
    async with database.transaction() as connection:
        return await outbox.claim(connection, queued, now)


async def failed(database: Database, error: str, channel: str = "#checkout") -> bool:
    """Return the first message up; return whether that is news."""
    queued = await first(database, channel)
    async with database.transaction() as connection:
        return await outbox.mark_failed(connection, queued, error)


async def sent(database: Database, ts: str, channel: str = "#checkout") -> None:
    """Send the first message."""
    queued = await first(database, channel)
    assert await claimed(database, queued)
    async with database.transaction() as connection:
        await outbox.mark_sent(connection, queued, MessageLocation("C1", ts), NOW)


async def test_a_message_is_read_as_it_was_written(database: Database) -> None:
    await write(database, "#checkout", "one")
    queued = await first(database)
    assert queued.message == OutboxMessage("#checkout", "told", "one", [BLOCK])
    assert (queued.state, queued.created_at, queued.first_attempt_at) == (DeliveryState.WAITING, NOW, None)


async def test_whom_a_message_notifies_is_stored_with_it(database: Database) -> None:
    message = OutboxMessage("#checkout", "told", "one", [BLOCK], mentions=("@sre", "U0DANA"))
    async with database.transaction() as connection:
        await outbox.enqueue(connection, [message], NOW)
    assert (await first(database)).message == message


async def test_the_first_message_of_a_channel_stays_first_until_it_is_done(database: Database) -> None:
    await write(database, "#checkout", "one", "two")
    await write(database, "#search", "elsewhere")
    assert await claimed(database, await first(database))
    assert (await first(database)).message.text == "one"
    assert await failed(database, "is_archived")
    assert (await first(database)).message.text == "two"
    assert (await first(database, "#search")).message.text == "elsewhere"


async def test_a_message_is_claimed_by_one_of_many(database: Database) -> None:
    await write(database, "#checkout", "one")
    queued = await first(database)
    assert sorted(await asyncio.gather(*(claimed(database, queued) for _ in range(5)))) == [False] * 4 + [
        True
    ]


async def test_the_time_of_the_first_attempt_is_kept_over_the_next(database: Database) -> None:
    await write(database, "#checkout", "one")
    assert await claimed(database, await first(database), NOW)
    async with database.transaction() as connection:
        await outbox.requeue(connection, await first(database), "ratelimited")
    assert await claimed(database, await first(database), LATER)
    assert replace(await first(database), message=OutboxMessage("", "", "")).first_attempt_at == NOW


async def test_the_backlog_counts_what_is_not_done(database: Database) -> None:
    await write(database, "#checkout", "one", "two", now=LATER)
    await write(database, "#search", "elsewhere", now=NOW)
    await sent(database, "1.0")
    async with database.reading() as connection:
        backlog = await outbox.read_backlog(connection)
    assert (backlog.channels, backlog.oldest_at) == ({"#checkout": 1, "#search": 1}, NOW)


async def test_the_backlog_knows_channels_in_which_only_a_bulk_message_waits(database: Database) -> None:
    bulk = OutboxMessage("#checkout", "told", "one of hundreds", is_bulk=True)
    several = [replace(bulk, channel="#releases"), replace(bulk, channel="#releases")]
    mixed = [replace(bulk, channel="#search"), OutboxMessage("#search", "told", "to be told now")]
    edit = OutboxMessage("#payments", "told", "edited", is_edit=True)
    async with database.transaction() as connection:
        await outbox.enqueue(connection, [bulk, *several, *mixed], NOW)
        for each in (edit, replace(edit, channel="#checkout")):
            await outbox.enqueue_edit(connection, each, NOW)
    async with database.reading() as connection:
        backlog = await outbox.read_backlog(connection)
    assert backlog.bulk == {"#checkout"}
    assert backlog.channels == {"#checkout": 2, "#releases": 2, "#search": 2, "#payments": 1}
    assert backlog.oldest.keys() == {"#checkout", "#releases", "#search"}


async def test_an_empty_outbox_has_no_backlog(database: Database) -> None:
    async with database.reading() as connection:
        assert await outbox.read_backlog(connection) == outbox.Backlog({}, {})
        assert await outbox.first_unsent(connection, "#checkout") is None
        assert await outbox.last_location(connection, "#checkout") is None
        assert await outbox.read_failing(connection) == {}


async def test_a_failure_is_news_once_per_channel_and_error_until_a_success(database: Database) -> None:
    await write(database, "#checkout", *"abcdef")
    await write(database, "#search", "elsewhere")
    assert await failed(database, "is_archived")
    assert not await failed(database, "is_archived")
    assert await failed(database, "restricted_action")
    assert await failed(database, "is_archived", "#search")
    await sent(database, "1.0")
    assert await failed(database, "is_archived")


async def test_a_channel_is_failing_until_a_message_gets_through(database: Database) -> None:
    await write(database, "#checkout", *"abc")
    await failed(database, "not_in_channel")
    await failed(database, "is_archived")
    async with database.reading() as connection:
        assert await outbox.read_failing(connection) == {
            "#checkout": outbox.FailingChannel("is_archived", 2, NOW)
        }
    await sent(database, "1.0")
    async with database.reading() as connection:
        assert await outbox.read_failing(connection) == {}


async def test_the_last_place_is_where_the_newest_message_arrived(database: Database) -> None:
    await write(database, "#checkout", "one", "two", "three")
    await sent(database, "1.0")
    await sent(database, "2.0")
    await failed(database, "is_archived")
    async with database.reading() as connection:
        assert await outbox.last_location(connection, "#checkout") == MessageLocation("C1", "2.0")
