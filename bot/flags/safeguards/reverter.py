"""Carries out pending reverts: restores the recorded state, or announces why it could not."""

from datetime import datetime, timedelta

import structlog

from bot.clock import Clock
from bot.flags.backend import (
    MAY_COME_BACK,
    BackendOutcomeUnknownError,
    EnvironmentNotFoundError,
    FlagConflictError,
    FlagError,
    FlagNotFoundError,
)
from bot.flags.change import Restore
from bot.flags.change_request import ChangeCause, ChangeRequest, FlagChangeError, FrozenError
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import RevertFailed, WatchEndedUndecided
from bot.flags.records import reverts
from bot.flags.records.reverts import PendingRevert
from bot.formatting import duration_text
from bot.freezes.hold import GOVERNOR
from bot.store.database import Database

log = structlog.get_logger(__name__)

_RETRY_AFTER = timedelta(seconds=15)
_RETRY_ABSENT_AFTER = timedelta(minutes=5)
_GONE_FOR_GOOD = timedelta(days=1)
"""After how long a flag or an environment that is not there counts as removed on purpose."""
_SHUT_FOR_GOOD = timedelta(days=7)
"""After how long nobody is expected to put rights or settings right any more."""
_CHANGED_SINCE = "somebody has changed it since"


class Reverter:
    """Restores recorded states, each at most once, and only while nobody has changed the flag."""

    def __init__(
        self, flag_changes: ChangeExecutor, database: Database, publisher: EventPublisher, clock: Clock
    ) -> None:
        self._flag_changes = flag_changes
        self._database = database
        self._publisher = publisher
        self._clock = clock

    async def revert(self, pending: PendingRevert, cause: ChangeCause, why: str) -> None:
        """Restore the recorded state; what prevents that is announced once."""
        request = ChangeRequest(
            pending.state.flag,
            pending.state.environment,
            Restore(pending.state),
            GOVERNOR,
            why,
            f"promise:{pending.id}",
            cause=cause,
            version=pending.version,
            revert_id=pending.id,
            service=pending.service,
        )
        try:
            await self._flag_changes.execute(request)
        except FlagConflictError:
            await self.give_up(pending, cause, why, _CHANGED_SINCE)
        except FrozenError as error:
            await self._retry_later(pending, cause, why, str(error))
        except (FlagChangeError, BackendOutcomeUnknownError) as error:
            # Being sent already, or sent without an answer: `ChangeExecutor.reconcile` finds out.
            log.info("revert_postponed", revert=pending.id, error=str(error))
        except MAY_COME_BACK as error:
            await self._retry_while_absent(pending, cause, why, error)
        except FlagError as error:
            if error.retryable:
                await self._retry_later(pending, cause, why, str(error))
            else:
                await self.give_up(pending, cause, why, str(error))
        else:
            # Also where the flag was so already.
            await self.end(pending, "kept")

    async def give_up(self, pending: PendingRevert, cause: ChangeCause, evidence: str, why: str) -> None:
        """End a revert that cannot be carried out, and announce it."""
        now, state = self._clock.now(), pending.state
        async with self._database.transaction() as connection:
            if await reverts.end(connection, pending, "left", now):
                failure = RevertFailed(cause, state, evidence, why, will_retry=False)
                await self._publisher.publish(connection, failure, state.flag, state.environment, now)

    async def end(self, pending: PendingRevert, outcome: str) -> None:
        """End a revert without an announcement."""
        async with self._database.transaction() as connection:
            await reverts.end(connection, pending, outcome, self._clock.now())

    async def _retry_while_absent(
        self, pending: PendingRevert, cause: ChangeCause, evidence: str, error: FlagError
    ) -> None:
        """Wait for a flag that is not there, or cannot be reached; give up once that has lasted too long."""
        now = self._clock.now()
        since = pending.absent_since or now
        patience = (
            _GONE_FOR_GOOD
            if isinstance(error, FlagNotFoundError | EnvironmentNotFoundError)
            else _SHUT_FOR_GOOD
        )
        if now - since < patience:
            later = _RETRY_ABSENT_AFTER
            await self._retry_later(pending, cause, evidence, str(error), later, absent_since=since)
            return
        log.warning("revert_given_up", revert=pending.id, flag=pending.state.flag, error=str(error))
        lasted = f"that has been so for {duration_text(now - since)}, so Governor does not try again"
        await self.give_up(pending, cause, evidence, f"{error}; {lasted}")

    async def end_undecided(self, watch: PendingRevert, why: str) -> None:
        """End a watch that nobody can tell the outcome of, and announce that."""
        now, state = self._clock.now(), watch.state
        async with self._database.transaction() as connection:
            if await reverts.end(connection, watch, "undecided", now):
                event = WatchEndedUndecided(why)
                await self._publisher.publish(connection, event, state.flag, state.environment, now)

    async def _retry_later(
        self,
        pending: PendingRevert,
        cause: ChangeCause,
        evidence: str,
        why: str,
        after: timedelta = _RETRY_AFTER,
        *,
        absent_since: datetime | None = None,
    ) -> None:
        now, state = self._clock.now(), pending.state
        async with self._database.transaction() as connection:
            if await reverts.postpone(connection, pending, why, now + after, absent_since):
                failure = RevertFailed(cause, state, evidence, why, will_retry=True)
                await self._publisher.publish(connection, failure, state.flag, state.environment, now)
