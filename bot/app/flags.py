"""The flags, wired: the flag system that the policies name, and everything that acts on it.

`app.py` opens it, hands it each evaluation, and lets it run; the Slack face speaks to `toggles` and `ramps`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta

import aiohttp
import structlog
from aiohttp import web

from bot.catalog.catalog import FlagSettings
from bot.clock import Clock
from bot.flags.backend import (
    AppliedChange,
    BackendCapabilities,
    ChangePlan,
    FlagBackend,
    HistoryEntry,
    MisconfiguredError,
)
from bot.flags.backends.local import LocalBackend, LocalSettings
from bot.flags.backends.settings import read_settings
from bot.flags.change import FlagChange
from bot.flags.changes.event_publisher import Announce, EventPublisher
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.changes.recorder import ChangeRecorder
from bot.flags.evaluation import LocalFlag
from bot.flags.flag import FlagState
from bot.flags.ownership import Latest, find_environment
from bot.flags.ramp_keeper import RampWriter
from bot.flags.ramps.control import RampControl
from bot.flags.ramps.runner import RampRunner
from bot.flags.registry import BackendContext, open_backend
from bot.flags.safeguards.drift import DriftDetector
from bot.flags.safeguards.exhaustion import ExhaustionSafeguard
from bot.flags.safeguards.guard_runner import GuardRunner
from bot.flags.safeguards.reverter import Reverter
from bot.flags.safeguards.timers import RevertTimers
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.http.ofrep import Ofrep
from bot.store.database import Database

log = structlog.get_logger(__name__)

_TICK_S = 1.0
_SETTLE_EVERY = timedelta(seconds=5)
_REFRESH_EVERY = timedelta(seconds=5)


class Flags:
    """Everything about flags. `latest` answers the budgets as of a service's last evaluation.

    `is_mine` tells whether this replica does what needs no evaluation; the flags of a service are looked
    after by whoever evaluates it.
    """

    def __init__(
        self,
        *,
        overview: StatusReader,
        freezer: HoldRegistry,
        database: Database,
        session: aiohttp.ClientSession,
        clock: Clock,
        latest: Latest,
        announce: Announce,
        on_told: Callable[[], None],
        is_mine: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._overview = overview
        self._clock = clock
        self._around = BackendContext(session, database, clock, self._environments, self._declared)
        self._opened: tuple[FlagSettings, FlagBackend] | None = None
        self._is_mine = is_mine
        self._evaluated: set[str] = set()
        self._woken = asyncio.Event()
        self._settled_at = self._refreshed_at = clock.now() - _SETTLE_EVERY
        teller = EventPublisher(lambda: overview.catalog, announce, on_told)
        recorder = ChangeRecorder(database, lambda: overview.catalog, teller, clock, latest)
        keeper = RampWriter(database, teller, clock)
        self.toggles = ChangeExecutor(lambda: self.backend, recorder, overview, clock)
        self.ramps = RampControl(self.toggles, keeper)
        bring_back = Reverter(self.toggles, database, teller, clock)
        self._runner = RampRunner(self.toggles, keeper, overview, latest)
        self._canary = GuardRunner(self.toggles, bring_back, database, latest)
        self._timers = RevertTimers(bring_back, database, teller)
        self._lowering = ExhaustionSafeguard(
            self.toggles, bring_back, freezer, database=database, clock=clock, latest=latest
        )
        self._drift = DriftDetector(self.toggles, freezer, database, teller, clock)

    @property
    def backend(self) -> FlagBackend:
        """The flag system that the policies in force name, opened anew when they name another."""
        settings = self._overview.catalog.workspace.flags
        if self._opened is None or self._opened[0] != settings:
            self._opened = (settings, self._open(settings))
            log.info("flag_backend", name=settings.backend)
        return self._opened[1]

    def add_routes(self, app: web.Application) -> None:
        """Serve evaluations of the `local` backend over OFREP."""
        served = Ofrep(
            _LocalFlags(self), lambda: find_environment(self._overview.catalog, None).name, self._secret()
        )
        served.add_routes(app)

    def evaluated(self, services: Collection[str]) -> None:
        """Have the services' flags looked after: they were just evaluated."""
        self._evaluated.update(services)
        self._woken.set()

    async def run(self) -> None:
        """Look after the flags, until cancelled."""
        while True:
            try:
                await self.tick()
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("flags_failed")
            self._woken.clear()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def tick(self) -> None:
        """Look once."""
        now, evaluated = self._clock.now(), frozenset(self._evaluated)
        self._evaluated -= evaluated
        if now - self._refreshed_at >= _REFRESH_EVERY:
            self._refreshed_at = now
            if isinstance(self.backend, LocalBackend):
                await self.backend.refresh()
        await self._canary.tick(evaluated, now)
        await self._runner.tick(evaluated)
        await self._lowering.tick(evaluated)
        if self._is_mine is not None and not await self._is_mine():
            return
        if now - self._settled_at >= _SETTLE_EVERY:
            self._settled_at = now
            await self.toggles.settle()
        await self._timers.tick(now)
        await self._drift.tick()

    def _secret(self) -> str | None:
        """Return the token that evaluations must bear, if any; a wrong setting serves no flag at all."""
        settings = self._overview.catalog.workspace.flags
        if settings.backend != "local" or isinstance(self.backend, _MisconfiguredBackend):
            return None
        token = read_settings(LocalSettings, "local", settings.backend_settings).token
        return token.get_secret_value() if token else None

    def _open(self, settings: FlagSettings) -> FlagBackend:
        try:
            return open_backend(settings.backend, settings.backend_settings, self._around)
        except MisconfiguredError as fault:
            log.warning("flag_backend_misconfigured", name=settings.backend, error=str(fault))
            return _MisconfiguredBackend(settings.backend, fault)

    def _environments(self) -> Collection[str]:
        return [one.name for one in self._overview.catalog.workspace.flags.environments]

    def _declared(self) -> Collection[str]:
        return {flag for service in self._overview.catalog.services.values() for flag in service.flags}


class _LocalFlags:
    """What OFREP serves: the `local` backend's flags, nothing where another system has them."""

    def __init__(self, board: Flags) -> None:
        self._board = board

    def served(self, environment: str) -> Mapping[str, LocalFlag] | None:
        """Return the environment's flags by key."""
        backend = self._board.backend
        return backend.served(environment) if isinstance(backend, LocalBackend) else None

    def served_flag(self, environment: str, key: str) -> LocalFlag | None:
        """Return one flag."""
        backend = self._board.backend
        return backend.served_flag(environment, key) if isinstance(backend, LocalBackend) else None


class _MisconfiguredBackend:
    """Stands for a flag system whose settings are wrong: every question is answered with what is."""

    capabilities = BackendCapabilities(finest_share=None)

    def __init__(self, name: str, fault: MisconfiguredError) -> None:
        self.name = name
        self._fault = fault

    async def list(self, environment: str) -> Sequence[FlagState]:
        del environment
        raise self._fault

    async def read(self, flag: str, environment: str) -> FlagState:
        del flag, environment
        raise self._fault

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        del flag, environment, change
        raise self._fault

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        del flag, environment, change, version, note
        raise self._fault

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        del flag, environment
        raise self._fault

    async def check(self) -> None:
        raise self._fault
