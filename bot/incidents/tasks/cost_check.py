"""Opens the postmortem of an incident that was costly, also where its cost is known only later."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.freezes.hold import GOVERNOR
from bot.incidents.cost import Costs
from bot.incidents.incident import Incident, Status
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.planned_tasks import COST_CHECK
from bot.incidents.records import incidents as records
from bot.store.database import Database
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule

log = structlog.get_logger(__name__)

CHECKED_FOR: Final = timedelta(days=1)
"""How long after its end an incident's cost is checked, as counts come in late."""
_EVERY: Final = timedelta(minutes=1)


class CostCheck(EndsSilently):
    """Checks the cost of an incident that is resolved, for a day."""

    kind = COST_CHECK
    rule = RetryRule()

    def __init__(self, database: Database, lifecycle: IncidentLifecycle, costs: Costs) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._costs = costs

    async def run(self, attempt: TaskAttempt) -> None:
        """Open the postmortem if the cost calls for one; look again until the day is over."""
        id_, now = int(attempt.task.key), attempt.now
        async with self._database.reading() as connection:
            incident = await records.read(connection, id_)
        if not _is_checked(incident, now):
            return
        is_costly = await self._costs.calls_for_postmortem(incident, now)
        async with attempt.completing() as connection:
            if not is_costly:
                attempt.repeat(now + _EVERY)
                return
            await self._lifecycle.request_postmortem_within(connection, id_, by=GOVERNOR, now=now)
        log.info("postmortem_due", incident=id_)


def _is_checked(incident: Incident, now: datetime) -> bool:
    resolved = incident.resolved_at
    if incident.status is not Status.RESOLVED or incident.postmortem_at is not None or resolved is None:
        return False
    return now - resolved <= CHECKED_FOR
