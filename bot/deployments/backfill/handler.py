"""Reads the history of a repository's deployments to production, in parts that each are kept.

A part is at most a few deployments of one page. After a crash, and after a rate limit, the work goes on at
the part that was not kept. What is imported is announced nowhere: it is long known to those who were there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.current import CurrentCatalog
from bot.deployments import records
from bot.deployments.actor import AgentAccounts
from bot.deployments.backfill.imports import KIND, repositories
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.github.client import GitHubClient, GitHubError, GitHubRateLimitError, GitHubRefusedError
from bot.deployments.github.deployment_list import ListedDeploymentPart, list_deployments, outcomes_of
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import read_history, read_success_before
from bot.formatting import counted
from bot.store import audit
from bot.store.database import Database
from bot.tasks.handler import GiveUpError, TaskAttempt, TryLaterError
from bot.tasks.task import DueTask, RetryRule

RULE: Final = RetryRule(
    first_wait=timedelta(seconds=10), longest_wait=timedelta(hours=1), give_up_after=timedelta(days=7)
)

_IN_ONE_PART = 25
_COMPARED_IN_ONE_PART = 100


class ImportHandler:
    """Imports the history of deployments."""

    kind = KIND
    rule = RULE

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        client: GitHubClient,
        planner: ChangesPlanner,
        agents: AgentAccounts,
    ) -> None:
        self._database = database
        self._current = current
        self._client = client
        self._planner = planner
        self._agents = agents

    async def run(self, attempt: TaskAttempt) -> None:
        """Do the next part."""
        services = self._services(attempt.payload["repository"])
        if not services:
            raise GiveUpError("no service is built from this repository any more")
        if "compared" in attempt.payload:
            await self._compare(attempt, services)
            return
        try:
            await self._read_part(attempt, services)
        except GitHubRateLimitError as error:
            raise TryLaterError(error.after, str(error)) from error
        except GitHubRefusedError as error:
            raise GiveUpError(str(error)) from error

    async def given_up(self, connection: AsyncConnection, task: DueTask, error: str, now: datetime) -> None:
        """Record that the history is not whole."""
        await _audit(connection, task.payload, f"given up: {error}", "deployments.import_failed", now)

    def _services(self, repository: str) -> Sequence[str]:
        by_name = repositories(self._current.catalog)
        return next((own for name, own in by_name.items() if name.casefold() == repository.casefold()), ())

    async def _read_part(self, attempt: TaskAttempt, services: Sequence[str]) -> None:
        """Keep the outcomes of the next few deployments of a page, as many as the rate limit allows."""
        payload = dict(attempt.payload)
        since = datetime.fromisoformat(payload["since"])
        page = await list_deployments(self._client, payload["repository"], payload.get("page"))
        wanted = [each for each in page.deployments if each.is_production and each.created_at >= since]
        seen = set(payload.get("seen", ()))
        part = [each for each in wanted if each.id not in seen][:_IN_ONE_PART]
        done, found, limited = await self._outcomes(payload["repository"], part)
        seen |= {each.id for each in done}
        is_page_over = limited is None and len(seen & {each.id for each in wanted}) == len(wanted)
        payload["read"] = payload.get("read", 0) + len(done)
        payload["seen"] = sorted(seen)
        if is_page_over:
            is_last = page.following is None or any(each.created_at < since for each in page.deployments)
            payload |= {"page": page.following, "seen": []}
            if is_last:
                payload["compared"] = 0
        after = timedelta() if limited is None else limited.after
        async with attempt.continuing(payload, after=after) as connection:
            new = await records.add_all(self._database, connection, services, found)
            payload["recorded"] = payload.get("recorded", 0) + len(new)

    async def _outcomes(
        self, repository: str, part: Sequence[ListedDeploymentPart]
    ) -> tuple[list[ListedDeploymentPart], list[Deployment], GitHubRateLimitError | None]:
        """Return the deployments that were looked at, their outcomes, and the limit that ended it.

        Of what is known for one of the services, only the others get it: nothing is asked.
        """
        async with self._database.reading() as connection:
            known = await records.read_outcomes(connection, [each.key for each in part])
        done: list[ListedDeploymentPart] = []
        found: list[Deployment] = []
        for listed in part:
            try:
                own = known.get(listed.key)
                found += own or await outcomes_of(self._client, repository, listed, self._agents)
            except GitHubRateLimitError as error:
                return done, found, error
            except GitHubRefusedError:
                # It was deleted meanwhile.
                pass
            except GitHubError:
                if not done:
                    raise
                return done, found, GitHubRateLimitError(RULE.first_wait)
            done.append(listed)
        return done, found, None

    async def _compare(self, attempt: TaskAttempt, services: Sequence[str]) -> None:
        """Plan what GitHub is asked about the changes of what was imported, the newest first; then end."""
        payload, since = dict(attempt.payload), datetime.fromisoformat(attempt.payload["since"])
        async with self._database.reading() as connection:
            found = await read_history(connection, services, since)
        before = _before(found)
        newest = [each for each in reversed(found) if each.last.is_production]
        start = payload["compared"]
        part = newest[start : start + _COMPARED_IN_ONE_PART]
        if part:
            payload["compared"] = start + len(part)
            async with attempt.continuing(payload) as connection:
                for each in part:
                    base = before.get(each.last.unit) or await read_success_before(connection, each)
                    await self._planner.plan_after(connection, each, base, attempt.now)
            return
        recorded = payload.get("recorded", 0)
        text = f"{counted(recorded, 'deployment')} since {since:%Y-%m-%d}"
        async with attempt.completing() as connection:
            await _audit(connection, payload, text, "deployments.imported", attempt.now)


def _before(found: Sequence[PastDeployment]) -> Mapping[tuple[str, str, str], PastDeployment]:
    """Return the success before each deployment, by its unit, of deployments from old to new."""
    before: dict[tuple[str, str, str], PastDeployment] = {}
    last: dict[tuple[str, str], PastDeployment] = {}
    for each in found:
        place = (each.service, each.environment)
        if place in last:
            before[each.last.unit] = last[place]
        if each.state is DeploymentState.SUCCEEDED:
            last[place] = each
    return before


async def _audit(
    connection: AsyncConnection, payload: Mapping[str, Any], reason: str, action: str, now: datetime
) -> None:
    after = {name: payload.get(name, 0) for name in ("since", "read", "recorded")}
    entry = audit.AuditEntry(payload["by"], action, payload["repository"], reason, after=after)
    await audit.record(connection, entry, now)
