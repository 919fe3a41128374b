"""Builds and runs everything about flags: the flag system that the policies name, and what acts on it.

Slack's commands use `changes` and `ramps`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial

import aiohttp
import structlog
from aiohttp import web

from bot.catalog.catalog import FlagSettings
from bot.clock import Clock, wait_until_set
from bot.flags.backend import FlagBackend, MisconfiguredError
from bot.flags.backends.local import LocalBackend, LocalSettings
from bot.flags.backends.misconfigured import MisconfiguredBackend
from bot.flags.backends.settings import read_settings
from bot.flags.change_guard import ChangeGuard
from bot.flags.change_readings import ChangeReadings, CountByVariant, CountChange
from bot.flags.changes.event_publisher import Announce, EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.changes.recorder import ChangeRecorder, OnLowered
from bot.flags.evaluation import LocalFlag
from bot.flags.ownership import LatestBudgets, find_environment
from bot.flags.ramps.control import RampControl
from bot.flags.ramps.runner import RampRunner
from bot.flags.ramps.writer import RampWriter
from bot.flags.registry import BackendContext, open_backend
from bot.flags.safeguards.drift import DriftDetector
from bot.flags.safeguards.exhaustion import ExhaustionSafeguard
from bot.flags.safeguards.guard_runner import GuardRunner
from bot.flags.safeguards.reverter import Reverter
from bot.flags.safeguards.timers import TimedRevert, TimedRevertWarning
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.http.ofrep import Ofrep
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.leases import Lease
from bot.tasks.handler import TaskHandler

log = structlog.get_logger(__name__)

_TICK_S = 1.0
_RECONCILE_EVERY = timedelta(seconds=5)
_REFRESH_EVERY = timedelta(seconds=5)


class Flags:
    """All parts of feature flags.

    `latest` returns a service's budgets as of its last evaluation, `count_change` the events of an SLO before
    and since a change, `count_by_variant` those since a change with the flag on and off. The replica that has
    the `lease` does what needs no evaluation; the flags of a service are checked by the replica that
    evaluates it. `count_failure` is called after each round of which something failed.
    """

    def __init__(
        self,
        *,
        database: Database,
        session: aiohttp.ClientSession,
        status_reader: StatusReader,
        hold_registry: HoldRegistry,
        latest: LatestBudgets,
        count_change: CountChange,
        count_by_variant: CountByVariant,
        announce: Announce,
        clock: Clock,
        lease: Lease,
        on_lowered: OnLowered | None = None,
        count_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._count_failure = count_failure
        self._has_failed = False
        self._current = status_reader.current
        self._clock = clock
        self._lease = lease
        self._context = BackendContext(session, database, clock, self._environments, self._declared)
        self._opened: tuple[FlagSettings, FlagBackend] | None = None
        self._evaluated: set[str] = set()
        self._wake = asyncio.Event()
        self._failures = ItemFailures("flags_task_failed")
        self._reconciled_at = self._refreshed_at = clock.now() - _RECONCILE_EVERY
        publisher = EventPublisher(self._current, announce)
        recorder = ChangeRecorder(database, self._current, publisher, clock, latest, on_lowered=on_lowered)
        writer = RampWriter(database, publisher, clock)
        self.changes = ChangeExecutor(lambda: self.backend, recorder, database, status_reader, clock)
        self.ramps = RampControl(self.changes, writer, database, publisher, clock)
        readings = ChangeReadings(latest, count_change, count_by_variant)
        self.change_guard = ChangeGuard(readings)
        reverter = Reverter(self.changes, database, publisher, clock)
        self._ramp_runner = RampRunner(
            self.changes,
            writer,
            status_reader,
            database=database,
            clock=clock,
            readings=readings,
        )
        self._guard_runner = GuardRunner(self.changes, reverter, database, readings)
        self.task_handlers: Sequence[TaskHandler] = (
            TimedRevert(reverter, database),
            TimedRevertWarning(publisher),
        )
        self._exhaustion = ExhaustionSafeguard(
            self.changes, reverter, hold_registry, database=database, clock=clock, latest=latest
        )
        self._drift = DriftDetector(self.changes, hold_registry, database, publisher, clock)

    @property
    def backend(self) -> FlagBackend:
        """The flag system that the policies in force name; another one is opened when they change."""
        settings = self._current.catalog.workspace.flags
        if self._opened is None or self._opened[0] != settings:
            self._opened = (settings, self._open(settings))
            log.info("flag_backend_opened", name=settings.backend)
        return self._opened[1]

    def add_routes(self, app: web.Application) -> None:
        """Serve evaluations of the `local` backend over OFREP."""
        settings = self._local_settings()
        ofrep = Ofrep(
            _LocalFlags(self),
            lambda: find_environment(self._current.catalog, None).name,
            settings.token.get_secret_value() if settings and settings.token else None,
            self._origins,
        )
        ofrep.add_routes(app)

    def evaluated(self, services: Collection[str]) -> None:
        """Check the flags of services that were just evaluated at the next tick, which comes at once."""
        self._evaluated.update(services)
        self._wake.set()

    async def run(self) -> None:
        """Run a tick each second and after evaluations, until cancelled."""
        while True:
            self._has_failed = False
            try:
                await self.tick()
            except Exception:
                # A loop's tick is a boundary: the next one tries again.
                log.exception("flags_tick_failed")
                self._has_failed = True
            if self._has_failed:
                self._count_failure()
            self._wake.clear()
            await wait_until_set(self._wake, _TICK_S)

    async def tick(self) -> None:
        """Run the safeguards, the ramps and the timers once; one that fails keeps none of the others."""
        now, evaluated = self._clock.now(), frozenset(self._evaluated)
        self._evaluated -= evaluated
        if now - self._refreshed_at >= _REFRESH_EVERY:
            self._refreshed_at = now
            if isinstance(self.backend, LocalBackend):
                await self._isolated("local flags", self.backend.refresh)
        await self._isolated("guards", partial(self._guard_runner.tick, evaluated, now))
        await self._isolated("ramps", partial(self._ramp_runner.tick, evaluated))
        await self._isolated("exhaustion", partial(self._exhaustion.tick, evaluated))
        if not await self._lease.acquire():
            return
        if now - self._reconciled_at >= _RECONCILE_EVERY:
            self._reconciled_at = now
            await self._isolated("changes", self.changes.reconcile)
        await self._isolated("drift", self._drift.tick)

    async def _isolated(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        failed = await self._failures.attempt(name, task)
        self._has_failed = self._has_failed or failed

    def _origins(self) -> Collection[str]:
        settings = self._local_settings()
        return settings.origins if settings else ()

    def _local_settings(self) -> LocalSettings | None:
        """Return the settings of evaluations; with another flag system or wrong settings none is served."""
        settings = self._current.catalog.workspace.flags
        if settings.backend != "local" or isinstance(self.backend, MisconfiguredBackend):
            return None
        return read_settings(LocalSettings, "local", settings.backend_settings)

    def _open(self, settings: FlagSettings) -> FlagBackend:
        try:
            return open_backend(settings.backend, settings.backend_settings, self._context)
        except MisconfiguredError as error:
            log.warning("flag_backend_misconfigured", name=settings.backend, error=str(error))
            return MisconfiguredBackend(settings.backend, error)

    def _environments(self) -> Collection[str]:
        return [environment.name for environment in self._current.catalog.workspace.flags.environments]

    def _declared(self) -> Collection[str]:
        return {flag for service in self._current.catalog.services.values() for flag in service.flags}


class _LocalFlags:
    """The flags that OFREP serves: those of the `local` backend, none with another flag system."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags

    def served(self, environment: str) -> Mapping[str, LocalFlag] | None:
        """Return the environment's flags by key."""
        backend = self._flags.backend
        return backend.served(environment) if isinstance(backend, LocalBackend) else None

    def served_flag(self, environment: str, key: str) -> LocalFlag | None:
        """Return one flag."""
        backend = self._flags.backend
        return backend.served_flag(environment, key) if isinstance(backend, LocalBackend) else None
