"""Leases: each piece of work is one replica's, and another's soon after that one is gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from bot.clock import SharedClock
from bot.store.database import Database
from bot.store.leases import Leases, LeaseTiming
from bot.store.migrate import migrate
from bot.store.tables.replicas import leases as lease_rows
from bot.store.tables.replicas import replicas
from tests.support.servers import PostgreSQL, running_postgresql

# With STEADY a lease ends only by what is done to it, however slow the machine; with BRISK also by itself.
STEADY = LeaseTiming(beat_s=0.05, holds_s=60.0, dead_after_s=90.0, patience_s=60.0)
BRISK = LeaseTiming(beat_s=0.05, holds_s=0.4, dead_after_s=0.6)
SERVICES = [f"evaluate service-{number}" for number in range(60)]


@pytest.fixture
async def database(postgresql: PostgreSQL) -> AsyncIterator[Database]:
    async with Database(await postgresql.new_database()) as database:
        await migrate(database)
        yield database


@asynccontextmanager
async def living(
    database: Database, timing: LeaseTiming = STEADY, clock: SharedClock | None = None
) -> AsyncIterator[Leases]:
    """A replica that beats for the time of the block, and signs off."""
    leases = Leases(database, timing, clock)
    await leases.join()
    running = asyncio.create_task(leases.run())
    try:
        yield leases
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(15):
        while not await holds():  # noqa: ASYNC110 - the other replica tells nobody
            await asyncio.sleep(0.02)


async def test_on_sqlite_the_one_process_holds_whatever_it_asks_for(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        leases = Leases(database)
        await leases.join()
        assert await leases.lease("tick").acquire()
        assert await leases.share(SERVICES) == set(SERVICES)
        assert leases.left_s("tick") > 1e9
        assert leases.left_s("never asked for") == 0


async def test_a_lease_is_one_replicas_until_it_is_released(database: Database) -> None:
    async with living(database) as one, living(database) as other:
        assert await one.lease("tick").acquire()
        assert not await other.lease("tick").acquire()
        assert other.left_s("tick") == 0
        await one.release(["tick"])
        assert one.left_s("tick") == 0
        assert await other.lease("tick").acquire()


async def test_any_number_of_leases_is_taken_and_released_at_once(database: Database) -> None:
    names = [f"evaluate service-{number}" for number in range(33_000)]
    one, other = Leases(database, STEADY), Leases(database, STEADY)
    await one.join()
    await other.join()
    assert await one.lease(names[7]).acquire()
    assert await other.take(names) == {*names} - {names[7]}
    await other.release(names)
    async with database.reading() as connection:
        assert list(await connection.scalars(select(lease_rows.c.name))) == [names[7]]


async def test_of_many_who_ask_at_once_one_gets_it(database: Database) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(living(database)) for _ in range(5)]
        for name in ("a", "b", "c"):
            answers = await asyncio.gather(*(replica.lease(name).acquire() for replica in replicas))
            assert sum(answers) == 1


async def test_who_signs_off_leaves_everything_to_others_at_once(database: Database) -> None:
    async with living(database) as other:
        async with living(database) as one:
            assert await one.take(SERVICES) == set(SERVICES)
        assert await other.take(SERVICES) == set(SERVICES)


async def _gets(leases: Leases, name: str) -> bool:
    """Beat once, and return whether the replica got the lease in the moment that the beat is good for."""
    await leases.join()
    return await leases.lease(name).acquire()


async def test_a_replica_that_stopped_is_retired_and_learns_of_it(database: Database) -> None:
    stopped = Leases(database, BRISK)
    await until(lambda: _gets(stopped, "tick"))
    async with living(database, BRISK) as other:
        await until(lambda: other.lease("tick").acquire())
        # Its own time ran out first: it never believed to hold what another had.
        assert stopped.left_s("tick") == 0
        assert not await stopped.lease("tick").acquire()
        assert not await _gets(stopped, "tick")
        await until(lambda: _gets(stopped, "something else"))


async def test_a_lease_outlives_the_restart_of_the_database_that_its_holder_slept_through() -> None:
    # A session's advisory lock would not: another got it 0.2 s after the crash, while the halted holder went
    # on believing in it for seconds.
    async with running_postgresql() as server:
        url = await server.new_database()
        async with Database(url) as database:
            await migrate(database)
            halted, other = Leases(database, STEADY), Leases(database, STEADY)
            await halted.join()
            assert await halted.lease("tick").acquire()
            await server.kill()
            await server.start()
            await until(lambda: _joined(other))
            assert not await other.lease("tick").acquire()
            assert halted.left_s("tick") > 0


async def _joined(leases: Leases) -> bool:
    """Return whether the replica could join, which it cannot while the database comes back."""
    try:
        await leases.join()
    except (SQLAlchemyError, OSError, TimeoutError):
        return False
    return True


async def test_nobody_is_retired_by_one_who_did_not_look_for_a_while(database: Database) -> None:
    # As when the machine of both was halted, and one of them wakes before the other.
    late, sleeper = Leases(database, STEADY), Leases(database, BRISK)
    await late.join()
    assert await late.lease("tick").acquire()
    await sleeper.join()
    await asyncio.sleep(3 * BRISK.dead_after_s)
    await sleeper.join()
    await late.join()
    assert late.left_s("tick") > 0


async def test_work_is_shared_evenly_and_nothing_is_left_out(database: Database) -> None:
    async with living(database) as one:
        assert await one.share(SERVICES) == set(SERVICES)
        async with living(database) as other:

            async def is_even() -> bool:
                mine, others = await one.share(SERVICES), await other.share(SERVICES)
                assert not mine & others
                return mine | others == set(SERVICES) and min(len(mine), len(others)) > len(SERVICES) / 4

            await until(is_even)

        async def is_mine() -> bool:
            return await one.share(SERVICES) == set(SERVICES)

        await until(is_mine)


async def test_what_the_database_does_not_know_is_not_held(database: Database) -> None:
    async with living(database) as one:
        assert await one.lease("tick").acquire()
        async with database.transaction() as connection:
            await connection.execute(delete(lease_rows))

        async def is_gone() -> bool:
            return one.left_s("tick") == 0

        await until(is_gone)


async def test_a_lease_that_its_owner_does_not_know_is_freed(database: Database) -> None:
    async with living(database) as one, living(database) as other:
        async with database.transaction() as connection:
            (owner, *_) = await connection.scalars(select(replicas.c.id))
            await connection.execute(lease_rows.insert().values(name="astray", owner=owner))
        await until(lambda: other.lease("astray").acquire())
        assert not await one.lease("astray").acquire()


async def test_leases_outlast_a_restart_of_the_database(database: Database, postgresql: PostgreSQL) -> None:
    async with living(database, BRISK) as one:
        await until(lambda: one.lease("tick").acquire())
        await postgresql.kill()

        async def is_over() -> bool:
            return one.left_s("tick") == 0

        await until(is_over)
        assert not await one.lease("something else").acquire()
        await postgresql.start()
        await until(lambda: one.lease("tick").acquire())


class FailingClock(SharedClock):
    """A clock that cannot be set the second and the third time."""

    times_set = 0

    def set(self, now: datetime, at_s: float) -> None:
        """Set the time, or fail."""
        self.times_set += 1
        if self.times_set in {2, 3}:
            raise ValueError("a fault of the program")
        super().set(now, at_s)


async def test_a_beat_that_fails_for_whatever_reason_is_not_the_last(database: Database) -> None:
    clock = FailingClock()
    async with living(database, clock=clock) as one:

        async def has_beaten_since() -> bool:
            return clock.times_set > 4

        await until(has_beaten_since)
        assert await one.lease("tick").acquire()
