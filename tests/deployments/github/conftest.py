"""A server that answers like GitHub, and what asks it, on both stores."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

import aiohttp
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.deployments import records
from bot.deployments.actor import AgentAccounts
from bot.deployments.backfill.handler import ImportHandler
from bot.deployments.backfill.imports import DeploymentImports
from bot.deployments.changes.handler import ChangesHandler
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import Deployment
from bot.deployments.github.client import GitHubClient
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import read_history, read_one
from bot.deployments.undo_detector import DetectedUndo, UndoDetector
from bot.store.database import Database
from bot.tasks.runner import TaskRunner
from tests.deployments.test_records import deployed
from tests.support.clock import MINUTE, StoppedClock
from tests.support.github_api import TOKEN, FakeGitHub
from tests.support.values import catalog, service


class NobodyLinks:
    """Hears of deployments that were undone, and draws no conclusions."""

    async def link_undone(self, connection: AsyncConnection, undo: DetectedUndo, now: datetime) -> None: ...

    async def unlink_undone(
        self, connection: AsyncConnection, service: str, deployment: str, now: datetime
    ) -> None: ...


@dataclass
class GitHubSetup:
    """What records deployments and asks GitHub, with a stopped clock."""

    github: FakeGitHub
    client: GitHubClient
    database: Database
    clock: StoppedClock
    current: CurrentCatalog
    planner: ChangesPlanner
    imports: DeploymentImports
    tasks: TaskRunner

    def new_runner(self, *, compares: bool = True) -> TaskRunner:
        """Return a runner as after a restart."""
        runner = TaskRunner(self.database, self.clock)
        agents = AgentAccounts(["claude"])
        runner.register([ImportHandler(self.database, self.current, self.client, self.planner, agents)])
        if compares:
            runner.register([ChangesHandler(self.database, self.client, UndoDetector(NobodyLinks()))])
        return runner

    async def record(self, *told: Deployment) -> None:
        """Record deployments of checkout as the recorder does."""
        async with self.database.transaction() as connection:
            for each in told:
                if await records.add(self.database, connection, "checkout", each):
                    await self.planner.plan(connection, "checkout", [each.id], self.clock.now())

    async def ship(self, key: str, commit: str, minutes: int, **fields: object) -> None:
        """Record a deployment of a commit that ended so many minutes before now."""
        ended = self.clock.now() - minutes * MINUTE
        await self.record(deployed(commit, ended, id=key, **fields))

    async def finish(self) -> None:
        """Do all that is due now."""
        while await self.tasks.tick():
            pass

    async def read(self, key: str) -> PastDeployment:
        async with self.database.reading() as connection:
            found = await read_one(connection, "checkout", key)
        assert found is not None
        return found

    async def counts(self) -> dict[str, int]:
        """Return how many deployments each service has."""
        async with self.database.reading() as connection:
            return dict(Counter(each.service for each in await read_history(connection)))

    async def history(self) -> list[PastDeployment]:
        async with self.database.reading() as connection:
            return list(await read_history(connection, ["checkout"]))


@pytest.fixture
async def setup(database: Database) -> AsyncIterator[GitHubSetup]:
    clock = StoppedClock()
    github = FakeGitHub(now=clock.now)
    services = [replace(service(name), repository="acme/checkout") for name in ("checkout", "cart")]
    current = CurrentCatalog(catalog(*services))
    async with github.server() as server, aiohttp.ClientSession() as session:
        client = GitHubClient(session, str(server.make_url("")), TOKEN, clock)
        made = GitHubSetup(
            github,
            client,
            database,
            clock,
            current,
            ChangesPlanner(database, current, can_ask=True),
            DeploymentImports(database, can_ask=True),
            TaskRunner(database, clock),
        )
        made.tasks = made.new_runner()
        yield made
