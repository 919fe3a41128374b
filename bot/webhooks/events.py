"""Turns rows of the audit log into deliveries: the log is the outbox of all that happens.

A row is written in the transaction of what it tells of, and rows follow the order of commits. So a cursor
for each endpoint misses nothing, and moves together with the deliveries that are made of the rows.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.webhooks import WebhookEndpoint
from bot.clock import Clock
from bot.incidents import audit_view
from bot.incidents.visibility import ANYBODY
from bot.store import audit
from bot.store.audit import AuditRow
from bot.store.database import Database
from bot.store.leases import Lease
from bot.webhooks import records
from bot.webhooks.delivery import EndpointState
from bot.webhooks.message import fingerprint

_AT_ONCE: Final = 200


class WebhookEvents:
    """Plans deliveries for the endpoints of the policies in force; one replica at a time."""

    def __init__(self, database: Database, current: CurrentCatalog, clock: Clock, lease: Lease) -> None:
        self._database = database
        self._current = current
        self._clock = clock
        self._lease = lease

    async def follow(self, catalog: Catalog) -> None:
        """Record which endpoints there are."""
        endpoints, now = catalog.workspace.webhooks, self._clock.now()
        async with self._database.transaction() as connection:
            for name, endpoint in endpoints.items():
                seen = fingerprint(endpoint.url, endpoint.secrets)
                await records.follow_endpoint(self._database, connection, name, seen, now)
            await records.remove_missing(connection, list(endpoints), now)

    async def plan_deliveries(self) -> None:
        """Plan what is to be delivered of what happened since the last time."""
        endpoints = self._current.workspace.webhooks
        if not endpoints or not await self._lease.acquire():
            return
        while await self._plan_some(endpoints):
            pass

    async def _plan_some(self, endpoints: Mapping[str, WebhookEndpoint]) -> bool:
        """Plan for some rows of each endpoint; return whether there are more."""
        has_more = False
        async with self._database.reading() as connection:
            states = await records.read_endpoints(connection)
            cursors = {states[name].cursor for name in endpoints if name in states}
            rows = {
                cursor: await audit.read(connection, after_id=cursor, limit=_AT_ONCE) for cursor in cursors
            }
        for name, endpoint in endpoints.items():
            state = states.get(name)
            if state is None or not rows[state.cursor]:
                continue
            has_more = has_more or len(rows[state.cursor]) == _AT_ONCE
            async with self._database.transaction() as connection:
                await self._plan(connection, endpoint, state, rows[state.cursor])
        return has_more

    async def _plan(
        self,
        connection: AsyncConnection,
        endpoint: WebhookEndpoint,
        state: EndpointState,
        rows: Sequence[AuditRow],
    ) -> None:
        if not await records.move_cursor(connection, state, rows[-1].id):
            return
        for row in rows:
            if endpoint.takes(row.entry.action, row.entry.service):
                await records.add(self._database, connection, state, row, self._clock.now())


async def read_event(connection: AsyncConnection, audit_id: int) -> AuditRow | None:
    """Return the row of the audit log that an event tells of, as anybody may see it."""
    rows = await audit_view.read(connection, ANYBODY, after_id=audit_id - 1, limit=1)
    return next((row for row in rows if row.id == audit_id), None)
