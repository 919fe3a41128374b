"""Plans imports of the history of deployments, one for each repository, and says how far they have come."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.store.database import Database
from bot.store.tables.tasks import due_tasks
from bot.tasks import records
from bot.tasks.task import PlannedTask, TaskState

KIND: Final = "deployment import"
AT_FIRST: Final = timedelta(days=90)
"""How far back the history of a repository is read on its own, once."""
LONGEST: Final = timedelta(days=366)
"""How far back it may be asked for."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import has come. `waits_until` is set while GitHub's rate limit holds it up."""

    repository: str
    since: datetime
    state: TaskState
    read: int
    recorded: int
    waits_until: datetime | None
    error: str | None


class DeploymentImports:
    """The imports. `can_ask` is whether there is a token for GitHub: without one none is planned."""

    def __init__(self, database: Database, *, can_ask: bool) -> None:
        self._database = database
        self.can_ask = can_ask

    async def follow(self, catalog: Catalog, now: datetime) -> None:
        """Plan to import the last months of each repository that no import was planned for."""
        if not self.can_ask:
            return
        async with self._database.transaction() as connection:
            for repository, services in repositories(catalog).items():
                task = _task(repository, services, now - AT_FIRST, "governor", now)
                await records.plan(self._database, connection, task, now)

    async def begin(
        self, catalog: Catalog, wanted: Collection[str], since: datetime, by: str, now: datetime
    ) -> None:
        """Import these repositories again, from the beginning."""
        async with self._database.transaction() as connection:
            for repository, services in repositories(catalog).items():
                if repository in wanted:
                    task = _task(repository, services, since, by, now)
                    await records.schedule(self._database, connection, task, now)

    async def progress(self, catalog: Catalog, now: datetime) -> Sequence[ImportProgress]:
        """Return how far the imports of the repositories in force have come, by name."""
        async with self._database.reading() as connection:
            found = [
                await _progress(connection, _key(repository, services), now)
                for repository, services in repositories(catalog).items()
            ]
        return [each for each in found if each is not None]


def repositories(catalog: Catalog) -> Mapping[str, Sequence[str]]:
    """Return the names of the services that are built from each repository, both in order."""
    services: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for service in sorted(catalog.services.values(), key=lambda each: each.name):
        if service.repository is not None:
            name = names.setdefault(service.repository.casefold(), service.repository)
            services.setdefault(name, []).append(service.name)
    return dict(sorted(services.items()))


def repositories_named(
    catalog: Catalog, *, service: str | None = None, repository: str | None = None
) -> Sequence[str]:
    """Return the repositories of a service, or the one of this name in any case; all if neither is named."""
    return [
        name
        for name, services in repositories(catalog).items()
        if (service is None or service in services)
        and (repository is None or repository.casefold() == name.casefold())
    ]


def _task(repository: str, services: Collection[str], since: datetime, by: str, now: datetime) -> PlannedTask:
    payload = {"repository": repository, "since": since.isoformat(), "by": by}
    return PlannedTask(KIND, _key(repository, services), now, payload)


def _key(repository: str, services: Collection[str]) -> str:
    """Return a key that is new where another service is built from the repository."""
    names = hashlib.sha256("\n".join(services).encode()).hexdigest()[:16]
    return f"{repository.casefold()} {names}"


async def _progress(connection: AsyncConnection, key: str, now: datetime) -> ImportProgress | None:
    query = select(due_tasks).where(due_tasks.c.kind == KIND, due_tasks.c.key == key)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    payload: Mapping[str, Any] = row.payload
    is_waiting = row.state == TaskState.PENDING and row.next_attempt_at > now
    return ImportProgress(
        payload["repository"],
        datetime.fromisoformat(payload["since"]),
        TaskState(row.state),
        payload.get("read", 0),
        payload.get("recorded", 0),
        row.next_attempt_at if is_waiting else None,
        row.error,
    )
