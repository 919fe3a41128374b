"""Reverts what was turned on for a time when the time is over, and warns before."""

from datetime import datetime

from bot.flags.change_request import ChangeCause
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import RevertDueSoon
from bot.flags.records import reverts
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.store.database import Database
from bot.store.item_failures import ItemFailures


class RevertTimers:
    """Runs the timers, which are kept in the store."""

    def __init__(self, reverter: Reverter, database: Database, publisher: EventPublisher) -> None:
        self._reverter = reverter
        self._database = database
        self._publisher = publisher
        self._failures = ItemFailures("timer_failed")

    async def tick(self, now: datetime) -> None:
        """Announce timers that end soon; revert those that are over."""
        async with self._database.reading() as connection:
            timers = await reverts.open_reverts(connection, RevertKind.TIMER)
        for timer in timers:
            if timer.until is None or timer.is_postponed(now):
                continue
            with self._failures.isolate(timer.id) as is_due:
                if is_due:
                    await self._run(timer, timer.until, now)

    async def _run(self, timer: PendingRevert, until: datetime, now: datetime) -> None:
        if until <= now:
            why = f"its time is over, as asked for by {timer.by}"
            await self._reverter.revert(timer, ChangeCause.TIMER, why)
        elif timer.warn_at is not None and timer.warn_at <= now:
            await self._warn(timer, until, now)

    async def _warn(self, timer: PendingRevert, until: datetime, now: datetime) -> None:
        state = timer.state
        async with self._database.transaction() as connection:
            if await reverts.mark_warned(connection, timer):
                due_soon = RevertDueSoon(state, until)
                await self._publisher.publish(connection, due_soon, state.flag, state.environment, now)
