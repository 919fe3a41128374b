"""GitLab as a gate: what it may call, what is due there, and what follows from new policies."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock, wait_until_set
from bot.freezes.status import NotMeasuredYetError
from bot.gates.gitlab.periods_handler import KIND, FreezePeriodsHandler
from bot.gates.gitlab.status_checks import StatusCheckHook
from bot.store.database import Database
from bot.store.signals import Topic
from bot.tasks import records
from bot.tasks.handler import TaskHandler
from bot.tasks.task import PlannedTask

log = structlog.get_logger(__name__)

_POLL_S: Final = 30.0


class GitLabGate:
    """Plans the projects that are to be brought into step; without a token, none."""

    def __init__(
        self,
        hook: StatusCheckHook,
        handler: FreezePeriodsHandler,
        *,
        is_set_up: bool,
        database: Database,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._hook = hook
        self._handler = handler
        self._is_set_up = is_set_up
        self._database = database
        self._current = current
        self._clock = clock
        self._held: Mapping[str, bool] = {}
        self._woken = asyncio.Event()
        database.signals.subscribe([Topic.HOLDS], self._woken.set)

    @property
    def task_handlers(self) -> Sequence[TaskHandler]:
        """The handler of freeze periods."""
        return [self._handler]

    def add_routes(self, app: web.Application) -> None:
        """Add the address of external status checks."""
        self._hook.add_routes(app)

    async def follow(self, catalog: Catalog) -> None:
        """Bring all projects into step now, also those that have left the policies."""
        if not self._is_set_up:
            return
        named = {each.project for each in catalog.workspace.gates.gitlab if each.freeze_periods}
        now = self._clock.now()
        async with self._database.transaction() as connection:
            known = {task.key for task in await records.read_pending(connection, KIND)}
            for name in sorted(named | known):
                task = PlannedTask(KIND, name, now)
                await records.schedule(self._database, connection, task, now)

    async def run(self) -> None:
        """Notice which projects are held and which no more, until cancelled."""
        while self._is_set_up:
            self._woken.clear()
            try:
                await self.notice()
            except Exception:
                # A loop's tick is a boundary: the next one tries again.
                log.exception("gitlab_projects_not_read")
            await wait_until_set(self._woken, _POLL_S)

    async def notice(self) -> None:
        """Make the projects due that are held now and were not, or the reverse."""
        if not self._is_set_up:
            return
        held: dict[str, bool] = {}
        for project in self._current.workspace.gates.gitlab:
            if project.freeze_periods:
                try:
                    held[project.project] = await self._handler.is_held(project)
                except NotMeasuredYetError:
                    continue
        changed = [name for name, is_held in held.items() if self._held.get(name) is not is_held]
        if changed:
            now = self._clock.now()
            async with self._database.transaction() as connection:
                for name in changed:
                    task = PlannedTask(KIND, name, now)
                    await records.schedule(self._database, connection, task, now)
        self._held = held
