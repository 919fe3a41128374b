"""Leases: which replica does what, so that each piece of work is done once.

A replica lives as long as it beats: every second it counts up a number in its row. One whose number has
not moved for `dead_after_s` is retired by whoever notices: its row is deleted, and all its leases with it.
A replica holds its leases only for `holds_s` after a beat, which ends earlier, so one that was halted knows
on waking that it may do nothing before its next beat; and that beat tells it whether it was retired.

All of it is measured with each machine's monotonic clock, so no clock that is set changes anything: only
clocks that run at different speeds, by more than a third, would. With each beat a replica also looks at the
database's clock, which is the one that all replicas go by. On SQLite there is one process, and it holds
whatever it asks for.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf

import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import SharedClock
from bot.store.database import Database
from bot.store.tables.replicas import leases, replicas
from bot.store.value_lists import is_one_of

log = structlog.get_logger(__name__)

# What the database says of the time is worth less, the longer it took to say it.
_CLOCK_PATIENCE_S = 0.5
_AWAY = (SQLAlchemyError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How long things last, in seconds.

    `holds_s` is how long a replica may count on its leases after a beat began; `dead_after_s` how long a
    beat must have been seen unchanged before its replica is retired. The difference is what clocks that
    run at different speeds may differ by. `patience_s` is how long the database may take for each step.
    """

    beat_s: float = 1.0
    holds_s: float = 5.0
    dead_after_s: float = 7.0
    patience_s: float = 2.5


@dataclass(frozen=True, slots=True)
class _ObservedBeat:
    """A beat, and when it was first seen."""

    beat: int
    at: float


