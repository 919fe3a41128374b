"""Leases through any order of beats, halts, crashes and failing commits: one holder, and in the end one."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from bot.store.leases import Leases, LeaseTiming
from bot.store.tables.replicas import leases as lease_rows
from bot.store.tables.replicas import replicas as replica_rows
from tests.durability.databases import Fault, FaultyDatabase, as_if_shared
from tests.durability.machines import AWAY, AsyncMachine, effort
from tests.support.stores import create_tables

NAMES = ("a", "b")
REPLICAS = 3
# The fastest clock against the slowest; leases bear 7 : 5.
SPEEDS = (1.0, 1.15, 1.35)

replica = st.integers(0, REPLICAS - 1)
names = st.sampled_from(NAMES)


class LeaseMachine(AsyncMachine):
    """Replicas whose clocks differ, on one database."""

    def __init__(self, url: str, timing: LeaseTiming) -> None:
        super().__init__()
        self._timing = timing
        self._now_s = 1_000.0
        self.database = FaultyDatabase(url)
        self.run(self._clear())
        self.replicas = [self._new(number) for number in range(REPLICAS)]

    async def _clear(self) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(delete(replica_rows))

    def _new(self, number: int) -> Leases:
        return Leases(as_if_shared(self.database), self._timing, now_s=lambda: self._now_s * SPEEDS[number])

    @rule(by=replica)
    def beat(self, by: int) -> None:
        self.run(self._beat(by))

    async def _beat(self, by: int) -> None:
        try:
            await self.replicas[by].join()
        except AWAY:
            return

    @rule(by=replica, name=names)
    def take(self, by: int, name: str) -> None:
        self.run(self.replicas[by].take([name]))

    @rule(by=replica, name=names)
    def release(self, by: int, name: str) -> None:
        self.run(self.replicas[by].release([name]))

    @rule(by=replica)
    def share(self, by: int) -> None:
        self.run(self.replicas[by].share(NAMES))

    @rule(by=replica)
    def crash(self, by: int) -> None:
        self.replicas[by] = self._new(by)

    @rule(by=replica)
    def leave(self, by: int) -> None:
        self.run(self.replicas[by]._leave())

    @rule(by=replica)
    def leave_while_a_lease_is_taken(self, by: int) -> None:
        async def both() -> None:
            leases = self.replicas[by]
            await _together(leases.take(["a"]), leases._leave())

        self.run(both())

    @rule(seconds=st.sampled_from((1, 2, 3, 8)), beating=st.sets(replica))
    def let_time_pass(self, seconds: int, beating: set[int]) -> None:
        """Only some beat meanwhile; the others are halted."""
        for _ in range(seconds):
            self._now_s += 1.0
            for by in sorted(beating):
                self.run(self._beat(by))
            self.one_replica_holds_a_lease()

    @rule(fault=st.sampled_from(Fault))
    def fail(self, fault: Fault) -> None:
        self.database.fail(fault)

    @invariant()
    def one_replica_holds_a_lease(self) -> None:
        for name in NAMES:
            holders = [by for by, leases in enumerate(self.replicas) if leases.left_s(name) > 0]
            assert len(holders) <= 1, f"{name} is held by {holders}"

    @invariant()
    def what_is_held_is_in_the_database(self) -> None:
        owners = self.run(self._owners())
        for name in NAMES:
            for leases in self.replicas:
                assert leases.left_s(name) == 0 or owners.get(name) == leases._id

    async def _owners(self) -> dict[str, str]:
        async with self.database.engine.connect() as connection:
            faults, self.database._faults[:] = list(self.database._faults), []
            rows = await connection.execute(select(lease_rows))
            self.database._faults[:] = faults
            return {row.name: row.owner for row in rows}

    async def end(self) -> None:
        """One replica goes on alone: soon everything is its own."""
        self.database.recover()
        survivor = self.replicas[0]
        for _ in range(12):
            self._now_s += 1.0
            await survivor.join()
        assert await survivor.take(NAMES) == set(NAMES)

    async def close(self) -> None:
        await self.database.__aexit__()


async def _together(*steps: Awaitable[object]) -> None:

    await asyncio.gather(*steps)


@pytest.fixture
async def address(url: str) -> str:
    """The address of a database with all tables."""
    async with FaultyDatabase(url) as database:
        await create_tables(database)
    return url


def test_a_lease_has_one_holder(address: str) -> None:
    is_sqlite = address.startswith("sqlite")
    run_state_machine_as_test(
        partial(LeaseMachine, address, LeaseTiming()),  # type: ignore[arg-type]
        settings=effort(15 if is_sqlite else 3, 18),
    )


def test_two_holders_would_be_found(tmp_path: Path) -> None:
    """Leases that are believed in for as long as it takes to be retired are too long."""
    url = f"sqlite+aiosqlite:///{tmp_path}/governor.db"

    async def prepare() -> None:
        async with FaultyDatabase(url) as database:
            await create_tables(database)

    asyncio.run(prepare())
    with pytest.raises(AssertionError, match=r"is held by|left_s"):
        run_state_machine_as_test(
            partial(LeaseMachine, url, LeaseTiming(holds_s=12.0)),  # type: ignore[arg-type]
            settings=effort(100, 15),
        )
