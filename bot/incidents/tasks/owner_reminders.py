"""Reminds the owner of an action on the day when it is due."""

from datetime import UTC

from bot.incidents.planned_tasks import ACTION_DUE
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.records import actions
from bot.store.addresses import local, team_of
from bot.store.outbox import enqueue
from bot.store.personal import preferences
from bot.store.personal.notice import PersonalTopic
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule


class OwnerReminders(EndsSilently):
    """Reminds each owner once for each date. One who becomes the owner later is reminded then."""

    kind = ACTION_DUE
    rule = RetryRule()

    def __init__(self, messages: IncidentMessageWriter) -> None:
        self._messages = messages

    async def run(self, attempt: TaskAttempt) -> None:
        """Remind, unless the action is done, its date was moved, or the owner wants no reminders."""
        today = attempt.now.astimezone(UTC).date()
        async with attempt.completing() as connection:
            due = await actions.claim_overdue(connection, int(attempt.task.key), today, attempt.now)
            if due is None:
                return
            message = self._messages.action_due(due)
            workspace, owner = team_of(message.channel), local(message.channel)
            wanted = await preferences.read(connection, workspace, owner)
            if PersonalTopic.ACTIONS in wanted.topics:
                await enqueue(connection, [message], attempt.now)
