"""Places and lifts people's holds on many services by one act, all of them or none."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.freezes.dependencies.holds import DependencyHolds
from bot.freezes.hold import Hold, HoldKind, current_holds, holds_in_force
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.freezes.hold_writer import HoldWriter, log_transitions
from bot.freezes.records import read_holds
from bot.freezes.transition import HoldLifted, HoldPlaced
from bot.store import idempotency
from bot.store.database import Database


class BulkHolds:
    """Writes the holds; `writer` tells of them, and what depends on the services follows at the end."""

    def __init__(
        self, database: Database, writer: HoldWriter, dependencies: DependencyHolds, current: CurrentCatalog
    ) -> None:
        self._database = database
        self._writer = writer
        self._dependencies = dependencies
        self._current = current

    async def place(
        self,
        services: Sequence[Service],
        *,
        by: str,
        reason: str,
        until: datetime | None,
        request: str,
        now: datetime,
    ) -> Sequence[HoldPlaced]:
        """Hold the services, in place of what the same person holds of them already.

        Raises `AlreadyRequestedError` for a repeated `request`.
        """
        async with self._database.transaction() as connection:
            await self._require_first(connection, f"freeze {request}", now)
            before = holds_in_force(await read_holds(connection), now)
            done = []
            for service in services:
                own = tuple(
                    hold
                    for hold in before
                    if (hold.service, hold.kind, hold.by) == (service.name, HoldKind.PERSON, by)
                )
                hold = Hold(0, service.name, HoldKind.PERSON, reason, by, now, until)
                hold = await self._writer.insert(connection, hold, f"{request} {service.name}")
                placed = HoldPlaced(hold, own, is_one_of_many=len(services) > 1)
                await self._writer.record_replaced(connection, placed, now)
                await self._writer.record(connection, service, placed, now)
                done.append(placed)
            await self._dependencies.keep(connection, self._catalog, now)
        for each in done:
            log_transitions(each.hold.service, [each])
        return done

    async def lift(
        self, services: Sequence[Service], *, by: str, reason: str, request: str, now: datetime
    ) -> Sequence[Hold]:
        """Lift the persons' holds on the services and no others; return them, none where there are none.

        Raises `AlreadyRequestedError` for a repeated `request`.
        """
        lifted: list[Hold] = []
        async with self._database.transaction() as connection:
            await self._require_first(connection, f"lift {request}", now)
            current = current_holds(await read_holds(connection), now)
            for service in services:
                own = [
                    HoldLifted(hold, by, reason, is_one_of_many=len(services) > 1)
                    for hold in current
                    if hold.service == service.name and hold.kind is HoldKind.PERSON
                ]
                await self._writer.record_ends(connection, service, own, now)
                lifted += [transition.hold for transition in own]
            await self._dependencies.keep(connection, self._catalog, now)
        return lifted

    @property
    def _catalog(self) -> Catalog:
        return self._current.catalog

    async def _require_first(self, connection: AsyncConnection, request: str, now: datetime) -> None:
        if not await idempotency.is_first(self._database, connection, request, now):
            raise AlreadyRequestedError("this request was carried out before")
