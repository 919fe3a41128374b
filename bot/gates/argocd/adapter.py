"""The adapter of Argo CD: keeps Governor's sync windows in step with what is held."""

from collections.abc import Sequence

import structlog
from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.clock import Clock
from bot.freezes.status import StatusReader
from bot.gates.argocd.window_writer import SyncWindowWriter, path_of
from bot.gates.kubernetes.cluster import ClusterAwayError
from bot.gates.kubernetes.clusters import Clusters
from bot.gates.kubernetes.held_services import HeldServiceReader
from bot.gates.kubernetes.reconcile_loop import ReconcileLoop
from bot.store.item_failures import ItemFailures
from bot.store.leases import Lease
from bot.tasks.handler import TaskHandler

log = structlog.get_logger(__name__)


class ArgoCdGate:
    """Keeps the sync window of every project in step."""

    task_handlers: Sequence[TaskHandler] = ()

    def __init__(
        self,
        clusters: Clusters,
        status_reader: StatusReader,
        held_services: HeldServiceReader,
        clock: Clock,
        lease: Lease,
    ) -> None:
        self._clusters = clusters
        self._current = status_reader.current
        self._clock = clock
        self._writer = SyncWindowWriter(held_services)
        self._failures = ItemFailures("sync_window_not_in_step")
        self._loop = ReconcileLoop(self.keep_in_step, lease)

    def add_routes(self, app: web.Application) -> None:
        """Add nothing: what Argo CD tells of syncs is received with deployments."""

    async def follow(self, _catalog: Catalog) -> None:
        """Follow other policies at once."""
        self._loop.wake()

    def note_change(self) -> None:
        """Bring the windows in step now: holds have changed."""
        self._loop.wake()

    async def run(self) -> None:
        """Keep the windows in step until cancelled."""
        await self._loop.run()

    async def keep_in_step(self) -> None:
        """Bring every project of every cluster in step; one that fails keeps none of the others."""
        for settings in self._clusters.settings:
            due = {
                path_of(project): project
                for project in settings.projects
                if self._failures.is_due((settings.name, path_of(project)))
            }
            if not due:
                continue
            cluster = self._clusters.of(settings)
            errors = await self._writer.keep(
                cluster, settings, list(due.values()), self._current.catalog, self._clock.now()
            )
            for path in due:
                item = (settings.name, path)
                with self._failures.isolate(item):
                    if (error := errors.get(path)) is not None:
                        after_s = error.after_s if isinstance(error, ClusterAwayError) else None
                        self._failures.record(item, str(error), after_s)
                        log.warning("sync_window_not_in_step", project=path, error=str(error))
