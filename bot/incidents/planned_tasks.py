"""Plans the tasks of incidents and actions, in the transaction of the change that calls for them."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.quiet import all_quiet_until
from bot.incidents import reminders
from bot.incidents.action import Action
from bot.incidents.incident import Incident, Status
from bot.store.database import Database
from bot.store.personal.notice import PERSONAL_NOTICES, PersonalNotice, PersonalTopic
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


async def plan_notice(
    database: Database,
    connection: AsyncConnection,
    incident: Incident,
    services: Sequence[Service],
    now: datetime,
) -> None:
    """Plan to tell those who asked for it of an incident that was opened just now, of their `services`.

    A severe one is told at once, others when the quiet hours of the first service end.
    """
    until = None if incident.severity.is_severe else all_quiet_until(services, now)
    names = tuple(service.name for service in services)
    notice = PersonalNotice(
        PersonalTopic.INCIDENTS, names, by=incident.opened_by, until=until, incident=incident.id
    )
    key = f"incident {incident.id}"
    task = PlannedTask(PERSONAL_NOTICES, key, until or now, notice.payload(now))
    await tasks.plan(database, connection, task, now)
