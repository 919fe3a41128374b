"""Who waits for a change is woken by its commit: in this process at once, on other replicas by PostgreSQL."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, insert, update
from sqlalchemy.exc import IntegrityError

from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.signals import Topic, mark
from bot.store.tables.core import holds, outbox
from tests.support.clock import NOW
from tests.support.running import eventually, meanwhile
from tests.support.servers import PostgreSQL

HOLD = {"service": "checkout", "kind": "person", "reason": "migration", "by": "U0DANA", "since": NOW}


def subscribed(database: Database) -> list[Topic]:
    """Return the list to which every fired topic is added."""
    fired: list[Topic] = []
    for topic in Topic:
        database.signals.subscribe([topic], partial(fired.append, topic))
    return fired


async def test_a_message_is_signalled_after_the_commit_and_not_before(database: Database) -> None:
    fired = subscribed(database)
    async with database.transaction() as connection:
        await enqueue(connection, [OutboxMessage("#checkout", "service.frozen", "Frozen.")], NOW)
        assert not fired
    assert fired == [Topic.MESSAGES]


async def test_what_was_undone_is_not_signalled_then_or_later(database: Database) -> None:
    fired = subscribed(database)
    with pytest.raises(IntegrityError):
        await write_twice(database, HOLD | {"request": "1"})
    async with database.transaction():
        pass
    assert not fired


async def write_twice(database: Database, hold: Mapping[str, object]) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(holds).values(hold))
        await connection.execute(insert(holds).values(hold))


async def test_a_topic_is_fired_once_a_commit_however_often_it_was_written(database: Database) -> None:
    fired = subscribed(database)
    async with database.transaction() as connection:
        for minutes in range(3):
            await connection.execute(insert(holds).values(HOLD | {"since": NOW - timedelta(minutes=minutes)}))
        mark(connection, Topic.EVENTS)
    assert sorted(fired) == [Topic.EVENTS, Topic.HOLDS]


async def test_a_subscriber_of_several_topics_is_called_once_a_commit(database: Database) -> None:
    calls: list[None] = []
    database.signals.subscribe([Topic.HOLDS, Topic.MESSAGES], lambda: calls.append(None))
    async with database.transaction() as connection:
        await connection.execute(insert(holds).values(HOLD))
        await enqueue(connection, [OutboxMessage("#checkout", "service.frozen", "Frozen.")], NOW)
    assert len(calls) == 1


async def test_a_change_of_no_row_and_the_way_of_a_message_are_not_signalled(database: Database) -> None:
    async with database.transaction() as connection:
        await enqueue(connection, [OutboxMessage("#checkout", "service.frozen", "Frozen.")], NOW)
    fired = subscribed(database)
    async with database.transaction() as connection:
        await connection.execute(update(holds).where(holds.c.id == 7).values(reason="none such"))
        await connection.execute(update(outbox).values(attempts=1))
    assert not fired


async def test_another_replica_hears_of_a_commit_and_the_writer_does_not_hear_itself_twice(
    postgresql: PostgreSQL,
) -> None:
    url = await postgresql.new_database()
    async with AsyncExitStack() as stack:
        writer, reader = [await stack.enter_async_context(Database(url)) for _ in range(2)]
        await migrate(writer)
        here, there = subscribed(writer), subscribed(reader)
        for database in (writer, reader):
            await stack.enter_async_context(meanwhile(database.signals.listen()))
        everything = [list(Topic), list(Topic)]
        await eventually(lambda: _both(here, there), lambda both: both == everything)
        here.clear()
        there.clear()
        async with writer.transaction() as connection:
            await connection.execute(insert(holds).values(HOLD))
        await eventually(lambda: _both(there), lambda both: bool(both[0]), within_s=5)
        await asyncio.sleep(0.2)
        assert (here, there) == ([Topic.HOLDS], [Topic.HOLDS])


async def test_a_listener_whose_connection_is_cut_listens_again_and_looks_for_what_it_missed(
    postgresql: PostgreSQL,
) -> None:
    url = await postgresql.new_database()
    async with Database(url) as writer, Database(url) as reader:
        await migrate(writer)
        there = subscribed(reader)
        async with meanwhile(reader.signals.listen()):
            await eventually(lambda: _both(there), lambda both: len(both[0]) == len(Topic))
            there.clear()
            await cut_connections(postgresql, url)
            # All topics are fired once it listens again: nobody knows what was committed meanwhile.
            await eventually(lambda: _both(there), lambda both: set(both[0]) == set(Topic))
            there.clear()
            async with writer.transaction() as connection:
                await connection.execute(insert(holds).values(HOLD))
            await eventually(lambda: _both(there), lambda both: both[0] == [Topic.HOLDS], within_s=5)


async def test_a_connection_that_ends_before_it_listens_is_replaced_by_another(
    postgresql: PostgreSQL,
) -> None:
    url = await postgresql.new_database()
    ended: list[int] = []

    def end_first(connection: Any, _record: object, _proxy: object) -> None:
        """End the connection after the pool has seen that it is alive: the driver's own errors follow."""
        if not ended:
            ended.append(connection.driver_connection.get_server_pid())
            connection.run_async(lambda driver: _end(postgresql, driver))

    async with Database(url) as writer, Database(url) as reader:
        await migrate(writer)
        there = subscribed(reader)
        event.listen(reader.engine.sync_engine, "checkout", end_first)
        async with meanwhile(reader.signals.listen()):
            await eventually(lambda: _both(there), lambda both: set(both[0]) == set(Topic), within_s=15)
    assert ended


async def _end(server: PostgreSQL, driver: Any) -> None:
    administrator = await server.connect()
    try:
        await administrator.execute("SELECT pg_terminate_backend($1, 5000)", driver.get_server_pid())
    finally:
        await administrator.close()


async def cut_connections(server: PostgreSQL, url: str) -> None:
    """End every connection to the database of that URL, as an administrator would."""
    administrator = await server.connect()
    try:
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", url.rsplit("/", 1)[1]
        )
    finally:
        await administrator.close()


async def _both(*fired: list[Topic]) -> list[list[Topic]]:
    return [list(topics) for topics in fired]
