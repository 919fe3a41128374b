"""Notices changes made outside the bot, by reading the flags now and then. Each is announced once."""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.flags.backend import FlagError
from bot.flags.change import Difference
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.events import FlagDrifted
from bot.flags.flag import FlagState, is_same_state
from bot.flags.ownership import owners
from bot.flags.records.changes import in_flight
from bot.flags.records.sightings import last_seen, record_seen
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import barred_environments, environment_of
from bot.freezes.verdict import bars
from bot.store.database import Database
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)

CHECK_EVERY = timedelta(seconds=60)


class DriftDetector:
    """Compares the flags that services name, in every environment, with what the bot saw last."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        hold_registry: HoldRegistry,
        database: Database,
        publisher: EventPublisher,
        clock: Clock,
    ) -> None:
        self._flag_changes = flag_changes
        self._hold_registry = hold_registry
        self._database = database
        self._publisher = publisher
        self._clock = clock
        self._checked_at: datetime | None = None
        self._failures = ItemFailures("drift_not_checked")

    async def tick(self) -> None:
        """Check the flags, if it is time to."""
        now = self._clock.now()
        if self._checked_at is not None and now - self._checked_at < CHECK_EVERY:
            return
        self._checked_at = now
        catalog = self._flag_changes.catalog
        flags = {flag for service in catalog.services.values() for flag in service.flags}
        if not flags:
            return
        for environment in catalog.workspace.flags.environments:
            with self._failures.isolate(environment.name) as is_due:
                if is_due:
                    await self._check_or_log(environment.name, flags)

    async def _check_or_log(self, environment: str, flags: Collection[str]) -> None:
        try:
            await self.check(environment, flags)
        except FlagError as error:
            log.warning("flags_not_read", environment=environment, error=str(error))

    async def check(self, environment: str, flags: Collection[str]) -> None:
        """Compare the environment's flags with what the bot saw last; raises `FlagError`."""
        began = self._clock.now()
        for state in await self._flag_changes.backend.list(environment):
            if state.flag in flags:
                await self._compare(state, began)

    async def _compare(self, state: FlagState, began: datetime) -> None:
        async with self._database.reading() as connection:
            known = await self._known(connection, state, began)
        if known is not None and known.version == state.version:
            return
        who = await self._who(state) if known is not None else ""
        frozen = await self._frozen(state, began)
        async with self._database.transaction() as connection:
            if await self._is_own_change(connection, state, began):
                return
            known = await self._known(connection, state, began)
            await record_seen(connection, self._database, state, began)
            if known is not None and not is_same_state(known, state):
                drifted = FlagDrifted(Difference(known, state), who, frozen)
                await self._publisher.publish(connection, drifted, state.flag, state.environment, began)

    async def _frozen(self, state: FlagState, began: datetime) -> tuple[str, ...]:
        """Return the flag's services whose freeze bars its environment."""
        catalog = self._flag_changes.catalog
        environment = environment_of(catalog, state.environment)
        frozen = []
        for service in owners(catalog, state.flag):
            barred = barred_environments(service)
            holds = await self._hold_registry.holds(began, service.name)
            if any(bars(hold, environment, barred) for hold in holds):
                frozen.append(service.name)
        return tuple(frozen)

    async def _known(
        self, connection: AsyncConnection, state: FlagState, began: datetime
    ) -> FlagState | None:
        seen = await last_seen(connection, state.flag, state.environment)
        if seen is None:
            return None
        known, seen_at = seen
        # What was recorded while the flags were being read is newer than what was read.
        return state if seen_at > began else known

    async def _is_own_change(self, connection: AsyncConnection, state: FlagState, began: datetime) -> bool:
        """Return whether the bot itself is changing the flag, or has just done so."""
        for stored in await in_flight(connection):
            if (stored.request.flag, stored.request.environment) == (state.flag, state.environment):
                return True
        seen = await last_seen(connection, state.flag, state.environment)
        return seen is not None and seen[1] > began

    async def _who(self, state: FlagState) -> str:
        backend = self._flag_changes.backend
        if not backend.capabilities.history:
            return ""
        try:
            entries = await backend.history(state.flag, state.environment)
        except FlagError as error:
            log.info("flag_history_not_read", flag=state.flag, error=str(error))
            return ""
        return entries[0].by if entries else ""
