"""Keeps the holds of dependencies as the holds in force and the policies want them.

Everything is decided in the transaction that changed a hold, so both are seen together or not at all.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.freezes.dependencies.wanted import DependencyHold, wanted_holds
from bot.freezes.hold import GOVERNOR, Hold, HoldKind, holds_in_force
from bot.freezes.hold_writer import Follow, HoldWriter, name_in_request
from bot.freezes.records import hold_of, read_holds
from bot.freezes.transition import HoldLifted
from bot.store.tables.core import holds as hold_rows

_PREFIX = "depends on "


class DependencyHolds:
    """Writes the holds of dependencies; `writer` tells of them, `follow` writes what else follows."""

    def __init__(self, writer: HoldWriter, current: CurrentCatalog, follow: Follow) -> None:
        self._writer = writer
        self._current = current
        self._follow = follow

    async def follow(
        self, connection: AsyncConnection, service: Service, in_force: Sequence[Hold], now: datetime
    ) -> None:
        """Write what follows from a change to a service's holds, on those that depend on it too."""
        await self._follow(connection, service, in_force, now)
        catalog = self._current.catalog
        if any(service.name in each.depends_on for each in catalog.services.values()):
            await self.keep(connection, catalog, now)

    async def keep(self, connection: AsyncConnection, catalog: Catalog, now: datetime) -> None:
        """Put on and take off what the dependencies want now, in the caller's transaction."""
        if not any(service.holds_with_dependencies for service in catalog.services.values()):
            wanted: dict[tuple[str, str], DependencyHold] = {}
        else:
            in_force = holds_in_force(await read_holds(connection), now)
            wanted = {(each.service, each.source): each for each in wanted_holds(catalog.services, in_force)}
        for row in await _placed(connection):
            hold, source = hold_of(row), name_in_request(row.request, _PREFIX)
            each = wanted.get((hold.service, source))
            if each is not None and each.observed == hold.observed:
                del wanted[hold.service, source]
                continue
            why = _why_ended(source, each)
            service = catalog.service_or_stand_in(hold.service)
            await self._writer.record_ends(connection, service, [HoldLifted(hold, GOVERNOR, why)], now)
        for each in wanted.values():
            hold = Hold(
                0, each.service, HoldKind.DEPENDENCY, each.reason, GOVERNOR, now, observed=each.observed
            )
            service = catalog.services[each.service]
            await self._writer.place_own(connection, service, hold, f"{_PREFIX}{each.source}", now)


def _why_ended(source: str, wanted: DependencyHold | None) -> str:
    if wanted is not None:
        return "its policy was changed"
    return f"{source} is open again" if source else "what it was held for is not known any more"


async def _placed(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    in_force = (hold_rows.c.kind == HoldKind.DEPENDENCY) & hold_rows.c.lifted_at.is_(None)
    return (await connection.execute(select(hold_rows).where(in_force).order_by(hold_rows.c.id))).all()
