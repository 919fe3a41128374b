"""Reminds the owner of an action on the day when it is due."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.planned_tasks import ACTION_DUE
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.records import actions
from bot.store.outbox import enqueue
from bot.tasks.handler import TaskAttempt
from bot.tasks.task import DueTask, RetryRule


class OwnerReminders:
    """Reminds each owner once for each date. One who becomes the owner later is reminded then."""

    kind = ACTION_DUE
    rule = RetryRule()

    def __init__(self, messages: IncidentMessageWriter) -> None:
        self._messages = messages

    async def run(self, attempt: TaskAttempt) -> None:
        """Remind, unless the action is done or its date was moved."""
        today = attempt.now.astimezone(UTC).date()
        async with attempt.completing() as connection:
            due = await actions.claim_overdue(connection, int(attempt.task.key), today, attempt.now)
            if due is not None:
                await enqueue(connection, [self._messages.action_due(due)], attempt.now)

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Do nothing: it is never given up."""
