"""What incidents cost: the downtime that SLOs spend from, and the share of each budget that one took.

The cost of an incident is its own: where two overlap, each is told its whole cost, though the budget is
spent once. An incident is weighed against the window that ended with it (that ends now, while it lasts).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.budgets.budget import Events
from bot.budgets.slo import DowntimeSli, Slo
from bot.budgets.window import Span
from bot.incidents import records
from bot.incidents.downtime import bad_seconds
from bot.incidents.incident import Incident
from bot.policy.catalog import Catalog
from bot.store.database import Database

Counts = Callable[[Slo, Sequence[Span], datetime], Awaitable[Sequence[Events]]]
"""Sums an SLO's events within spans, as the ledger does."""

_SECOND = timedelta(seconds=1)


class Downtime:
    """The downtime that incidents recorded, for the SLOs that spend from it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bad_seconds(self, service: str, spans: Sequence[Span]) -> Sequence[float]:
        """Answer the seconds of full outage of the service within each span, overlaps counted once."""
        if not spans:
            return []
        since, until = min(span.start for span in spans), max(span.end for span in spans)
        async with self._database.reading() as connection:
            impacts = await records.read_impacts(connection, service, since, until)
        return [bad_seconds(impacts, span) for span in spans]


class Costs:
    """Weighs incidents against the budgets of the policies in force."""

    def __init__(self, catalog: Callable[[], Catalog], counts: Counts) -> None:
        self._catalog = catalog
        self._counts = counts

    async def of(self, incident: Incident, now: datetime) -> Mapping[str, float]:
        """Answer the fraction of each budget that the incident spent, by `service/slo`.

        An SLO without events has no budget and is left out.
        """
        services = self._catalog().services
        slos = [slo for name in incident.services if name in services for slo in services[name].slos]
        spent = {slo.key: await self._spent(incident, slo, now) for slo in slos}
        return {key: fraction for key, fraction in spent.items() if fraction is not None}

    async def calls_for_postmortem(self, incident: Incident, now: datetime) -> bool:
        """Tell whether it spent more of any budget than that budget's policy lets pass without one."""
        services = self._catalog().services
        cost = await self.of(incident, now)
        return any(
            cost.get(slo.key, 0.0) > services[name].policy_for(slo).postmortem_at
            for name in incident.services
            if name in services
            for slo in services[name].slos
        )

    async def _spent(self, incident: Incident, slo: Slo, now: datetime) -> float | None:
        end = min(now, incident.ended_at or now)
        during = Span(min(incident.started_at, end), end)
        if isinstance(slo.sli, DowntimeSli):
            bad = bad_seconds(incident.impacts_on(slo.service), during)
            total = slo.window.full_length(end) / _SECOND
        else:
            counted, window = await self._counts(slo, [during, slo.window.span(end)], now)
            bad, total = counted.bad, window.total
        return bad / (total * (1 - slo.objective)) if total > 0 else None
