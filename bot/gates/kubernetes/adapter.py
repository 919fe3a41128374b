"""The adapter of Kubernetes: keeps what API servers enforce in step with what is held."""

import asyncio
from collections.abc import Sequence

import structlog
from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.catalog.clusters import ClusterSettings
from bot.clock import Clock
from bot.freezes.status import StatusReader
from bot.gates.kubernetes.cluster import ClusterAwayError, ObjectChangedError
from bot.gates.kubernetes.clusters import Clusters
from bot.gates.kubernetes.held_services import HeldServiceReader
from bot.gates.kubernetes.hold_writer import ClusterHoldWriter
from bot.gates.kubernetes.reconcile_loop import ReconcileLoop
from bot.store.item_failures import ItemFailures
from bot.store.leases import Lease
from bot.tasks.handler import TaskHandler

log = structlog.get_logger(__name__)


class KubernetesGate:
    """Keeps the holds of every namespace in step."""

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
        self._hold_writer = ClusterHoldWriter(held_services)
        self._failures = ItemFailures("cluster_not_in_step")
        self._turn = asyncio.Lock()
        self._loop = ReconcileLoop(self.keep_in_step, lease)

    def add_routes(self, app: web.Application) -> None:
        """Add nothing: no cluster calls Governor."""

    async def follow(self, _catalog: Catalog) -> None:
        """Follow other policies at once."""
        await self._clusters.close_unnamed()
        self._loop.wake()

    def note_change(self) -> None:
        """Bring the clusters in step now: holds or exemptions have changed."""
        self._loop.wake()

    async def run(self) -> None:
        """Keep the clusters in step until cancelled."""
        await self._loop.run()

    async def keep_in_step(self) -> None:
        """Bring every namespace of every cluster in step; one that fails keeps none of the others."""
        async with self._turn:
            await asyncio.gather(*(self._keep(settings) for settings in self._clusters.settings))

    async def _keep(self, settings: ClusterSettings) -> None:
        due = [name for name in settings.namespaces if self._failures.is_due((settings.name, name))]
        if not due:
            return
        cluster, now = self._clusters.of(settings), self._clock.now()
        errors = await self._hold_writer.keep(cluster, settings, due, self._current.catalog, now)
        for namespace in due:
            item = (settings.name, namespace)
            with self._failures.isolate(item):
                if (error := errors.get(namespace)) is not None:
                    after_s = error.after_s if isinstance(error, ClusterAwayError) else None
                    self._failures.record(item, str(error), after_s)
                    log.warning("cluster_not_in_step", namespace=namespace, error=str(error))
        if any(isinstance(error, ObjectChangedError) for error in errors.values()):
            self._loop.wake()
