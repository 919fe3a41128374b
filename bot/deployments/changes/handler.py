"""Asks GitHub what a deployment carried, when that is due, and stores it."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments import records
from bot.deployments.change import ChangesState
from bot.deployments.changes.planner import KIND, is_of
from bot.deployments.github.client import GitHubClient, GitHubRateLimitError, GitHubRefusedError
from bot.deployments.github.comparison import Comparison, compare
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import read_one
from bot.deployments.undo_detector import UndoDetector
from bot.formatting import counted
from bot.store.database import Database
from bot.store.tables.deployments import deployment_changes, deployments
from bot.store.value_lists import is_one_of
from bot.tasks.handler import TaskAttempt, TryLaterError
from bot.tasks.task import DueTask, RetryRule

RULE: Final = RetryRule(
    first_wait=timedelta(seconds=10), longest_wait=timedelta(hours=1), give_up_after=timedelta(days=2)
)

_NOT_THERE = 404
_LONGEST_NOTE = 300


class ChangesHandler:
    """Compares a deployment with the one before it."""

    kind = KIND
    rule = RULE

    def __init__(self, database: Database, client: GitHubClient, undo_detector: UndoDetector) -> None:
        self._database = database
        self._client = client
        self._undo_detector = undo_detector

    async def run(self, attempt: TaskAttempt) -> None:
        """Store the commits of the deployment; where GitHub has none, why."""
        asked = attempt.payload
        base, head, repository = asked["base"], asked["head"], asked["repository"]
        async with self._database.reading() as connection:
            deployment = await _wanted(connection, asked)
        if deployment is None:
            return
        try:
            comparison = await compare(self._client, repository, base, head)
        except GitHubRateLimitError as error:
            raise TryLaterError(error.after, str(error)) from error
        except GitHubRefusedError as error:
            note = str(error)
            if error.status == _NOT_THERE:
                note = (
                    f"{repository} at GitHub has no {_short(base)} or {_short(head)}, or it may not be read"
                )
            async with attempt.completing() as connection:
                await _write(connection, deployment, ChangesState.UNAVAILABLE, note)
            return
        async with attempt.completing() as connection:
            deployment = await _wanted(connection, asked)
            if deployment is not None:
                await self._store(connection, deployment, comparison)
                await self._undo_detector.examine(
                    connection,
                    deployment.service,
                    deployment.last.id,
                    attempt.now,
                    is_behind=comparison.behind_by > 0 and not comparison.changes,
                )

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Record why there are no changes."""
        del now
        deployment = await _wanted(connection, task.payload)
        if deployment is not None:
            await _write(connection, deployment, ChangesState.UNAVAILABLE, error.partition(": ")[2] or error)

    async def _store(
        self, connection: AsyncConnection, deployment: PastDeployment, comparison: Comparison
    ) -> None:
        columns = deployment_changes.c
        earlier = (columns.service == deployment.service) & is_one_of(columns.deployment, deployment.ids)
        await connection.execute(delete(deployment_changes).where(earlier))
        await records.add_changes(
            self._database, connection, deployment.service, deployment.id, comparison.changes
        )
        told = deployment.best_known.lines_changed
        await _write(
            connection,
            deployment,
            ChangesState.KNOWN,
            _note(comparison),
            previous_commit=deployment.best_known.previous_commit,
            changes=len(comparison.changes),
            lines_changed=comparison.lines_changed if told is None else told,
        )


async def _wanted(connection: AsyncConnection, asked: Any) -> PastDeployment | None:
    """Return the deployment if it is still to be compared with the same one, else None."""
    deployment = await read_one(connection, asked["service"], asked["deployment"])
    if deployment is None or deployment.commit != asked["head"]:
        return None
    best = deployment.best_known
    is_wanted = best.changes_state is ChangesState.PENDING and best.previous_commit == asked["base"]
    return deployment if is_wanted else None


async def _write(
    connection: AsyncConnection,
    deployment: PastDeployment,
    state: ChangesState,
    note: str | None,
    **values: int | str | None,
) -> None:
    told = {"changes_state": state.value, "changes_note": note and note[:_LONGEST_NOTE]}
    await connection.execute(update(deployments).where(is_of(deployment)).values(**told, **values))


def _note(comparison: Comparison) -> str | None:
    """Return what is particular about the changes, None if nothing is."""
    behind = counted(comparison.behind_by, "commit")
    if comparison.behind_by:
        if comparison.changes:
            return f"{behind} of the one before it {'is' if comparison.behind_by == 1 else 'are'} not in it"
        return f"it went back {behind}: a rollback"
    return None if comparison.changes else "it deployed what was deployed before it"


def _short(commit: str) -> str:
    return commit[:7] if len(commit) >= 40 else commit
