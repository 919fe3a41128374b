"""Ends what was turned on for a time, and warns before. What is to end is kept in the store."""

from datetime import datetime

from bot.flags.change_request import Cause, EndsSoon
from bot.flags.changes.event_publisher import Teller
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import Promise, PromiseKind
from bot.flags.safeguards.reverter import BringBack
from bot.store.database import Database


class Timers:
    """Runs timers."""

    def __init__(self, bring_back: BringBack, database: Database, teller: Teller) -> None:
        self._bring_back = bring_back
        self._database = database
        self._teller = teller

    async def tick(self, now: datetime) -> None:
        """Warn of what ends soon; end what is due."""
        async with self._database.reading() as connection:
            timers = await promises.open_promises(connection, PromiseKind.TIMER)
        for promise in timers:
            if promise.until is None or promise.waits(now):
                continue
            if promise.until <= now:
                why = f"its time is over, as asked for by {promise.by}"
                await self._bring_back(promise, Cause.TIMER, why)
            elif promise.warn_at is not None and promise.warn_at <= now:
                await self._warn(promise, promise.until, now)

    async def _warn(self, promise: Promise, until: datetime, now: datetime) -> None:
        async with self._database.transaction() as connection:
            if await promises.warned(connection, promise):
                soon, state = EndsSoon(promise.state, until), promise.state
                await self._teller.tell(connection, soon, state.flag, state.environment, now)
        self._teller.on_told()
