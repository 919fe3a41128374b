"""Notices changes made behind the bot's back, by looking at the flags now and then. Each is told once."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.flags.backend import FlagError
from bot.flags.change import Difference
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import FlagDrifted
from bot.flags.flag import FlagState, state_from_json
from bot.flags.ownership import owners
from bot.flags.records.changes import in_flight
from bot.flags.records.sightings import record_seen
from bot.freezes.hold_registry import HoldRegistry
from bot.store.database import Database
from bot.store.tables.flags import flag_sightings as rows

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(seconds=60)


class DriftDetector:
    """Looks at the flags that services name, in every environment."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        hold_registry: HoldRegistry,
        database: Database,
        teller: EventPublisher,
        clock: Clock,
    ) -> None:
        self._flag_changes = flag_changes
        self._hold_registry = hold_registry
        self._database = database
        self._teller = teller
        self._clock = clock
        self._looked_at: datetime | None = None

    async def tick(self) -> None:
        """Look, if it is time to."""
        now = self._clock.now()
        if self._looked_at is not None and now - self._looked_at < CHECK_EVERY:
            return
        self._looked_at = now
        catalog = self._flag_changes.catalog
        named = {flag for service in catalog.services.values() for flag in service.flags}
        if not named:
            return
        for environment in catalog.workspace.flags.environments:
            try:
                await self.look(environment.name, named)
            except FlagError as error:
                log.warning("flags_not_seen", environment=environment.name, error=str(error))

    async def look(self, environment: str, named: Collection[str]) -> None:
        """Compare the environment's flags with what the bot knows of them; raises `FlagError`."""
        began = self._clock.now()
        for state in await self._flag_changes.backend.list(environment):
            if state.flag in named:
                await self._compare(state, began)

    async def _compare(self, state: FlagState, began: datetime) -> None:
        async with self._database.reading() as connection:
            known = await self._known(connection, state, began)
        if known is not None and known.version == state.version:
            return
        who = await self._who(state) if known is not None else ""
        services = [one.name for one in owners(self._flag_changes.catalog, state.flag)]
        frozen = [one for one in services if await self._hold_registry.holds(began, one)]
        async with self._database.transaction() as connection:
            if await self._is_mine(connection, state, began):
                return
            known = await self._known(connection, state, began)
            await record_seen(connection, self._database, state, began)
            if known is not None and _differs(known, state):
                drifted = FlagDrifted(Difference(known, state), who, bool(frozen))
                await self._teller.tell(connection, drifted, state.flag, state.environment, began)

    async def _known(
        self, connection: AsyncConnection, state: FlagState, began: datetime
    ) -> FlagState | None:
        query = select(rows).where(rows.c.flag == state.flag, rows.c.environment == state.environment)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        # Whatever was written down while the flags were being read is newer than what was read.
        return state if row.seen_at > began else state_from_json(row.state)

    async def _is_mine(self, connection: AsyncConnection, state: FlagState, began: datetime) -> bool:
        """Return whether the bot itself is changing the flag, or has just done so."""
        where = (state.flag, state.environment)
        if any((one.order.flag, one.order.environment) == where for one in await in_flight(connection)):
            return True
        newer = select(rows.c.flag).where(
            rows.c.flag == state.flag, rows.c.environment == state.environment, rows.c.seen_at > began
        )
        return (await connection.execute(newer)).first() is not None

    async def _who(self, state: FlagState) -> str:
        backend = self._flag_changes.backend
        if not backend.capabilities.history:
            return ""
        try:
            entries = await backend.history(state.flag, state.environment)
        except FlagError as error:
            log.info("flag_history_unknown", flag=state.flag, error=str(error))
            return ""
        return entries[0].by if entries else ""


def _differs(known: FlagState, found: FlagState) -> bool:
    return replace(known, version="", stale=False, url=None) != replace(
        found, version="", stale=False, url=None
    )
