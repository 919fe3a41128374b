"""Ends what was turned on for a time, and warns before. What is to end is kept in the store."""

from datetime import datetime

from bot.flags.change_request import ChangeCause
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import RevertDueSoon
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.store.database import Database


class RevertTimers:
    """Runs timers."""

    def __init__(self, bring_back: Reverter, database: Database, teller: EventPublisher) -> None:
        self._bring_back = bring_back
        self._database = database
        self._teller = teller

    async def tick(self, now: datetime) -> None:
        """Warn of what ends soon; end what is due."""
        async with self._database.reading() as connection:
            timers = await promises.open_reverts(connection, RevertKind.TIMER)
        for promise in timers:
            if promise.until is None or promise.waits(now):
                continue
            if promise.until <= now:
                why = f"its time is over, as asked for by {promise.by}"
                await self._bring_back(promise, ChangeCause.TIMER, why)
            elif promise.warn_at is not None and promise.warn_at <= now:
                await self._warn(promise, promise.until, now)

    async def _warn(self, promise: PendingRevert, until: datetime, now: datetime) -> None:
        async with self._database.transaction() as connection:
            if await promises.mark_warned(connection, promise):
                soon, state = RevertDueSoon(promise.state, until), promise.state
                await self._teller.tell(connection, soon, state.flag, state.environment, now)
