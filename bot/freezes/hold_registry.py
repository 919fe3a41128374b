"""Applies decisions: holds, what to remember, audit rows and announcements, each in one transaction.

FreezeError
├── NothingToLift     no person's hold lies on the service
└── AlreadyRequested  this very request was carried out before (a repeated delivery)
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, UnmetRequirement
from bot.freezes.audit_entries import entry_of
from bot.freezes.decision import Decision, FreezeState, Judged, decide, still_required
from bot.freezes.hold import GOVERNOR, Hold, HoldKind, holds_in_force
from bot.freezes.records import hold_of, read_exemptions, read_holds, read_standings
from bot.freezes.spending import Spending
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    DataMissing,
    ExemptionGranted,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    Transition,
)
from bot.freezes.verdict import Exemption
from bot.store import audit
from bot.store import idempotency as requests
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.tables.core import exemptions as exemption_rows
from bot.store.tables.core import holds as hold_rows
from bot.store.tables.core import standings as standing_rows

log = structlog.get_logger(__name__)

_WRITTEN_AT_ONCE = 20


class FreezeError(Exception):
    """A change to a service's holds was refused. The message is fit for the person who asked."""


class NothingToLiftError(FreezeError):
    """No person's hold lies on the service; `holds` are those of others that do."""

    def __init__(self, service: str, holds: Sequence[Hold]) -> None:
        super().__init__(f"no person's hold lies on {service}")
        self.service = service
        self.holds = tuple(holds)


class AlreadyRequestedError(FreezeError):
    """The same request was carried out before; doing nothing was right."""


@dataclass(frozen=True, slots=True)
class TransitionContext:
    """A transition with what its teller needs: the service, the other holds in force, and the time."""

    transition: Transition
    service: Service
    other_holds: tuple[Hold, ...]
    now: datetime
    spending: Spending | None = None
    """Where the budget went, with a freeze; None where nothing is known of it."""


Announce = Callable[[TransitionContext], Sequence[OutboxMessage]]
"""Writes the messages that tell an occasion; pure, so that it can run within the transaction."""


Unmet = Callable[[AsyncConnection, str], Awaitable[Sequence[UnmetRequirement]]]
"""Answers what keeps a service from meeting requirements for lifting a budget hold now."""

Explain = Callable[[Service, Budget, datetime], Awaitable[Spending | None]]
"""Answers where a spent budget went, as far as that is known."""


async def nothing_unmet(_connection: AsyncConnection, _service: str) -> Sequence[UnmetRequirement]:
    """Return that whatever may be required is met."""
    return ()


async def nothing_known(_service: Service, _budget: Budget, _now: datetime) -> Spending | None:
    """Return that nobody knows where a budget went."""
    return None


