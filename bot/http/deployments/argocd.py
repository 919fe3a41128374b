"""`POST /webhooks/argocd`: Argo CD's notifications of syncs, by the template in docs/deployments.md.

Argo CD signs nothing: a bearer token says who sent it.

https://argo-cd.readthedocs.io/en/stable/operator-manual/notifications/services/webhook/
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiohttp import web

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.deployments import records
from bot.deployments.actor import AgentAccounts
from bot.deployments.deployment import PRODUCTION, Deployment, is_production
from bot.deployments.recorder import DeploymentRecorder
from bot.http.auth import CALLER, TokenVerifier
from bot.http.deployments.argocd_notification import OUTCOMES, ArgoSyncBody
from bot.http.deployments.reports import LONGEST_AGO, deployment_response, first_safe_url, marked
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import read_body, read_json
from bot.http.response_models import DeploymentAnswer
from bot.http.rights import Right
from bot.store.database import Database

_DECLARED: Final = {"true": True, "false": False}
_LONGEST_BY = 100


class ArgoCDWebhook:
    """The webhook of Argo CD. A repeated notification changes nothing."""

    def __init__(
        self,
        database: Database,
        recorder: DeploymentRecorder,
        current: CurrentCatalog,
        clock: Clock,
        tokens: TokenVerifier,
        *,
        agents: AgentAccounts,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._current = current
        self._clock = clock
        self._tokens = tokens
        self._agents = agents

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        "/webhooks/argocd",
        tag="webhooks",
        summary="Argo CD's notifications of syncs, by the template in the documentation",
        right=Right.DEPLOYMENTS_WRITE,
        body=ArgoSyncBody,
        answers={202: DeploymentAnswer},
        refusals=BAD_BODY,
    )
    async def _post(self, request: web.Request) -> web.Response:
        body, now = read_body(ArgoSyncBody, await read_json(request)), self._clock.now()
        ignored = _why_of_no_use(body, now)
        if ignored is not None:
            return deployment_response([], status=202, ignored=ignored)
        services, repository = self._services(body)
        if not services:
            return deployment_response(
                [], status=202, ignored="no service has this application's repository or name"
            )
        deployment = marked(_deployment(body, repository, self._agents, now), request)
        if await self._is_repeated(body, deployment, services):
            return deployment_response([], status=202, ignored="this revision is the one deployed last")
        recorded = await self._recorder.record(deployment, services, request[CALLER], now)
        return deployment_response(recorded, status=202)

    def _services(self, body: ArgoSyncBody) -> tuple[Sequence[Service], str]:
        """Return the services of the application, and the repository by which they were found, if any.

        The annotation says which, else the repository, else the name. Of several services of one
        repository, the one that is called like the application stands alone.
        """
        known, named = self._current.catalog.services, body.mark("service")
        if named is not None:
            names = list(dict.fromkeys(name.strip() for name in named.split(",") if name.strip()))
            for name in names:
                if name not in known:
                    raise _unknown(name)
            return [known[name] for name in names], ""
        for source in body.all_sources:
            found = self._recorder.services_of(source.repository) if source.repository else []
            if found:
                alone = [service for service in found if service.name == body.app]
                return alone or found, source.repository
        return [known[name] for name in [body.app] if name in known], ""

    async def _is_repeated(
        self, body: ArgoSyncBody, deployment: Deployment, services: Sequence[Service]
    ) -> bool:
        """Return whether Argo CD synced again what it had synced last, to undo a drift for instance."""
        async with self._database.reading() as connection:
            for service in services:
                last = await records.last_with_prefix(
                    connection, service.name, deployment.environment, body.prefix
                )
                if last is None or last.state is not deployment.state or last.id == deployment.id:
                    return False
                if not last.id.startswith(body.version_prefix):
                    return False
        return True


def _why_of_no_use(body: ArgoSyncBody, now: datetime) -> str | None:
    if body.phase not in OUTCOMES:
        return "the sync has not ended yet"
    if body.dryRun:
        return "it was a dry run"
    if not body.all_revisions and body.mark("commit") is None:
        return "it names no revision"
    times = [at for at in (body.startedAt, body.finishedAt) if at is not None]
    if not times:
        return "it says neither when the sync began nor when it ended"
    return "it is more than a year old" if min(times) < now - LONGEST_AGO else None


def _deployment(body: ArgoSyncBody, repository: str, agents: AgentAccounts, now: datetime) -> Deployment:
    # Its clock may be ahead of ours; without an end it has just ended.
    finished = min(body.finishedAt or now, now)
    environment = body.mark("environment") or PRODUCTION
    commit, of = body.commit_of(repository)
    is_automatic = body.automated or body.username is None
    return Deployment(
        id=body.id,
        environment=environment,
        commit=commit,
        by=("Argo CD" if is_automatic else f"{body.username} at Argo CD")[:_LONGEST_BY],
        state=OUTCOMES[body.phase or ""],
        started_at=min(body.startedAt or finished, finished),
        finished_at=finished,
        repository=of[:200],
        url=first_safe_url(body.url or ""),
        change=body.mark("change"),
        kind=body.mark("kind"),
        is_production=is_production(environment, _DECLARED.get((body.mark("production") or "").casefold())),
        actor=body.actor(agents),
    )


def _unknown(name: str) -> ProblemError:
    message = f"there is no service {name}"
    return ProblemError(422, message, errors=[{"field": "annotations.governor/service", "message": message}])