class Leases:
    """The leases of this replica. `join` before use, `run` all the while; whoever asks in vain asks again.

    While the database is away nothing new is taken, and what is held ends by itself. `clock` is set by the
    database's at each beat; `now_s` is this machine's monotonic clock, in seconds.
    """

    def __init__(
        self,
        database: Database,
        timing: LeaseTiming | None = None,
        clock: SharedClock | None = None,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._now_s = now_s
        self._database = database
        self._timing = timing or LeaseTiming()
        self._id = ""
        self._held: set[str] = set()
        self._valid_until = inf if database.is_sqlite else 0.0
        self._seen: dict[str, _ObservedBeat] = {}
        self._looked_at = 0.0
        self._preferences: dict[str, str] = {}
        # A beat compares what is held with the database: not while a lease is being taken.
        self._turn = asyncio.Lock()

    @property
    def is_shared(self) -> bool:
        """Whether other replicas may use the same database."""
        return not self._database.is_sqlite

    @property
    def replicas(self) -> int:
        """How many replicas are believed to live, this one among them."""
        return max(1, len(self._seen))

    async def join(self) -> None:
        """Begin to live; raises what the database raises."""
        if not self._database.is_sqlite:
            await self._beat()

    async def run(self) -> None:
        """Beat until cancelled, then hand everything back at once."""
        if self._database.is_sqlite:
            await asyncio.Event().wait()
        try:
            while True:
                await asyncio.sleep(self._timing.beat_s)
                try:
                    await self._beat()
                except _AWAY as error:
                    log.warning("lease_beat_failed", error=type(error).__name__)
                except Exception:
                    # A loop's tick is a boundary: without a beat the leases end by themselves.
                    log.exception("lease_beat_failed")
        finally:
            await self._leave()

    def left_s(self, name: str) -> float:
        """Return for how many seconds the lease is certainly this replica's; 0 where it is not."""
        return max(0.0, self._valid_until - self._now_s()) if name in self._held else 0.0

    def lease(self, name: str) -> "Lease":
        """Return the lease of one piece of work."""
        return Lease(name, self)

    async def take(self, names: Collection[str]) -> frozenset[str]:
        """Take the leases that are free; answer those among the names that this replica holds now."""
        wanted = set(names) - self._held
        if self._database.is_sqlite:
            self._held |= wanted
        elif wanted and self._valid_until > self._now_s():
            try:
                async with self._turn:
                    await self._insert(wanted - self._held)
            except IntegrityError:
                log.info("lease_refused", reason="this replica was retired")
            except _AWAY as error:
                log.warning("lease_not_taken", error=type(error).__name__)
        return frozenset(name for name in names if self.left_s(name) > 0)

    async def share(self, names: Collection[str]) -> frozenset[str]:
        """Return which of the names are this replica's, all replicas taking about as many.

        What has become another's by its coming or going is handed over.
        """
        if self._database.is_sqlite:
            return await self.take(names)
        preferred = {name for name in names if self._preferred(name) == self._id}
        await self.release([name for name in names if name in self._held and name not in preferred])
        return await self.take(preferred)

    async def release(self, names: Collection[str]) -> None:
        """Hand leases back; others may take them at once."""
        given = self._held & set(names)
        self._held -= given
        if self._database.is_sqlite or not given:
            return
        mine = is_one_of(leases.c.name, given) & (leases.c.owner == self._id)
        try:
            async with self._turn, self._transaction() as connection:
                await connection.execute(delete(leases).where(mine))
        except _AWAY as error:
            # The next beat finds the rows and deletes them.
            log.warning("lease_not_released", error=type(error).__name__)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with (
            asyncio.timeout(self._timing.patience_s),
            self._database.transaction(in_turn=False) as connection,
        ):
            yield connection

    async def _insert(self, names: Collection[str]) -> None:
        if not names:
            return
        # In one order, so that two replicas never wait for each other crosswise.
        rows = [{"name": name, "owner": self._id} for name in sorted(names)]
        take = self._database.insert(leases).on_conflict_do_nothing(index_elements=["name"])
        async with self._transaction() as connection:
            taken = set(await connection.scalars(take.returning(leases.c.name), rows))
        self._held |= taken

    async def _beat(self) -> None:
        began = self._now_s()
        async with self._turn:
            async with self._transaction() as connection:
                await self._look_at_clock(connection)
                if not await self._count(connection):
                    await self._begin_anew(connection)
                beats = {row.id: row.beat for row in await connection.execute(select(replicas))}
                mine = set(await connection.scalars(select(leases.c.name).where(leases.c.owner == self._id)))
                if mine - self._held:
                    astray = is_one_of(leases.c.name, mine - self._held) & (leases.c.owner == self._id)
                    await connection.execute(delete(leases).where(astray))
            self._held &= mine
            self._valid_until = began + self._timing.holds_s
        await self._look(beats)

    async def _look_at_clock(self, connection: AsyncConnection) -> None:
        if self._clock is None:
            return
        asked_at = self._now_s()
        now = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        answered_at = self._now_s()
        if answered_at - asked_at < _CLOCK_PATIENCE_S:
            self._clock.set(now, (asked_at + answered_at) / 2)

    async def _count(self, connection: AsyncConnection) -> bool:
        """Count the beat up; return whether this replica is still among the living."""
        statement = update(replicas).where(replicas.c.id == self._id).values(beat=replicas.c.beat + 1)
        return (await connection.execute(statement)).rowcount == 1

    async def _begin_anew(self, connection: AsyncConnection) -> None:
        if self._id:
            log.warning("replica_was_retired", replica=self._id, leases=len(self._held))
        self._held.clear()
        self._id = uuid.uuid4().hex
        await connection.execute(insert(replicas).values(id=self._id, beat=0))
        log.info("replica_joined", replica=self._id)

    async def _look(self, beats: dict[str, int]) -> None:
        """Compare the others' beats with the last look, and retire who has stopped."""
        now = self._now_s()
        # Whoever did not look for a while cannot say that the others stood still meanwhile.
        was_away = now - self._looked_at > 3 * self._timing.beat_s
        before, self._looked_at = self._seen, now
        self._seen = {
            id_: before[id_]
            if id_ in before and before[id_].beat == beat and not was_away
            else _ObservedBeat(beat, now)
            for id_, beat in beats.items()
        }
        if set(before) != set(self._seen):
            self._preferences.clear()
        for id_, seen in list(self._seen.items()):
            if id_ != self._id and now - seen.at > self._timing.dead_after_s:
                await self._retire(id_, seen.beat)

    async def _retire(self, replica: str, beat: int) -> None:
        stopped = (replicas.c.id == replica) & (replicas.c.beat == beat)
        async with self._transaction() as connection:
            retired = (await connection.execute(delete(replicas).where(stopped))).rowcount
        self._seen.pop(replica, None)
        self._preferences.clear()
        if retired:
            log.warning("replica_retired", replica=replica)

    async def _leave(self) -> None:
        # A lease that is being taken at this moment goes with the rest.
        self._valid_until = 0.0
        self._held.clear()
        try:
            async with self._transaction() as connection:
                await connection.execute(delete(replicas).where(replicas.c.id == self._id))
        except _AWAY as error:
            log.warning("replica_not_signed_off", error=type(error).__name__)

    def _preferred(self, name: str) -> str:
        """Return the replica that should have the name: rendezvous hashing, so few names ever move."""
        if name not in self._preferences:
            self._preferences[name] = max(
                self._seen or [self._id],
                key=lambda id_: hashlib.blake2b(f"{id_} {name}".encode(), digest_size=8).digest(),
            )
        return self._preferences[name]


class Lease:
    """A piece of work that one replica does at a time. Without `leases` there is no other replica."""

    def __init__(self, name: str, leases: Leases | None = None) -> None:
        self.name = name
        self._leases = leases

    async def acquire(self) -> bool:
        """Return whether the work is this replica's now; takes the lease if it is free.

        It is kept until this replica ends, so that the work stays with one replica while that lives.
        """
        return self._leases is None or self.name in await self._leases.take([self.name])
