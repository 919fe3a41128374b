"""Reads what freezes cost the pace, and what deployments cost the budget."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import Budget
from bot.budgets.exact import allowed
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Service
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import Span
from bot.clock import Clock
from bot.flags.records.history import CHANGES
from bot.freezes.exemptions.requests import RequestState
from bot.spending.attribution import CauseKind, claims, stretches
from bot.spending.event_reader import ServiceEventReader
from bot.spending.service_events import ServiceEvents
from bot.store.database import Database
from bot.store.tables.core import audit, exemptions, holds
from bot.store.tables.exemptions import exemption_requests
from bot.store.value_lists import is_one_of
from bot.velocity.budget_cost import BudgetCost, SpentByDeliveries, budget_cost
from bot.velocity.delivery import LONGEST_LEAD_TIME
from bot.velocity.freeze_cost import (
    DecidedRequest,
    FlagMovement,
    FreezeCost,
    FreezeRecord,
    GrantedExemption,
    freeze_cost,
)
from bot.velocity.reader import VelocityReader
from bot.velocity.scope import VelocityScope

LOOK_BACK: Final = timedelta(days=90)
"""How far back the newest deployments are looked for that say how many more the budget carries."""

MOST_DIVIDED: Final = 20
"""Of how many services together it is read what their deployments spent: that takes a while for each."""

Budgets = Mapping[str, Sequence[Budget]]
"""The budgets of each service as they stand now."""


@dataclass(frozen=True, slots=True)
class CostOfBoth:
    """What freezes cost the pace in a span, and what deployments cost the budget of each service."""

    freezes: FreezeCost
    budgets: tuple[BudgetCost, ...]


class CostReader:
    """Reads what pace and reliability cost each other.

    `velocity` reads the deployments, `events` what else happened around the services.
    """

    def __init__(
        self,
        velocity: VelocityReader,
        events: ServiceEventReader,
        database: Database,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._events = events
        self._velocity = velocity
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def costs(self, scope: VelocityScope, span: Span, budgets: Budgets) -> CostOfBoth:
        """Return what they cost in a span that has passed.

        Services without `budgets` have no budget cost, and none has in a scope of more than `MOST_DIVIDED`.
        """
        now = self._clock.now()
        longer = Span(min(span.start, now - LOOK_BACK), max(span.end, now))
        deliveries = await self._velocity.deliveries(scope, longer)
        async with self._database.reading() as connection:
            record = await _freeze_record(connection, scope.service_names, span, now)
        found = []
        for service in scope.services if len(scope.services) <= MOST_DIVIDED else ():
            known = [each for each in budgets.get(service.name, ()) if _size(each)]
            if known:
                spent = [await self._spent(service, each, span, now) for each in known]
                cost = budget_cost(spent, deliveries, span)
                found += [cost] if cost else []
        return CostOfBoth(freeze_cost(record, deliveries, span), tuple(found))

    async def _spent(self, service: Service, budget: Budget, span: Span, now: datetime) -> SpentByDeliveries:
        """Return what deployments spent of a budget, from long enough ago; flags only in the span."""
        end = budget.as_of or now
        window = Span(min(span.start, end - LOOK_BACK, end), end)
        within = service.policy_for(budget.slo).attribute_within
        events = await self._events.read(service, window, within)
        size = _size(budget)
        spent = await self._divided(budget, window, within, events)
        by_report: dict[str, float] = defaultdict(float)
        by_incident: dict[int, float] = defaultdict(float)
        by_flag = 0.0
        for kind, name, at, bad in spent:
            if kind is CauseKind.DEPLOYMENT:
                by_report[str(name)] += bad / size
            elif kind is CauseKind.INCIDENT:
                by_incident[int(name)] += bad / size
            elif kind is CauseKind.FLAG and span.start <= at < span.end:
                by_flag += bad / size
        raises = sum(move.raises and span.start <= move.at < span.end for move in events.flags)
        left = float(budget.remaining) if budget.remaining is not None else None
        return SpentByDeliveries(
            service.name, budget.slo.name, window, by_report, by_incident, by_flag, raises, left
        )

    async def _divided(
        self, budget: Budget, window: Span, within: timedelta, events: ServiceEvents
    ) -> Sequence[tuple[CauseKind, str, datetime, float]]:
        """Return each stretch of a window: its cause's kind and name, its start, and what was spent in it."""
        divided = stretches(window, claims(events, window, within))
        spans = [Span(window.start, stretch.end) for stretch, _ in divided]
        if isinstance(budget.slo.sli, DowntimeSli):
            counted = await self._ledger.downtime_counts(budget.slo, spans)
        else:
            counted = await self._ledger.counts(budget.slo, spans, self._clock.now())
        found, before = [], 0.0
        for (stretch, cause), sums in zip(divided, counted, strict=True):
            spent, before = max(0.0, sums.bad - before), max(before, sums.bad)
            name = getattr(cause.subject, "id", "")
            found.append((cause.kind, str(name), stretch.start, spent))
        return found


def _size(budget: Budget) -> float:
    """Return how many events (seconds) may be bad in the present window; 0 where nothing is counted."""
    return float(allowed(budget.events.total, budget.slo.objective)) if budget.events else 0.0


async def _freeze_record(
    connection: AsyncConnection, services: Sequence[str], span: Span, now: datetime
) -> FreezeRecord:
    """Return what is stored of the services' freezes; older ones too, for which changes may have waited."""
    asked = exemption_requests.c
    requests = select(exemption_requests).where(
        is_one_of(asked.service, services), asked.asked_at.between(span.start, span.end)
    )
    granted = exemptions.c
    given = select(exemptions).where(
        is_one_of(granted.service, services), granted.since.between(span.start, span.end)
    )
    rows = audit.c
    actions = ("gate.passed_by_kind", "freeze.bypassed", *CHANGES)
    deeds = select(rows.at, rows.action, rows.subject, rows.service).where(
        is_one_of(rows.service, services), rows.action.in_(actions), rows.at >= span.start, rows.at <= now
    )
    done = (await connection.execute(deeds)).all()
    return FreezeRecord(
        frozen=await _frozen(connection, services, Span(span.start - LONGEST_LEAD_TIME, span.end), now),
        requests=[
            DecidedRequest(
                row.service, row.change, row.asked_at, row.decided_at, row.state == RequestState.GRANTED
            )
            for row in await connection.execute(requests)
        ],
        exemptions=[
            GrantedExemption(row.service, row.change, row.since, row.until)
            for row in await connection.execute(given)
        ],
        flags=[
            FlagMovement(row.service, row.subject.partition(" ")[0], row.at)
            for row in done
            if row.action in CHANGES
        ],
        passed_by_kind=[row.at for row in done if row.action == "gate.passed_by_kind"],
        bypassed=[row.at for row in done if row.action == "freeze.bypassed"],
    )


async def _frozen(
    connection: AsyncConnection, services: Sequence[str], span: Span, now: datetime
) -> Mapping[str, Sequence[Span]]:
    """Return by service when a hold stopped changes: until it was lifted or ran out, at the latest now."""
    columns = holds.c
    query = select(columns.service, columns.since, columns.until, columns.lifted_at).where(
        is_one_of(columns.service, services),
        columns.observed.is_(False),
        columns.since < span.end,
        or_(columns.lifted_at.is_(None), columns.lifted_at > span.start),
    )
    found: dict[str, list[Span]] = defaultdict(list)
    for row in await connection.execute(query):
        ends = [each for each in (row.until, row.lifted_at, now) if each is not None]
        found[row.service].append(Span(row.since, min(ends)))
    return found