class HoldRegistry:
    """Places and lifts holds. `announce` writes what is announced of it.

    `unmet` and `explain` know what other rooms do: what keeps a hold on a service, and where its budget went.
    """

    def __init__(
        self,
        database: Database,
        announce: Announce,
        unmet: Unmet = nothing_unmet,
        explain: Explain = nothing_known,
    ) -> None:
        self._unmet = unmet
        self._explain = explain
        self._database = database
        self._announce = announce

    async def judge_budgets(
        self, service: Service, budgets: Sequence[Budget], now: datetime
    ) -> Sequence[BudgetTransition]:
        """Decide on the service's budgets and carry it out; return what happened."""
        return (await self.judge_all([(service, budgets)], now)).get(service.name, ())

    async def judge_all(
        self, assessed: Sequence[tuple[Service, Sequence[Budget]]], now: datetime
    ) -> Mapping[str, Sequence[BudgetTransition]]:
        """Decide on the budgets of many services and carry it out; return what happened, by service.

        All are read in one go. Those that change are written some at a time, so that a person's freeze need
        not wait until hundreds are written.
        """
        quiet = await self._decide_on_all(assessed, now)
        happened: dict[str, Sequence[BudgetTransition]] = {}
        for start in range(0, len(quiet), _WRITTEN_AT_ONCE):
            happened |= await self._settle(quiet[start : start + _WRITTEN_AT_ONCE], now)
        return happened

    async def _settle(
        self, quiet: Sequence[tuple[Service, Sequence[Budget], Decision]], now: datetime
    ) -> dict[str, Sequence[BudgetTransition]]:
        """Decide anew in one transaction, in which nobody else decides, and write what comes of it."""
        # Asked before the transaction, so that nobody waits for it, and of services alone that freeze.
        spendings = [await self._spending(service, decision, now) for service, _, decision in quiet]
        happened: dict[str, Sequence[BudgetTransition]] = {}
        async with self._database.transaction() as connection:
            for (service, budgets, _), spending in zip(quiet, spendings, strict=True):
                decision = await self._decide(connection, service, _judged(service, budgets), now)
                if decision is None:
                    continue
                for transition in decision.transitions:
                    await self._carry_out(connection, service, transition, now)
                    await self._tell(connection, service, transition, now, spending)
                await self._remember(connection, service.name, decision.standing)
                happened[service.name] = decision.transitions
        for name, transitions in happened.items():
            self._after(name, transitions)
        return happened

    async def _decide_on_all(
        self, assessed: Sequence[tuple[Service, Sequence[Budget]]], now: datetime
    ) -> list[tuple[Service, Sequence[Budget], Decision]]:
        """Decide on what lies there now, and leave out the services of which nothing is to be written."""
        names = {service.name for service, _ in assessed}
        found = []
        async with self._database.reading() as connection:
            standings = await read_standings(connection, names)
            holds = await read_holds(connection)
            own = {hold.service: hold for hold in holds if hold.kind is HoldKind.BUDGET}
            for service, budgets in assessed:
                judged, hold = _judged(service, budgets), own.get(service.name)
                standing = standings.get(service.name, FreezeState())
                missing = await self._unmet(connection, service.name) if hold and _is_required(judged) else ()
                decision = _news(judged, hold, standing, missing, now)
                if decision is not None:
                    found.append((service, budgets, decision))
        return found

    async def place(
        self,
        service: Service,
        *,
        by: str,
        reason: str,
        until: datetime | None,
        request: str,
        now: datetime,
        kind: HoldKind = HoldKind.PERSON,
    ) -> Hold:
        """Put a hold on the service. Raises `AlreadyRequestedError` for a repeated `request`."""
        values = {
            "service": service.name,
            "kind": str(kind),
            "reason": reason,
            "by": by,
            "since": now,
            "until": until,
            "request": request,
        }
        async with self._database.transaction() as connection:
            id_ = (
                await connection.execute(
                    self._database.insert(hold_rows)
                    .values(values)
                    .on_conflict_do_nothing(index_elements=["request"])
                    .returning(hold_rows.c.id)
                )
            ).scalar_one_or_none()
            if id_ is None:
                raise AlreadyRequestedError(f"{service.name} was frozen by this request before")
            hold = Hold(id_, service.name, kind, reason, by, now, until)
            await self._tell(connection, service, HoldPlaced(hold), now)
        self._after(service.name, (HoldPlaced(hold),))
        return hold

    async def lift(
        self, service: Service, *, by: str, reason: str, now: datetime, request: str | None = None
    ) -> Sequence[Hold]:
        """Lift the persons' holds on the service, and no others.

        Raises `NothingToLiftError`, and `AlreadyRequestedError` for a repeated `request`: what was put on
        the service since must not be lifted by it.
        """
        async with self._database.transaction() as connection:
            if request and not await requests.is_first(self._database, connection, f"lift {request}", now):
                raise AlreadyRequestedError(f"{service.name} was lifted by this request before")
            lying = holds_in_force(await read_holds(connection, service.name), now)
            mine = [hold for hold in lying if hold.kind is HoldKind.PERSON]
            if not mine:
                raise NothingToLiftError(service.name, lying)
            for hold in mine:
                await self._end(connection, hold, by, reason, now)
                await self._tell(connection, service, HoldLifted(hold, by, reason), now)
        self._after(service.name, tuple(HoldLifted(hold, by, reason) for hold in mine))
        return mine

    async def lift_incident(self, service: Service, *, incident: str, reason: str, now: datetime) -> None:
        """Lift the holds that an incident put on the service: those whose request begins with `incident`."""
        own = and_(
            hold_rows.c.service == service.name,
            hold_rows.c.kind == HoldKind.INCIDENT,
            hold_rows.c.request.startswith(incident, autoescape=True),
            hold_rows.c.lifted_at.is_(None),
        )
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(hold_rows).where(own).order_by(hold_rows.c.id))
            lifted = tuple(HoldLifted(hold_of(row), GOVERNOR, reason) for row in rows)
            for what in lifted:
                await self._end(connection, what.hold, GOVERNOR, reason, now)
                await self._tell(connection, service, what, now)
        self._after(service.name, lifted)

    async def exempt(
        self,
        service: Service,
        *,
        change: str,
        by: str,
        reason: str,
        until: datetime | None,
        request: str,
        now: datetime,
    ) -> Exemption:
        """Let one change through the holds; raises `AlreadyRequestedError` for a repeated `request`."""
        granted = ExemptionGranted(change, by, reason, until)
        async with self._database.transaction() as connection:
            id_ = (
                await connection.execute(
                    self._database.insert(exemption_rows)
                    .values(
                        service=service.name,
                        change=change,
                        reason=reason,
                        by=by,
                        since=now,
                        until=until,
                        request=request,
                    )
                    .on_conflict_do_nothing(index_elements=["request"])
                    .returning(exemption_rows.c.id)
                )
            ).scalar_one_or_none()
            if id_ is None:
                raise AlreadyRequestedError(f"{change} was exempted by this request before")
            await self._tell(connection, service, granted, now)
        self._after(service.name, (granted,))
        return Exemption(service.name, change, reason, by, now, until)

    async def expire(self, services: Sequence[Service], now: datetime) -> Sequence[Hold]:
        """End the holds whose time ran out, and tell it; return them."""
        by_name = {service.name: service for service in services}
        due = and_(hold_rows.c.lifted_at.is_(None), hold_rows.c.until <= now)
        async with self._database.reading() as connection:
            if not (await connection.execute(select(hold_rows.c.id).where(due).limit(1))).first():
                return ()
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(hold_rows).where(due).order_by(hold_rows.c.id))
            ended = [hold_of(row) for row in rows]
            for hold in ended:
                await self._end(connection, hold, GOVERNOR, "its time ran out", now)
                if hold.service in by_name:
                    await self._tell(connection, by_name[hold.service], HoldExpired(hold), now)
        for hold in ended:
            self._after(hold.service, (HoldExpired(hold),))
        return ended

    async def holds(self, now: datetime, service: str | None = None) -> Sequence[Hold]:
        """Return the holds in force, of one service or of all, oldest first."""
        async with self._database.reading() as connection:
            return holds_in_force(await read_holds(connection, service), now)

    async def missing(
        self, services: Iterable[Service], holds: Iterable[Hold]
    ) -> Mapping[str, tuple[UnmetRequirement, ...]]:
        """Return what keeps the budget's hold on each service, besides the budget, where one lies."""
        held = {hold.service for hold in holds if hold.kind is HoldKind.BUDGET}
        asked = {one.name: _policies(one) for one in services if one.name in held}
        found: dict[str, tuple[UnmetRequirement, ...]] = {}
        async with self._database.reading() as connection:
            for name, policies in asked.items():
                if any(policy.unfreeze_requires is not None for policy in policies):
                    found[name] = still_required(await self._unmet(connection, name), policies)
        return found

    async def exemptions(self, service: str, now: datetime) -> Sequence[Exemption]:
        """Return the exemptions of the service that have not run out."""
        async with self._database.reading() as connection:
            return await read_exemptions(connection, service, now)

    async def _decide(
        self, connection: AsyncConnection, service: Service, judged: Sequence[Judged], now: datetime
    ) -> Decision | None:
        """Decide on what the connection sees; None where there is nothing to write."""
        found = await read_standings(connection, [service.name])
        standing = found.get(service.name, FreezeState())
        lying = await read_holds(connection, service.name)
        own = next((hold for hold in lying if hold.kind is HoldKind.BUDGET), None)
        missing = await self._unmet(connection, service.name) if own and _is_required(judged) else ()
        return _news(judged, own, standing, missing, now)

    async def _spending(self, service: Service, decision: Decision, now: datetime) -> Spending | None:
        spent = next((one for one in decision.transitions if isinstance(one, BudgetExhausted)), None)
        return await self._explain(service, spent.budget, now) if spent is not None else None

    async def _carry_out(
        self, connection: AsyncConnection, service: Service, what: BudgetTransition, now: datetime
    ) -> None:
        if isinstance(what, BudgetExhausted | DataMissing):
            await connection.execute(
                insert(hold_rows).values(
                    service=service.name,
                    kind=str(HoldKind.BUDGET),
                    reason=entry_of(what, service.name).reason,
                    by=GOVERNOR,
                    since=now,
                    slo=what.budget.slo.name,
                )
            )
        elif isinstance(what, BudgetRecovered):
            reason = entry_of(what, service.name).reason
            await self._end(connection, what.hold, GOVERNOR, reason, now)

    async def _tell(
        self,
        connection: AsyncConnection,
        service: Service,
        what: Transition,
        now: datetime,
        spending: Spending | None = None,
    ) -> None:
        """Write the audit row and the messages of a transition that the connection already shows."""
        await audit.record(connection, entry_of(what, service.name), now)
        lying = holds_in_force(await read_holds(connection, service.name), now)
        own = what.hold.id if isinstance(what, HoldPlaced) else None
        others = tuple(hold for hold in lying if hold.id != own)
        if isinstance(what, BudgetExhausted | DataMissing):
            others = tuple(hold for hold in others if hold.kind is not HoldKind.BUDGET)
        occasion = TransitionContext(what, service, others, now, spending)
        await enqueue(connection, self._announce(occasion), now)

    async def _end(
        self, connection: AsyncConnection, hold: Hold, by: str, reason: str, now: datetime
    ) -> None:
        await connection.execute(
            update(hold_rows)
            .where(hold_rows.c.id == hold.id, hold_rows.c.lifted_at.is_(None))
            .values(lifted_at=now, lifted_by=by, lift_reason=reason)
        )

    async def _remember(self, connection: AsyncConnection, service: str, standing: FreezeState) -> None:
        values: dict[str, Any] = {
            "warned": standing.warned,
            "recovered_since": standing.recovered_since,
            "kept_at": standing.kept_at,
            "alerts": sorted(standing.alerts),
        }
        await connection.execute(
            self._database.insert(standing_rows)
            .values(service=service, **values)
            .on_conflict_do_update(index_elements=["service"], set_=values)
        )

    def _after(self, service: str, what: Sequence[Transition]) -> None:
        for transition in what:
            log.info("transition", service=service, kind=type(transition).__name__)


def _judged(service: Service, budgets: Sequence[Budget]) -> list[Judged]:
    return [(budget, service.policy_for(budget.slo)) for budget in budgets]


def _is_required(judged: Sequence[Judged]) -> bool:
    """Return whether anything but the budgets must be so before a hold is lifted."""
    return any(policy.unfreeze_requires is not None for _, policy in judged)


def _news(
    judged: Sequence[Judged],
    own: Hold | None,
    standing: FreezeState,
    missing: Sequence[UnmetRequirement],
    now: datetime,
) -> Decision | None:
    """Decide; None where there is nothing to write."""
    decision = decide(judged, hold=own, standing=standing, now=now, missing=missing)
    return decision if decision.transitions or decision.standing != standing else None


def _policies(service: Service) -> list[ErrorBudgetPolicy]:
    return [service.policy_for(slo) for slo in service.slos]
