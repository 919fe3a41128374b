"""Plans the tasks of incidents and actions, in the transaction of the change that calls for them."""

from datetime import UTC, datetime, time
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents import reminders
from bot.incidents.action import Action
from bot.incidents.incident import Incident, Status
from bot.store.database import Database
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask

REMINDERS: Final = "incident reminders"
"""The kind of the tasks that remind people of an open incident."""
COST_CHECK: Final = "incident cost check"
"""The kind of the tasks that open the postmortem of a costly incident."""
ACTION_DUE: Final = "action due"
"""The kind of the tasks that remind the owner of an action."""


async def plan_for_incident(
    database: Database, connection: AsyncConnection, incident: Incident, now: datetime
) -> None:
    """Plan what is due for an incident that was opened or changed just now.

    A reminder may be planned too early: whoever does the task looks when the last one was sent.
    """
    remind_at = reminders.next_due(incident, now, {})
    if remind_at is None:
        await tasks.cancel(connection, REMINDERS, str(incident.id), now)
    else:
        reminder = PlannedTask(REMINDERS, str(incident.id), remind_at)
        await tasks.schedule(database, connection, reminder, now)
    if incident.status is Status.RESOLVED and incident.postmortem_at is None:
        await tasks.schedule(database, connection, PlannedTask(COST_CHECK, str(incident.id), now), now)


async def plan_for_action(
    database: Database, connection: AsyncConnection, action: Action, now: datetime
) -> None:
    """Plan the reminder of an action that was added or changed, for the day on which it is due."""
    if action.due is None or action.owner is None or action.done_at is not None:
        await tasks.cancel(connection, ACTION_DUE, str(action.id), now)
        return
    due_at = datetime.combine(action.due, time(), UTC)
    await tasks.schedule(database, connection, PlannedTask(ACTION_DUE, str(action.id), due_at), now)
