"""Keeps deployments, each outcome once however often it is told, and puts them into the audit log.

An incident's timeline and card are merged from the audit log of its services, so what is kept here stands
there by itself.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.deployments.deployment import Deployment
from bot.policy.catalog import Catalog
from bot.store import audit
from bot.store.database import Database
from bot.store.deployment_tables import deployments


class Recorder:
    """The one way to tell of deployments. `on_recorded` is called after each commit that kept something."""

    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], on_recorded: Callable[[], None]
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._on_recorded = on_recorded

    def services_of(self, repository: str) -> Sequence[str]:
        """Answer the services that are built from the repository; GitHub's names know no case."""
        wanted = repository.casefold()
        return [
            service.name
            for service in self._catalog().services.values()
            if service.repository is not None and service.repository.casefold() == wanted
        ]

    async def record(self, deployment: Deployment, by: str, now: datetime) -> Sequence[str]:
        """Keep the outcome for each service of its repository; answer those for which it is new."""
        services = self.services_of(deployment.repository)
        if not services:
            return ()
        new: list[str] = []
        async with self._database.transaction() as connection:
            for service in services:
                values = {
                    "service": service,
                    "deployment": deployment.id,
                    "state": deployment.state.value,
                    "repository": deployment.repository,
                    "environment": deployment.environment,
                    "commit": deployment.commit,
                    "ref": deployment.ref,
                    "by": deployment.by,
                    "url": deployment.url,
                    "started_at": deployment.started_at,
                    "finished_at": deployment.finished_at,
                }
                added = self._database.insert(deployments).values(values).on_conflict_do_nothing()
                if (await connection.execute(added)).rowcount != 1:
                    continue
                new.append(service)
                deed = audit.Entry(
                    by,
                    f"deployment.{deployment.state}",
                    deployment.subject,
                    deployment.reason,
                    service,
                    after={"deployment": deployment.id, "commit": deployment.commit},
                )
                await audit.record(connection, deed, now)
        if new:
            self._on_recorded()
        return new
