"""Reverts what was turned on for a time when the time is over, and warns before: two tasks a timer."""

from datetime import timedelta
from typing import Final

from bot.flags.change_request import ChangeCause
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.events import RevertDueSoon
from bot.flags.records import reverts
from bot.flags.records.reverts import PendingRevert
from bot.flags.safeguards.reverter import Reverter
from bot.store.database import Database
from bot.tasks.handler import EndsSilently, TaskAttempt, TryLaterError
from bot.tasks.task import RetryRule

_RULE: Final = RetryRule(longest_wait=timedelta(minutes=1))
"""When a revert is given up, the reverter decides: it knows why the flag system refuses."""
_SOON: Final = timedelta(seconds=1)


class TimedRevert(EndsSilently):
    """Reverts a flag when its time is over. Nothing is left to do where somebody has changed it before."""

    kind = reverts.TIMED_REVERT
    rule = _RULE

    def __init__(self, reverter: Reverter, database: Database) -> None:
        self._reverter = reverter
        self._database = database

    async def run(self, attempt: TaskAttempt) -> None:
        """Revert; try again later where that is not through yet."""
        timer = await self._read(attempt)
        if timer is None:
            return
        if not timer.is_postponed(attempt.now):
            why = f"its time is over, as asked for by {timer.by}"
            await self._reverter.revert(timer, ChangeCause.TIMER, why)
            timer = await self._read(attempt)
            if timer is None:
                return
        raise TryLaterError(max(_SOON, timer.retry_at - attempt.now) if timer.retry_at else _SOON)

    async def _read(self, attempt: TaskAttempt) -> PendingRevert | None:
        async with self._database.reading() as connection:
            return await reverts.read_open(connection, int(attempt.task.key))


class TimedRevertWarning(EndsSilently):
    """Announces that a flag's time is over soon."""

    kind = reverts.TIMED_REVERT_WARNING
    rule = _RULE

    def __init__(self, publisher: EventPublisher) -> None:
        self._publisher = publisher

    async def run(self, attempt: TaskAttempt) -> None:
        """Announce it, unless the time is over already or somebody has changed the flag."""
        async with attempt.completing() as connection:
            timer = await reverts.read_open(connection, int(attempt.task.key))
            if timer is None or timer.until is None or timer.until <= attempt.now:
                return
            if await reverts.mark_warned(connection, timer):
                state, event = timer.state, RevertDueSoon(timer.state, timer.until)
                await self._publisher.publish(connection, event, state.flag, state.environment, attempt.now)
