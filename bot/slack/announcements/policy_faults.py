"""Announcements of faults in the policies and of their repair: once, whichever replica finds them."""

import hashlib
from collections.abc import Sequence

from bot.clock import Clock
from bot.policy.faults import PolicyFault
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store import conditions
from bot.store.database import Database
from bot.store.outbox import enqueue

_BROKEN = "policies broken"
_REFUSED = "value refused "


class PolicyFaultAnnouncer:
    """Remembers in the database what was announced, so that neither a restart nor another replica repeats it.

    Whoever repairs the policies may save many times: only the first fault and the full repair are announced.
    """

    def __init__(self, database: Database, announcer: FreezeAnnouncer, clock: Clock) -> None:
        self._database = database
        self._announcer = announcer
        self._clock = clock
        # None: not read yet.
        self._faults_announced: bool | None = None
        self._announced_values: frozenset[str] | None = None

    async def announce_faults(self, faults: Sequence[PolicyFault]) -> bool:
        """Record that the policies have faults; return whether this was announced."""
        if self._faults_announced:
            return False
        now = self._clock.now()
        async with self._database.transaction() as connection:
            is_new = await conditions.begin_condition(self._database, connection, _BROKEN, now)
            if is_new:
                message = self._announcer.policy_faults([str(fault) for fault in faults])
                await enqueue(connection, [message], now)
        self._faults_announced = True
        return is_new

    async def announce_repair(self) -> bool:
        """Record that the policies have no faults; return whether this was announced."""
        if self._faults_announced is None:
            async with self._database.reading() as connection:
                self._faults_announced = await conditions.is_active(connection, _BROKEN)
        if not self._faults_announced:
            return False
        async with self._database.transaction() as connection:
            is_new = await conditions.end_condition(connection, _BROKEN)
            if is_new:
                await enqueue(connection, [self._announcer.policy_restored()], self._clock.now())
        self._faults_announced = False
        return is_new

    async def announce_refused_values(self, faults: Sequence[PolicyFault]) -> bool:
        """Record which values of a `forEach` make no service; return whether any was announced.

        Each is announced once, and again only after it was repaired in between.
        """
        faults_by_name = {_REFUSED + _digest(fault): fault for fault in faults}
        if self._announced_values is None:
            async with self._database.reading() as connection:
                self._announced_values = await conditions.active_conditions(connection, _REFUSED)
        if self._announced_values == faults_by_name.keys():
            return False
        now = self._clock.now()
        async with self._database.transaction() as connection:
            announced = await conditions.active_conditions(connection, _REFUSED)
            for name in announced - faults_by_name.keys():
                await conditions.end_condition(connection, name)
            new_faults = [
                str(fault)
                for name, fault in faults_by_name.items()
                if await conditions.begin_condition(self._database, connection, name, now)
            ]
            if new_faults:
                await enqueue(connection, [self._announcer.refused_values(new_faults)], now)
        self._announced_values = frozenset(faults_by_name)
        return bool(new_faults)


def _digest(fault: PolicyFault) -> str:
    """Return a name of a fault that an edit elsewhere in the file does not change."""
    text = f"{fault.document} {fault.path} {fault.message}"
    return hashlib.sha256(text.encode()).hexdigest()
