"""What incidents cost: the downtime that SLOs count, and the fraction of each budget that one spent.

The cost of an incident is its own: where two overlap, each has its whole cost, though the budget is spent
once. An incident is weighed against the window that ended with it (or that ends now, while it lasts or where
the ledger no longer holds all of that one); what it spent before the ledger's time is not known.
Sums over several incidents are of charges instead, which `attribution.py` divides among those that overlap.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from bot.budgets.adjustments.effects import NOTHING_LEFT_OUT, LeftOutTime, within
from bot.budgets.budget import EventCounts
from bot.budgets.exact import allowed, share
from bot.budgets.ledger.rollups import BEYOND_LONGEST
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import UnfreezeRequirement
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.incidents.attribution import Charge, counted_seconds, lasted, own_seconds, own_time
from bot.incidents.downtime import bad_seconds
from bot.incidents.incident import Incident
from bot.incidents.records import incidents as records
from bot.store.database import Database

Counts = Callable[[Slo, Sequence[Span], datetime], Awaitable[Sequence[EventCounts]]]
"""Sums an SLO's events within spans, as the ledger does."""

ReadLeftOut = Callable[[Slo, datetime], Awaitable[LeftOutTime]]
"""Returns the times of an SLO that end after a moment and do not count."""

_SECOND = timedelta(seconds=1)


async def nothing_left_out(_slo: Slo, _since: datetime) -> LeftOutTime:
    """Return that all times count."""
    return NOTHING_LEFT_OUT


