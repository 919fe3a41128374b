"""Reads what incidents teach: the report of a time, and where the budget of a service that freezes went."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.freezes.transition import Spending
from bot.incidents.cost import Costs
from bot.incidents.incident import CauseClass, Incident, Status
from bot.incidents.records import incidents as records
from bot.incidents.report import WORK, ChargedIncident, IncidentReport, report_on
from bot.store.database import Database

_HARDLY = 0.01
"""An incident that took less than this share of what was spent does not explain it."""


def everyone_may_see(incident: Incident) -> bool:
    """Return whether an incident may be counted where anybody reads."""
    return not incident.private


class ReportReader:
    """Sums incidents up; `costs` weighs them."""

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
        """Return the report on the incidents opened since a time, and these; of one service or of all.

        Those that the reader may not see are not counted anywhere in it.
        """
        async with self._database.reading() as connection:
            found = await records.read_many(connection, service=service, since=since)
        found = [one for one in found if may_see(one)]
        mine = [replace(one, services=(service,)) for one in found] if service is not None else found
        charges = await self._costs.charges(mine, now)
        charged = [ChargedIncident(one, charges[one.id]) for one in found]
        return report_on(charged, since=since, until=now, service=service), found

    async def where_it_went(self, service: Service, budget: Budget, now: datetime) -> Spending | None:
        """Return where a spent budget went; None where nothing is known that everyone may be told.

        A service that never had an incident tells nothing: perhaps nobody records them.
        """
        bad = budget.events.bad if budget.events is not None else 0.0
        async with self._database.reading() as connection:
            found = await records.read_many(connection, service=service.name)
        if not found or bad <= 0:
            return None
        window = budget.slo.window.span(now)
        within = [one for one in found if one.ended_at is None or one.ended_at > window.start]
        spent = await self._costs.spent_within_window(within, budget.slo, now)
        told = [one for one in within if everyone_may_see(one) and spent[one.id] > _HARDLY * bad]
        if not told and any(one.private for one in within):
            return None
        return _spending(told, spent, bad)


def _spending(incidents: Sequence[Incident], spent: Mapping[int, float], bad: float) -> Spending:
    order = sorted(incidents, key=lambda one: (-spent[one.id], one.id))
    whole = sum(spent[one.id] for one in order)
    by_cause: dict[CauseClass | None, float] = {}
    for one in order:
        by_cause[one.cause] = by_cause.get(one.cause, 0.0) + spent[one.id]
    most = max(by_cause, key=lambda cause: by_cause[cause], default=None)
    return Spending(
        share=min(1.0, whole / bad),
        incidents=tuple(one.id for one in order),
        is_open=bool(order) and order[0].status is not Status.RESOLVED,
        cause=most.value if most is not None else None,
        work=WORK[most] if most is not None else None,
    )
