"""The holds and exemptions of people and incidents: placed, lifted, granted, ended and read.

FreezeError
├── NothingToLiftError     no hold is on the service that people may lift
├── OwnHoldError           the person holds the service already, and did not ask to replace that
└── AlreadyRequestedError  this very request was carried out before (a repeated delivery)
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, PolicyMode, UnmetRequirement
from bot.freezes.decision import still_required
from bot.freezes.hold import GOVERNOR, EndedCause, Hold, HoldKind, current_holds, holds_in_force
from bot.freezes.hold_writer import Announce, Follow, HoldWriter, log_transitions, nothing_follows
from bot.freezes.records import hold_of, read_exemptions, read_freeze_states, read_holds
from bot.freezes.transition import ExemptionGranted, HoldExpired, HoldLifted, HoldPlaced
from bot.freezes.verdict import Exemption
from bot.store import idempotency
from bot.store.database import Database
from bot.store.tables.core import exemptions as exemption_rows
from bot.store.tables.core import holds as hold_rows
from bot.store.value_lists import begins_with

ReadUnmet = Callable[[AsyncConnection, str], Awaitable[Sequence[UnmetRequirement]]]
"""Returns which requirements for lifting a budget hold a service does not meet now."""

ReadEndedCauses = Callable[[AsyncConnection, Sequence[Hold]], Awaitable[Mapping[int, EndedCause]]]
"""Returns, by the id of the hold, which of them have no cause any more."""

ServiceOf = Callable[[str], Service]
"""Returns the service of a name, a stand-in for one that the policies do not name."""

_NO_SLO_LEFT = "the policies have no SLO of this service any more"


class FreezeError(Exception):
    """A change to a service's holds was refused. The message is fit for the person who asked."""


class NothingToLiftError(FreezeError):
    """No hold is on the service that people may lift; `holds` are those of others that are."""

    def __init__(self, service: str, holds: Sequence[Hold]) -> None:
        super().__init__(f"no person holds {service}")
        self.service = service
        self.holds = tuple(holds)


class OwnHoldError(FreezeError):
    """The person has `holds` on the service already."""

    def __init__(self, service: str, holds: Sequence[Hold]) -> None:
        super().__init__(f"you hold {service} already")
        self.holds = tuple(holds)


class AlreadyRequestedError(FreezeError):
    """The same request was carried out before; doing nothing was right."""


async def nothing_unmet(_connection: AsyncConnection, _service: str) -> Sequence[UnmetRequirement]:
    """Return that whatever may be required is met."""
    return ()


async def nothing_ended(_connection: AsyncConnection, _holds: Sequence[Hold]) -> Mapping[int, EndedCause]:
    """Return that every hold has its cause still."""
    return {}