class Downtime:
    """The downtime that incidents recorded, for the SLOs that count it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bad_seconds(self, service: str, spans: Sequence[Span]) -> Sequence[float]:
        """Return the seconds of full outage of the service within each span, overlaps counted once."""
        if not spans:
            return []
        since, until = min(span.start for span in spans), max(span.end for span in spans)
        async with self._database.reading() as connection:
            impacts = await records.read_impacts(connection, service, since, until)
        return [bad_seconds(impacts, span) for span in spans]


class Costs:
    """Weighs incidents against the budgets of the policies in force.

    Where the record is adjusted, `counts` sums what is left, and what happened in a time of `left_out`
    costs nothing.
    """

    def __init__(
        self, current: CurrentCatalog, counts: Counts, left_out: ReadLeftOut = nothing_left_out
    ) -> None:
        self._current = current
        self._counts = counts
        self._left_out = left_out

    async def of(self, incident: Incident, now: datetime) -> Mapping[str, float]:
        """Return the fraction of each budget that the incident spent, by `service/slo`.

        An SLO without events has no budget and is left out; what does not count spent nothing.
        """
        if not incident.status.counts:
            return {}
        services = self._current.catalog.services
        slos = [slo for name in incident.services if name in services for slo in services[name].slos]
        spent = {slo.key: await self._spent(incident, slo, now) for slo in slos}
        return {key: fraction for key, fraction in spent.items() if fraction is not None}

    async def calls_for_postmortem(self, incident: Incident, now: datetime) -> bool:
        """Return whether it spent more of any budget than that budget's policy lets pass without one."""
        return self.is_costly(incident, await self.of(incident, now))

    def is_costly(self, incident: Incident, cost: Mapping[str, float]) -> bool:
        """Return whether a cost is more than some policy lets pass without a postmortem and a P0 action."""
        services = self._current.catalog.services
        return any(
            cost.get(slo.key, 0.0) > float(services[name].policy_for(slo).postmortem_at)
            for name in incident.services
            if name in services
            for slo in services[name].slos
        )

    def held_until_owned(self, incident: Incident) -> tuple[str, ...]:
        """Return the incident's services whose budget hold stays until their P0 actions are owned."""
        services = self._current.catalog.services
        return tuple(
            name
            for name in incident.services
            if name in services
            and any(
                services[name].policy_for(slo).unfreeze_requires is UnfreezeRequirement.ACTIONS_OWNED
                for slo in services[name].slos
            )
        )

    async def charges(
        self, incidents: Iterable[Incident], now: datetime
    ) -> Mapping[int, Mapping[str, Charge]]:
        """Return what each incident added to what was spent, by its number and `service/slo`.

        Fractions of each budget; where incidents overlap nothing is charged twice. An SLO without events
        has no budget and is left out.
        """
        all_incidents = list(incidents)
        charges: dict[int, dict[str, Charge]] = {incident.id: {} for incident in all_incidents}
        for service in self._current.catalog.services.values():
            affecting = [incident for incident in all_incidents if service.name in incident.services]
            for slo in service.slos if affecting else ():
                for id_, charge in (await self._charged(affecting, slo, now)).items():
                    charges[id_][slo.key] = charge
        return charges

    async def spent_within_window(
        self, incidents: Iterable[Incident], slo: Slo, now: datetime
    ) -> Mapping[int, float]:
        """Return the bad events, or seconds of downtime, that each incident added in the SLO's window."""
        window = slo.window.span(now)
        if isinstance(slo.sli, DowntimeSli):
            left_out = await self._left_out(slo, window.start)
            seconds = own_seconds(incidents, slo.service, now, window, left_out.spans)
            return {incident.id: charge.spent for incident, charge in seconds}
        owned = own_time(incidents, now, window)
        spans = [span for own in owned for span in own.spans]
        counted = iter(await self._counts(slo, spans, now) if spans else ())
        return {own.incident.id: sum(next(counted).bad for _ in own.spans) for own in owned}

    async def _charged(self, incidents: Sequence[Incident], slo: Slo, now: datetime) -> Mapping[int, Charge]:
        if isinstance(slo.sli, DowntimeSli):
            since = min(slo.window.span(lasted(incident, now).start).start for incident in incidents)
            left_out = await self._left_out(slo, since)
            return {
                incident.id: charge.of(_allowed(_seconds_of(slo, lasted(incident, now).end, left_out), slo))
                for incident, charge in own_seconds(incidents, slo.service, now, left_out=left_out.spans)
            }
        bad, windows = await self._counted(incidents, slo, now)
        budgets = {id_: _allowed(window.total, slo) for id_, window in windows.items()}
        return {id_: charge.of(budgets[id_]) for id_, charge in bad.items() if budgets[id_] > 0}

    async def _counted(
        self, incidents: Sequence[Incident], slo: Slo, now: datetime
    ) -> tuple[Mapping[int, Charge], Mapping[int, EventCounts]]:
        """Return each incident's own bad events, and all events of the window that ended with it."""
        measured = [incident for incident in incidents if self._is_retained(lasted(incident, now), now)]
        owned = own_time(measured, now)
        spans = [
            span
            for own in owned
            for span in (
                *own.spans,
                *own.unseen,
                self._budget_window(slo, lasted(own.incident, now).end, now),
            )
        ]
        counted = iter(await self._counts(slo, spans, now))
        charges, windows = {}, {}
        for own in owned:
            spent = sum(next(counted).bad for _ in own.spans)
            charges[own.incident.id] = Charge(spent, sum(next(counted).bad for _ in own.unseen))
            windows[own.incident.id] = next(counted)
        return charges, windows

    def _is_retained(self, span: Span, now: datetime) -> bool:
        """Return whether the ledger still holds all of a time."""
        lengths = [slo.window.full_length(now) for slo in self._current.catalog.slos]
        return span.start >= now - max(lengths) - BEYOND_LONGEST

    def _budget_window(self, slo: Slo, end: datetime, now: datetime) -> Span:
        """Return the window whose budget an incident that ended at a time is weighed against."""
        window = slo.window.span(end)
        return window if self._is_retained(window, now) else slo.window.span(now)

    async def _spent(self, incident: Incident, slo: Slo, now: datetime) -> float | None:
        during = lasted(incident, now)
        end = during.end
        if isinstance(slo.sli, DowntimeSli):
            left_out = await self._left_out(slo, min(during.start, slo.window.span(end).start))
            bad = counted_seconds([incident], slo.service, during, left_out.spans)
            total = _seconds_of(slo, end, left_out)
        else:
            if not self._is_retained(during, now):
                return None
            counted, window = await self._counts(slo, [during, self._budget_window(slo, end, now)], now)
            bad, total = counted.bad, window.total
        # The binary fraction nearest to the exact one: it compares with a policy's share as on paper.
        return float(share(bad, allowed(total, slo.objective))) if total > 0 else None


def _seconds_of(slo: Slo, end: datetime, left_out: LeftOutTime) -> float:
    """Return the seconds that count of the window that ended with a time."""
    dropped = sum((span.length for span in within(left_out.dropped, slo.window.span(end))), timedelta())
    return (slo.window.full_length(end) - dropped) / _SECOND


def _allowed(total: float, slo: Slo) -> float:
    return float(allowed(total, slo.objective))
