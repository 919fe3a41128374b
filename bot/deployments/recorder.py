"""Keeps deployments, each outcome once however often it is told, and puts them into the audit log."""

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.deployments import records
from bot.deployments.deployment import Deployment
from bot.policy.catalog import Catalog, Service
from bot.store import audit
from bot.store.database import Database


class Recorder:
    """The one way to tell of deployments. `on_recorded` is called after each commit that kept something."""

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], on_recorded: Callable[[], None]
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._on_recorded = on_recorded

    def services_of(self, repository: str) -> Sequence[Service]:
        """Answer the services that are built from the repository; GitHub's names know no case."""
        wanted = repository.casefold()
        return [
            service
            for service in self._catalog().services.values()
            if service.repository is not None and service.repository.casefold() == wanted
        ]

    async def record(
        self, deployment: Deployment, services: Sequence[Service], by: str, now: datetime
    ) -> list[str]:
        """Keep the outcome for each of the services; answer those for which it is new. `by` tells it."""
        new: list[str] = []
        async with self._database.transaction() as connection:
            for service in services:
                if not await records.add(self._database, connection, service.name, deployment):
                    continue
                new.append(service.name)
                deed = audit.Entry(
                    by,
                    f"deployment.{deployment.state}",
                    deployment.subject,
                    deployment.reason,
                    service.name,
                    after={
                        "deployment": deployment.id,
                        "commit": deployment.commit,
                        "finished_at": deployment.finished_at.isoformat(),
                    },
                )
                await audit.record(connection, deed, now)
        if new:
            self._on_recorded()
        return new
