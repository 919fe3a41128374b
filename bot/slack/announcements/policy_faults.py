"""Tells faults in the policies, and their repair: once, whichever replicas find them."""

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
    """What was told is in the database, so neither a restart nor another replica repeats it.

    Whoever repairs the policies may save many times: only the first fault and the whole repair are news.
    """

    def __init__(self, database: Database, announcer: FreezeAnnouncer, clock: Clock) -> None:
        self._database = database
        self._announcer = announcer
        self._clock = clock
        # None: not asked yet.
        self._told_broken: bool | None = None
        self._told_refused: frozenset[str] | None = None

    async def broken(self, faults: Sequence[PolicyFault]) -> bool:
        """Note that the policies have faults; return whether a message was written."""
        if self._told_broken:
            return False
        now = self._clock.now()
        async with self._database.transaction() as connection:
            is_news = await conditions.begin_condition(self._database, connection, _BROKEN, now)
            if is_news:
                message = self._announcer.policy_faults([str(fault) for fault in faults])
                await enqueue(connection, [message], now)
        self._told_broken = True
        return is_news

    async def whole(self) -> bool:
        """Note that the policies have no faults; return whether a message was written."""
        if self._told_broken is None:
            async with self._database.reading() as connection:
                self._told_broken = await conditions.is_active(connection, _BROKEN)
        if not self._told_broken:
            return False
        async with self._database.transaction() as connection:
            is_news = await conditions.end_condition(connection, _BROKEN)
            if is_news:
                await enqueue(connection, [self._announcer.policy_restored()], self._clock.now())
        self._told_broken = False
        return is_news

    async def refused(self, faults: Sequence[PolicyFault]) -> bool:
        """Note which values of a `forEach` make no service; return whether a message was written.

        Each is told once; what is no longer at fault may be told again should it return.
        """
        named = {_REFUSED + _digest(fault): fault for fault in faults}
        if self._told_refused is None:
            async with self._database.reading() as connection:
                self._told_refused = await conditions.active_conditions(connection, _REFUSED)
        if self._told_refused == named.keys():
            return False
        now = self._clock.now()
        async with self._database.transaction() as connection:
            told = await conditions.active_conditions(connection, _REFUSED)
            for name in told - named.keys():
                await conditions.end_condition(connection, name)
            news = [
                str(fault)
                for name, fault in named.items()
                if await conditions.begin_condition(self._database, connection, name, now)
            ]
            if news:
                await enqueue(connection, [self._announcer.refused_values(news)], now)
        self._told_refused = frozenset(named)
        return bool(news)


def _digest(fault: PolicyFault) -> str:
    """Name a fault by what it says, so that an edit elsewhere in the file does not make it another."""
    said = f"{fault.document} {fault.path} {fault.message}"
    return hashlib.sha256(said.encode()).hexdigest()
