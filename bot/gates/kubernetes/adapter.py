"""The adapter of Kubernetes: one replica keeps all clusters in step, at each change and now and then.

There is nothing durable to do: what must be in a cluster follows from the store at any time.
"""

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
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.leases import Lease
from bot.tasks.handler import TaskHandler

log = structlog.get_logger(__name__)

_EVERY_S = 10.0


class KubernetesGate:
    """Keeps what clusters enforce in step with what is held."""

    task_handlers: Sequence[TaskHandler] = ()

    def __init__(
        self,
        clusters: Clusters,
        status_reader: StatusReader,
        *,
        database: Database,
        clock: Clock,
        lease: Lease,
    ) -> None:
        self._clusters = clusters
        self._current = status_reader.current
        self._clock = clock
        self._lease = lease
        self._hold_writer = ClusterHoldWriter(HeldServiceReader(status_reader, database))
        self._failures = ItemFailures("cluster_not_in_step")
        self._changed = asyncio.Event()

    def add_routes(self, app: web.Application) -> None:
        """Add nothing: no cluster calls Governor."""

    async def follow(self, _catalog: Catalog) -> None:
        """Follow other policies at once."""
        await self._clusters.close_unnamed()
        self._changed.set()

    def note_change(self) -> None:
        """Bring the clusters in step now: holds or exemptions have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the clusters in step until cancelled."""
        try:
            while True:
                self._changed.clear()
                try:
                    if self._clusters.settings and await self._lease.acquire():
                        await self.keep_in_step()
                except Exception:
                    # A loop's tick is a boundary: the next one tries again.
                    log.exception("kubernetes_tick_failed")
                try:
                    async with asyncio.timeout(_EVERY_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            await self._clusters.close()

    async def keep_in_step(self) -> None:
        """Bring every namespace of every cluster in step; one that fails keeps none of the others."""
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
            self._changed.set()
