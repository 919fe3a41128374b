"""Stores how a ramp goes on or ends, with its announcement, in one transaction."""

from datetime import datetime

from bot.clock import Clock
from bot.flags.change_request import NotPendingError
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import ApprovalDeclined, FlagEvent, RampStopped, RevertFailed, WatchEndedUndecided
from bot.flags.ramp import PauseCause, steps_in_words
from bot.flags.records import ramps as ramp_records
from bot.flags.records.ramps import RampState, StoredRamp
from bot.store.database import Database


class RampWriter:
    """Stores what becomes of ramps; what they do next is decided elsewhere."""

    def __init__(self, database: Database, publisher: EventPublisher, clock: Clock) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock

    async def store_pause(
        self, stored: StoredRamp, held_by: str | None, pause: tuple[PauseCause, str] | None, event: FlagEvent
    ) -> None:
        """Store what pauses the ramp and announce it; raises `NotPendingError` if that changed meanwhile."""
        now, ramp = self._clock.now(), stored.ramp
        async with self._database.transaction() as connection:
            if not await ramp_records.set_holder(connection, stored.id, held_by, since=ramp.held_by):
                raise NotPendingError("somebody else was quicker")
            await ramp_records.store_pause(connection, stored.id, pause)
            await self._publisher.publish(connection, event, ramp.flag, ramp.environment, now)

    async def end(self, stored: StoredRamp, to: RampState, by: str, why: str) -> None:
        """End and announce a ramp; raises `NotPendingError` if it is no longer in the state of `stored`."""
        now, ramp = self._clock.now(), stored.ramp
        async with self._database.transaction() as connection:
            if not await ramp_records.transition(connection, stored.id, to=to, since=stored.state, now=now):
                raise NotPendingError("the ramp has ended already")
            stopped = RampStopped(by, why, stored.progress())
            await self._publisher.publish(connection, stopped, ramp.flag, ramp.environment, now)

    async def decline(self, stored: StoredRamp, by: str, comment: str) -> None:
        """End a ramp that a person declines, and announce it; raises `NotPendingError`."""
        now, ramp = self._clock.now(), stored.ramp
        to, since = RampState.DECLINED, RampState.PENDING
        async with self._database.transaction() as connection:
            if not await ramp_records.transition(connection, stored.id, to=to, since=since, now=now):
                raise NotPendingError("somebody else was quicker")
            words = steps_in_words(ramp.before, ramp.steps)
            declined = ApprovalDeclined(words, by, stored.by, comment, is_ramp=True)
            await self._publisher.publish(connection, declined, ramp.flag, ramp.environment, now)

    async def stop_unreverted(self, stored: StoredRamp, failure: RevertFailed) -> None:
        """Stop a ramp whose flag could not be reverted, and announce the `failure` in any case."""
        now, ramp = self._clock.now(), stored.ramp
        stopped, running = RampState.STOPPED, RampState.RUNNING
        async with self._database.transaction() as connection:
            await ramp_records.transition(connection, stored.id, to=stopped, since=running, now=now)
            await self._publisher.publish(connection, failure, ramp.flag, ramp.environment, now)

    async def finish(self, stored: StoredRamp, now: datetime, undecided: str = "") -> None:
        """End a ramp that has taken its last step; announce only if nobody can tell whether it hurts."""
        ramp = stored.ramp
        async with self._database.transaction() as connection:
            has_ended = await ramp_records.transition(
                connection, stored.id, to=RampState.DONE, since=RampState.RUNNING, now=now
            )
            if has_ended and undecided:
                event = WatchEndedUndecided(undecided)
                await self._publisher.publish(connection, event, ramp.flag, ramp.environment, now)

    async def postpone(self, stored: StoredRamp, until: datetime) -> None:
        """Let the ramp wait until it tries again what did not work."""
        async with self._database.transaction() as connection:
            await ramp_records.postpone(connection, stored.id, until)
