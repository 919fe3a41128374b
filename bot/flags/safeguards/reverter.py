"""Keeps promises: brings a recorded state back, or says why it could not."""

from datetime import timedelta

import structlog

from bot.clock import Clock
from bot.flags.backend import BackendOutcomeUnknownError, FlagConflictError, FlagError
from bot.flags.change import Restore
from bot.flags.change_request import ChangeCause, ChangeRequest, FlagChangeError, FrozenError
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import RevertFailed
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import PendingRevert
from bot.freezes.hold import GOVERNOR
from bot.store.database import Database

log = structlog.get_logger(__name__)

_RETRY = timedelta(seconds=15)
_TOUCHED = "somebody has changed it since"


class Reverter:
    """Brings states back, each at most once, and only while nobody has touched the flag."""

    def __init__(
        self, flag_changes: ChangeExecutor, database: Database, teller: EventPublisher, clock: Clock
    ) -> None:
        self._flag_changes = flag_changes
        self._database = database
        self._teller = teller
        self._clock = clock

    async def __call__(self, promise: PendingRevert, cause: ChangeCause, why: str) -> bool:
        """Bring the promised state back; return whether it was. What stands in the way is told once."""
        state = promise.state
        order = ChangeRequest(
            state.flag,
            state.environment,
            Restore(state),
            GOVERNOR,
            why,
            f"promise:{promise.id}",
            cause=cause,
            version=promise.version,
            promise=promise.id,
            service=promise.service,
        )
        try:
            await self._flag_changes.order(order)
        except FlagConflictError:
            await self.leave(promise, cause, why, _TOUCHED)
        except FrozenError as barred:
            await self._put_off(promise, cause, why, str(barred))
        except (FlagChangeError, BackendOutcomeUnknownError) as error:
            # On its way already, or sent without an answer: `settle` finds out.
            log.info("promise_waits", promise=promise.id, error=str(error))
        except FlagError as error:
            if error.retryable:
                await self._put_off(promise, cause, why, str(error))
            else:
                await self.leave(promise, cause, why, str(error))
        else:
            # A flag that was so already is a promise kept as well.
            async with self._database.transaction() as connection:
                await promises.end(connection, promise, "kept", self._clock.now())
            return True
        return False

    async def leave(self, promise: PendingRevert, cause: ChangeCause, evidence: str, why: str) -> None:
        """End a promise that cannot be kept, and say so."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await promises.end(connection, promise, "left", now):
                left = RevertFailed(cause, promise.state, evidence, why, tries_again=False)
                await self._teller.tell(connection, left, promise.state.flag, promise.state.environment, now)

    async def end(self, promise: PendingRevert, outcome: str) -> None:
        """End a promise of which there is nothing to tell."""
        async with self._database.transaction() as connection:
            await promises.end(connection, promise, outcome, self._clock.now())

    async def _put_off(self, promise: PendingRevert, cause: ChangeCause, evidence: str, why: str) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await promises.postpone(connection, promise, why, now + _RETRY):
                left = RevertFailed(cause, promise.state, evidence, why, tries_again=True)
                await self._teller.tell(connection, left, promise.state.flag, promise.state.environment, now)
