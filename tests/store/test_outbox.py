"""The reading half of the outbox, in both databases."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bot.store import outbox, thread_heads, told_messages
from bot.store.database import Database
from bot.store.migrate import migrate
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


async def edited(database: Database) -> None:
    """Carry out an edit. Whether Slack took it is not kept."""
    async with database.transaction() as connection:
        await outbox.enqueue_edit(connection, OutboxMessage("#checkout", "told", "", is_edit=True), NOW)
    queued = await first(database)
    async with database.transaction() as connection:
        await outbox.mark_sent(connection, queued, None, NOW)


async def test_an_edit_does_not_say_that_a_channel_takes_messages_again(database: Database) -> None:
    await write(database, "#checkout", "one", "two")
    assert await failed(database, "is_archived")
    assert await failed(database, "is_archived") is False
    await edited(database)
    async with database.reading() as connection:
        failing = await outbox.read_failing(connection)
    assert failing == {"#checkout": outbox.FailingChannel("is_archived", 2, NOW)}
    await write(database, "#checkout", "three")
    assert await failed(database, "is_archived") is False, "it is reported a second time"


async def test_failing_channels_are_told_apart(database: Database) -> None:
    await write(database, "#checkout", "one")
    await sent(database, "1.0")
    await write(database, "#checkout", "two", now=NOW)
    await write(database, "#checkout", "three", now=LATER)
    await write(database, "#search", "elsewhere", now=LATER)
    await write(database, "#fine", "one", "two")
    for error, channel in (("not_in_channel", "#checkout"), ("is_archived", "#checkout"), ("x", "#search")):
        await failed(database, error, channel)
    await failed(database, "is_archived", "#fine")
    await sent(database, "2.0", "#fine")
    async with database.reading() as connection:
        assert await outbox.read_failing(connection) == {
            "#checkout": outbox.FailingChannel("is_archived", 2, NOW),
            "#search": outbox.FailingChannel("x", 1, LATER),
        }


async def test_a_channel_is_busy_while_something_is_posted_and_for_a_while_after(database: Database) -> None:
    async def is_busy(since: datetime = NOW) -> bool:
        async with database.reading() as connection:
            return await outbox.was_busy(connection, "#checkout", since)

    await write(database, "#search", "elsewhere")
    await sent(database, "1.0", "#search")
    await write(database, "#checkout", "one", "two")
    assert not await is_busy()
    assert await claimed(database, await first(database))
    assert await is_busy(LATER)
    async with database.transaction() as connection:
        await outbox.mark_sent(connection, await first(database), MessageLocation("C1", "1.0"), NOW)
    assert await is_busy()
    assert not await is_busy(LATER)


async def test_no_statement_of_the_delivery_reads_the_whole_outbox(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as opened:
        await migrate(opened)
        statements: list[tuple[str, Any]] = []
        event.listen(
            opened.engine.sync_engine,
            "before_cursor_execute",
            lambda _1, _2, statement, values, *_: statements.append((statement, values)),
        )
        await deliver_all(opened)
    with closing(sqlite3.connect(tmp_path / "governor.db")) as connection:
        plans = {
            statement: [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, values in statements
            if statement.startswith(("SELECT", "UPDATE"))
        }
    assert len(plans) > 15
    assert not [
        each for each, steps in plans.items() if any(step.startswith("SCAN outbox") for step in steps)
    ]


async def deliver_all(database: Database) -> None:
    """Execute each statement of the delivery."""
    head = {"line": "one", "text": "one", "blocks": []}
    told = OutboxMessage("#checkout", "told", "one", thread="burn", head=head, hold_id=1)
    place = MessageLocation("C1", "1.0")
    async with database.transaction() as connection:
        await outbox.enqueue(connection, [told, told, told], NOW)
        await outbox.read_backlog(connection)
        one = await outbox.first_unsent(connection, "#checkout")
        assert one is not None
        two, three = (await outbox.unsent_in_same_state(connection, one, 5))[1:]
        await outbox.claim(connection, one, NOW)
        await outbox.requeue(connection, one, "ratelimited")
        for queued in (one, two):
            await outbox.mark_sent(connection, queued, place, NOW)
            await thread_heads.record_in_thread(connection, queued, place, NOW, is_alone=True)
        await thread_heads.is_superseded(connection, two)
        await thread_heads.record_edited(connection, place, two, told)
        await outbox.mark_failed(connection, three, "is_archived")
        await outbox.read_failing(connection)
        await outbox.last_location(connection, "#checkout")
        await outbox.was_busy(connection, "#checkout", NOW)
        await outbox.delivery_of(connection, one.key)
        found = await told_messages.find_told(connection, one.id)
        assert found is not None
        await told_messages.replace_content(connection, found, told)
        await told_messages.enqueue_end_of_hold(connection, 1, NOW)
