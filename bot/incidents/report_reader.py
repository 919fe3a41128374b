"""Reads reports on incidents, and which incidents spent the budget of a service that freezes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.freezes.transition import Spending
from bot.incidents.cost import Costs
from bot.incidents.incident import CauseClass, Incident
from bot.incidents.records import incidents as records
from bot.incidents.report import WORK, ChargedIncident, IncidentReport, report_on
from bot.incidents.visibility import ANYBODY, may_see
from bot.store.database import Database

_NEGLIGIBLE = 0.01
"""An incident that took less than this share of what was spent does not explain it."""


def everyone_may_see(incident: Incident) -> bool:
    """Return whether an incident may be counted where anybody reads."""
    return may_see(incident, ANYBODY)


class ReportReader:
    """Sums up incidents and what they cost."""

    def __init__(self, database: Database, costs: Costs) -> None:
        self._database = database
        self._costs = costs

    async def report(
        self,
        since: datetime,
        now: datetime,
        service: str | None = None,
        may_see: Callable[[Incident], bool] = everyone_may_see,
    ) -> tuple[IncidentReport, Sequence[Incident]]:
        """Return the report on the incidents opened since a time, and these incidents; of one service or all.

        Those that the reader may not see are not counted anywhere in it.
        """
        async with self._database.reading() as connection:
            all_incidents = await records.read_many(connection, service=service, since=since)
        incidents = [incident for incident in all_incidents if may_see(incident) and incident.status.counts]
        weighed = incidents
        if service is not None:
            weighed = [replace(incident, services=(service,)) for incident in incidents]
        charges = await self._costs.charges(weighed, now)
        charged = [ChargedIncident(incident, charges[incident.id]) for incident in incidents]
        return report_on(charged, since=since, until=now, service=service), incidents

    async def where_it_went(self, service: Service, budget: Budget, now: datetime) -> Spending | None:
        """Return which incidents spent a budget; None where nothing is known that everyone may see.

        That a service never had an incident says nothing: perhaps nobody records them.
        """
        bad = budget.events.bad if budget.events is not None else 0.0
        async with self._database.reading() as connection:
            incidents = await records.read_many(connection, service=service.name)
        if not incidents or bad <= 0:
            return None
        window = budget.slo.window.span(now)
        within = [
            incident
            for incident in incidents
            if incident.status.counts and (incident.ended_at is None or incident.ended_at > window.start)
        ]
        spent = await self._costs.spent_within_window(within, budget.slo, now)
        public = [
            incident
            for incident in within
            if everyone_may_see(incident) and spent[incident.id] > _NEGLIGIBLE * bad
        ]
        if not public and not all(map(everyone_may_see, within)):
            return None
        return _spending(public, spent, bad)


def _spending(incidents: Sequence[Incident], spent: Mapping[int, float], bad: float) -> Spending:
    order = sorted(incidents, key=lambda incident: (-spent[incident.id], incident.id))
    total = sum(spent[incident.id] for incident in order)
    by_cause: dict[CauseClass | None, float] = {}
    for incident in order:
        by_cause[incident.cause] = by_cause.get(incident.cause, 0.0) + spent[incident.id]
    most = max(by_cause, key=lambda cause: by_cause[cause], default=None)
    return Spending(
        share=min(1.0, total / bad),
        incidents=tuple(incident.id for incident in order),
        is_open=bool(order) and not order[0].status.is_over,
        cause=most.value if most is not None else None,
        work=WORK[most] if most is not None else None,
    )
