"""Plans what the paging systems are told, in the transaction in which a page begins or ends."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.paging import PagingVendor
from bot.freezes.decision import FreezeState
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.task import PlannedTask
from bot.teams.paging.page import BurnPage, PageEvent, page_of, paging_slos


def kind_of(vendor: PagingVendor) -> str:
    """Return the kind of a vendor's tasks; each vendor has its own, so that none waits for another."""
    return f"page {vendor}"


class PageFollower:
    """Follows the burn alerts of services."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self,
        connection: AsyncConnection,
        service: Service,
        budgets: Sequence[Budget],
        states: tuple[FreezeState, FreezeState],
        now: datetime,
    ) -> None:
        """Plan what follows from the alerts of `states`, those before and those now."""
        before, after = map(paging_slos, states)
        for slo in sorted(after - before):
            page = page_of(service, slo, budgets, states[1], now)
            await self._plan(connection, service, page, PageEvent.TRIGGER, now)
        for slo in sorted(before - after):
            await self._plan(connection, service, BurnPage(service.name, slo, now), PageEvent.RESOLVE, now)

    async def _plan(
        self, connection: AsyncConnection, service: Service, page: BurnPage, event: PageEvent, now: datetime
    ) -> None:
        """Plan to tell each vendor; what it was to be told of the SLO before is of no use any more."""
        for destination in service.paging:
            kind = kind_of(destination.vendor)
            for pending in await records.read_pending(connection, kind):
                told = BurnPage.from_json(pending.payload)
                if (told.service, told.slo) == (page.service, page.slo):
                    page = _beginning_at(page, told, event)
                    await records.cancel(connection, kind, pending.key, now)
            key = f"{page.service}/{page.slo} {event} {now.isoformat()}"
            payload = page.as_json() | {"event": str(event)}
            await records.plan(self._database, connection, PlannedTask(kind, key, now, payload), now)


def _beginning_at(page: BurnPage, told: BurnPage, event: PageEvent) -> BurnPage:
    """Return a page that ends as the one that was told of: an Alertmanager knows it by its beginning too."""
    if event is PageEvent.TRIGGER:
        return page
    return BurnPage(page.service, page.slo, told.began_at, told.summary, told.figures)