class HoldRegistry:
    """Places, lifts and reads holds. `announce` returns the messages of each change.

    `read_unmet` returns what keeps a budget hold on a service, besides the budget; `read_ended` which holds
    of others have no cause any more; `follow` writes what follows where holds were placed or lifted.
    """

    def __init__(
        self,
        database: Database,
        announce: Announce,
        read_unmet: ReadUnmet = nothing_unmet,
        read_ended: ReadEndedCauses = nothing_ended,
        *,
        follow: Follow = nothing_follows,
    ) -> None:
        self._database = database
        self._writer = HoldWriter(database, announce, follow)
        self._read_unmet = read_unmet
        self._read_ended = read_ended

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
        replacing: bool | None = None,
    ) -> HoldPlaced:
        """Put a hold on the service. Raises `AlreadyRequestedError` for a repeated `request`.

        `replacing` decides on holds that the same person has on the service: true replaces them, false
        raises `OwnHoldError`, None leaves them beside the new one.
        """
        # A person's hold is real in any mode: somebody decided.
        observed = kind is not HoldKind.PERSON and service.mode is PolicyMode.OBSERVE
        values = {
            "service": service.name,
            "kind": str(kind),
            "observed": observed,
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
            hold = Hold(id_, service.name, kind, reason, by, now, until, observed=observed)
            await self._writer.plan_expiry(connection, hold, now)
            placed = HoldPlaced(hold, await self._own_holds(connection, hold, replacing, now))
            await self._writer.record_replaced(connection, placed, now)
            await self._writer.record(connection, service, placed, now)
        log_transitions(service.name, [placed])
        return placed

    async def lift(
        self, service: Service, *, by: str, reason: str, now: datetime, request: str | None = None
    ) -> Sequence[Hold]:
        """Lift the persons' holds on the service and those whose cause has ended, and no others.

        `reason` may be empty: nobody has to say why.

        Raises `NothingToLiftError`, and `AlreadyRequestedError` for a repeated `request`: what was put on
        the service since must not be lifted by it.
        """
        async with self._database.transaction() as connection:
            key = f"lift {request}"
            if request and not await idempotency.is_first(self._database, connection, key, now):
                raise AlreadyRequestedError(f"{service.name} was lifted by this request before")
            current = current_holds(await read_holds(connection, service.name), now)
            ended = await self._causes_ended(connection, current, lambda _: service)
            lifted = [
                HoldLifted(hold, by, reason)
                for hold in current
                if hold.kind is HoldKind.PERSON or hold.id in ended
            ]
            if not lifted:
                raise NothingToLiftError(service.name, holds_in_force(current, now))
            await self._writer.record_ends(connection, service, lifted, now)
        log_transitions(service.name, lifted)
        return [transition.hold for transition in lifted]

    async def lift_incident(self, service: Service, *, incident: str, reason: str, now: datetime) -> None:
        """Lift the holds that an incident put on the service: those whose request begins with `incident`."""
        of_incident = and_(
            hold_rows.c.service == service.name,
            hold_rows.c.kind == HoldKind.INCIDENT,
            begins_with(hold_rows.c.request, incident),
            hold_rows.c.lifted_at.is_(None),
        )
        async with self._database.transaction() as connection:
            rows = await connection.execute(select(hold_rows).where(of_incident).order_by(hold_rows.c.id))
            lifted = [HoldLifted(hold_of(row), GOVERNOR, reason) for row in rows]
            await self._writer.record_ends(connection, service, lifted, now)
        log_transitions(service.name, lifted)

    async def ended_causes(self, service_of: ServiceOf, now: datetime) -> Sequence[tuple[Hold, EndedCause]]:
        """Return the holds in force that nothing stands behind any more, oldest first."""
        async with self._database.reading() as connection:
            current = current_holds(await read_holds(connection), now)
            ended = await self._causes_ended(connection, current, service_of)
        return [(hold, ended[hold.id]) for hold in current if hold.id in ended]

    async def lift_ended(self, service: Service, hold: Hold, cause: EndedCause, now: datetime) -> None:
        """Lift a hold whose cause has ended, unless it was lifted or its cause came back meanwhile."""
        transition = HoldLifted(hold, GOVERNOR, cause.why)
        async with self._database.transaction() as connection:
            same = [each for each in await read_holds(connection, hold.service) if each.id == hold.id]
            if not await self._causes_ended(connection, same, lambda _: service):
                return
            await self._writer.record_ends(connection, service, [transition], now)
        log_transitions(service.name, [transition])

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
        commit: str | None = None,
    ) -> Exemption:
        """Let one change through the holds; raises `AlreadyRequestedError` for a repeated `request`."""
        granted = ExemptionGranted(change, by, reason, until, commit=commit)
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
                        commit=commit,
                    )
                    .on_conflict_do_nothing(index_elements=["request"])
                    .returning(exemption_rows.c.id)
                )
            ).scalar_one_or_none()
            if id_ is None:
                raise AlreadyRequestedError(f"{change} was exempted by this request before")
            await self._writer.record(connection, service, granted, now)
        log_transitions(service.name, [granted])
        return Exemption(service.name, change, reason, by, now, until, commit, id_)

    async def expire_within(
        self, connection: AsyncConnection, service: Service, now: datetime
    ) -> Sequence[Hold]:
        """End and announce the service's holds whose time has run out, in the caller's transaction."""
        due = and_(
            hold_rows.c.service == service.name, hold_rows.c.lifted_at.is_(None), hold_rows.c.until <= now
        )
        rows = await connection.execute(select(hold_rows).where(due).order_by(hold_rows.c.id))
        expired = [hold_of(row) for row in rows]
        await self._writer.record_ends(connection, service, [HoldExpired(hold) for hold in expired], now)
        return expired

    async def holds(self, now: datetime, service: str | None = None) -> Sequence[Hold]:
        """Return the holds in force, of one service or of all, oldest first."""
        return holds_in_force(await self.current(now, service), now)

    async def current(self, now: datetime, service: str | None = None) -> Sequence[Hold]:
        """Return the holds in force and those that only show what would be stopped, oldest first."""
        async with self._database.reading() as connection:
            return current_holds(await read_holds(connection, service), now)

    async def recovered_since(self, service: str) -> datetime | None:
        """Return since when all budgets of a held service suffice; None if they do not."""
        async with self._database.reading() as connection:
            states = await read_freeze_states(connection, [service])
        return states[service].recovered_since if service in states else None

    async def missing(
        self, services: Iterable[Service], holds: Iterable[Hold]
    ) -> Mapping[str, tuple[UnmetRequirement, ...]]:
        """Return what keeps the budget hold on each service that has one, besides the budget."""
        held = {hold.service for hold in holds if hold.kind is HoldKind.BUDGET}
        policies_of = {service.name: _policies(service) for service in services if service.name in held}
        missing: dict[str, tuple[UnmetRequirement, ...]] = {}
        async with self._database.reading() as connection:
            for name, policies in policies_of.items():
                if any(policy.unfreeze_requires is not None for policy in policies):
                    missing[name] = still_required(await self._read_unmet(connection, name), policies)
        return missing

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection to the database that only reads."""
        return self._database.reading()

    async def exemptions(self, service: str, now: datetime) -> Sequence[Exemption]:
        """Return the exemptions of the service that have not run out."""
        async with self._database.reading() as connection:
            return await read_exemptions(connection, service, now)

    async def _own_holds(
        self, connection: AsyncConnection, placed: Hold, replacing: bool | None, now: datetime
    ) -> tuple[Hold, ...]:
        """Return the person's other holds on the service, to be replaced; raises `OwnHoldError`."""
        if replacing is None:
            return ()
        own = tuple(
            hold
            for hold in holds_in_force(await read_holds(connection, placed.service), now)
            if (hold.kind, hold.by) == (placed.kind, placed.by) and hold.id != placed.id
        )
        if own and not replacing:
            raise OwnHoldError(placed.service, own)
        return own

    async def _causes_ended(
        self, connection: AsyncConnection, holds: Sequence[Hold], service_of: ServiceOf
    ) -> Mapping[int, EndedCause]:
        """Return, by the id of the hold, which have no cause any more: of others, and of budgets."""
        unjudged = {
            hold.id: EndedCause(_NO_SLO_LEFT)
            for hold in holds
            if hold.kind is HoldKind.BUDGET and not service_of(hold.service).slos
        }
        return {**unjudged, **await self._read_ended(connection, holds)}


def _policies(service: Service) -> list[ErrorBudgetPolicy]:
    return [service.policy_for(slo) for slo in service.slos]
