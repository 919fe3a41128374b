"""Writes down how a ramp stands, with what is told of it, in one transaction."""

from bot.clock import Clock
from bot.flags.change_request import NotPendingError
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import FlagEvent, RampStopped
from bot.flags.ramp import PauseCause
from bot.flags.records import ramps as ramp_records
from bot.flags.records.ramps import RampState, StoredRamp
from bot.store.database import Database


class RampWriter:
    """Keeps ramps; what they do next is decided elsewhere."""

    def __init__(self, database: Database, teller: EventPublisher, clock: Clock) -> None:
        self.database = database
        self.teller = teller
        self.clock = clock

    async def steer(
        self, kept: StoredRamp, held_by: str | None, hold: tuple[PauseCause, str] | None, event: FlagEvent
    ) -> None:
        """Record what pauses the ramp and announce it; raises `NotPendingError` if that changed meanwhile."""
        now, ramp = self.clock.now(), kept.ramp
        async with self.database.transaction() as connection:
            if not await ramp_records.set_holder(connection, kept.id, held_by, since=ramp.held_by):
                raise NotPendingError("somebody else was quicker")
            await ramp_records.store_pause(connection, kept.id, hold)
            await self.teller.tell(connection, event, ramp.flag, ramp.environment, now)

    async def end(self, kept: StoredRamp, to: RampState, by: str, why: str) -> None:
        """End a ramp and tell it; raises `NotPendingError` if it is no longer as `kept` says."""
        now, ramp = self.clock.now(), kept.ramp
        async with self.database.transaction() as connection:
            if not await ramp_records.transition(connection, kept.id, to=to, since=kept.state, now=now):
                raise NotPendingError("the ramp has ended already")
            stopped = RampStopped(by, why, kept.progress())
            await self.teller.tell(connection, stopped, ramp.flag, ramp.environment, now)
