"""Decides which deployments are to be compared with which, and plans the task that asks GitHub.

A deployment is compared with the last one to the same environment that succeeded before it. When one is
recorded, those after it, up to the next success, may have another before them and are compared anew.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.deployments.change import TOLD, ChangesState
from bot.deployments.github.client import NO_TOKEN
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import read_followers, read_one, read_success_before
from bot.store.database import Database
from bot.store.tables.deployments import deployments
from bot.tasks import records
from bot.tasks.task import PlannedTask

KIND: Final = "deployment changes"

_NO_REPOSITORY = "the service's policy names no repository"
_FIRST = "it is the first one to this environment that is known"


class ChangesPlanner:
    """Plans the comparison of deployments. `can_ask` is whether there is a token for GitHub."""

    def __init__(self, database: Database, current: CurrentCatalog, *, can_ask: bool) -> None:
        self._database = database
        self._current = current
        self._can_ask = can_ask

    async def plan(
        self, connection: AsyncConnection, service: str, ids: Iterable[str], now: datetime
    ) -> None:
        """Plan to compare these deployments, and those to which they are the one before."""
        for id_ in ids:
            deployment = await read_one(connection, service, id_)
            if deployment is None:
                continue
            before = await read_success_before(connection, deployment)
            replaced = {None, *(outcome.commit for outcome in deployment.outcomes)}
            if before is not None:
                replaced.add(before.commit)
            await self._plan(connection, deployment, before, now)
            for follower in await read_followers(connection, deployment):
                if follower.best_known.previous_commit in replaced:
                    base = await read_success_before(connection, follower)
                    await self._plan(connection, follower, base, now, anew=True)

    async def plan_after(
        self,
        connection: AsyncConnection,
        deployment: PastDeployment,
        before: PastDeployment | None,
        now: datetime,
    ) -> None:
        """Plan to compare a deployment with the one that is now before it, unless that is done."""
        await self._plan(connection, deployment, before, now, anew=True)

    async def _plan(
        self,
        connection: AsyncConnection,
        deployment: PastDeployment,
        before: PastDeployment | None,
        now: datetime,
        *,
        anew: bool = False,
    ) -> None:
        best = deployment.best_known
        if best.changes_state is ChangesState.KNOWN and best.changes_note == TOLD:
            return
        told = None if anew else best.previous_commit
        base = told or (before.commit if before is not None else None)
        is_asked = best.changes_state in {ChangesState.KNOWN, ChangesState.PENDING}
        if is_asked and best.previous_commit == base and best.commit == deployment.commit:
            return
        repository = self.repository_of(deployment)
        reason = _FIRST if base is None else _NO_REPOSITORY if not repository else None
        if reason is None and not self._can_ask:
            reason = NO_TOKEN
        state = ChangesState.PENDING if reason is None else ChangesState.UNAVAILABLE
        values = {"previous_commit": base, "changes_state": state.value, "changes_note": reason}
        if best.changes_state is ChangesState.KNOWN:
            # What GitHub said of the comparison with another one counts no more.
            values |= {"changes": None, "lines_changed": None}
        await connection.execute(update(deployments).where(is_of(deployment)).values(values))
        if reason is not None:
            return
        payload = {"service": deployment.service, "deployment": deployment.id, "repository": repository}
        payload |= {"base": base, "head": deployment.commit}
        task = PlannedTask(KIND, _key(deployment), now, payload)
        await records.schedule(self._database, connection, task, now)

    def repository_of(self, deployment: PastDeployment) -> str | None:
        """Return the repository at GitHub that a deployment was built from, None if it is not known."""
        service = self._current.catalog.services.get(deployment.service)
        return deployment.last.repository or (service.repository if service is not None else None)


def is_of(deployment: PastDeployment) -> ColumnElement[bool]:
    """Return the condition that a row is one of a deployment's outcomes."""
    columns, run = deployments.c, deployment.last.run
    own = columns.run == run if run is not None else columns.deployment == deployment.last.id
    return (columns.service == deployment.service) & (columns.environment == deployment.environment) & own


def _key(deployment: PastDeployment) -> str:
    unit = json.dumps(deployment.last.unit)
    return f"{deployment.service} {hashlib.sha256(unit.encode()).hexdigest()[:40]}"
