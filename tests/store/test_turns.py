"""How long transactions waited for their turn, and had it, is counted: all replicas share one."""

import asyncio

from bot.store.database import Database

_MEANWHILE_S = 0.2


async def test_a_transaction_that_waits_for_another_is_counted_with_its_wait(database: Database) -> None:
    counted: list[tuple[float, float]] = []
    database.count_turn = lambda waited_s, held_s: counted.append((waited_s, held_s))
    has_turn, may_end = asyncio.Event(), asyncio.Event()

    async def decide() -> None:
        async with database.transaction():
            has_turn.set()
            await may_end.wait()

    first = asyncio.create_task(decide())
    await has_turn.wait()
    second = asyncio.create_task(decide())
    await asyncio.sleep(_MEANWHILE_S)
    may_end.set()
    await asyncio.gather(first, second)
    ((_, held_s), (waited_s, _)) = counted
    # The second one began to wait within the sleep, and waited until the first one was through.
    assert min(held_s, waited_s) > _MEANWHILE_S / 2


async def test_what_decides_nothing_takes_no_turn_where_there_are_several_replicas(
    database: Database,
) -> None:
    counted: list[float] = []
    database.count_turn = lambda _waited_s, held_s: counted.append(held_s)
    async with database.transaction(in_turn=False):
        pass
    # SQLite has one writer, whatever it writes.
    assert len(counted) == int(database.is_sqlite)
