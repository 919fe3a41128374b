"""`/api/v1/deployments/imports`: starts imports of the history at GitHub, and says how far they have come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, ConfigDict, Field

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.deployments.backfill.imports import (
    AT_FIRST,
    LONGEST,
    DeploymentImports,
    ImportProgress,
    repositories_named,
)
from bot.deployments.github.client import NO_TOKEN
from bot.http.auth import CALLER, TokenVerifier
from bot.http.deployments.reports import NonBlankLine
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import TextInstant, read_body, read_json
from bot.http.request_text import RequestBody
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant


class ImportBody(RequestBody):
    """What to import: of a `service` or a `repository`, all if neither; `since` 90 days ago if left out."""

    model_config = ConfigDict(extra="forbid")

    service: NonBlankLine | None = Field(None, min_length=1, max_length=100)
    repository: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    since: TextInstant | None = None


class ImportAnswer(Answer):
    """How far the import of a repository has come."""

    repository: str
    since: AwareDatetime
    state: Literal["pending", "done", "cancelled", "given_up"]
    read: int
    """How many deployments were read at GitHub."""
    recorded: int
    """How many of them were not known yet."""
    waits_until: AwareDatetime | None
    """When it goes on, where GitHub's rate limit or a fault holds it up."""
    problem: str | None
    """Why it was given up, or why the last attempt failed."""


class ImportsAnswer(Answer):
    """The imports of the repositories that services name, by name."""

    imports: list[ImportAnswer]


class ImportsEndpoint:
    """The endpoint of imports. An import that is asked for again begins anew; nothing is doubled."""

    def __init__(
        self, imports: DeploymentImports, current: CurrentCatalog, clock: Clock, tokens: TokenVerifier
    ) -> None:
        self._imports = imports
        self._current = current
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        "/api/v1/deployments/imports",
        tag="deployments",
        summary="Import the history of deployments from GitHub; what is known is not doubled",
        right=Right.DEPLOYMENTS_WRITE,
        body=ImportBody,
        answers={202: ImportsAnswer},
        refusals=BAD_BODY | {409: "There is no token for GitHub where the bot runs."},
    )
    async def _post(self, request: web.Request) -> web.Response:
        body, now = read_body(ImportBody, await read_json(request)), self._clock.now()
        since = body.since or now - AT_FIRST
        wanted = self._wanted(body)
        if since > now:
            raise _fault("since", "it is in the future")
        if since < now - LONGEST - timedelta(hours=1):
            raise _fault("since", f"at most {LONGEST.days} days ago")
        if not self._imports.can_ask:
            raise ProblemError(409, f"{NO_TOKEN} where the bot runs: set it, and start the bot again")
        await self._imports.begin(self._current.catalog, wanted, since, request[CALLER], now)
        return await self._answer(now, wanted, status=202)

    @Operation(
        "GET",
        "/api/v1/deployments/imports",
        tag="deployments",
        summary="How far the imports of the history of deployments have come",
        right=Right.DEPLOYMENTS_WRITE,
        answers={200: ImportsAnswer},
    )
    async def _get(self, _request: web.Request) -> web.Response:
        return await self._answer(self._clock.now())

    def _wanted(self, body: ImportBody) -> Sequence[str]:
        catalog = self._current.catalog
        if body.service is not None and body.service not in catalog.services:
            raise _fault("service", f"there is no service {body.service}")
        wanted = repositories_named(catalog, service=body.service, repository=body.repository)
        if wanted:
            return wanted
        if body.repository is not None:
            raise _fault("repository", f"no service names the repository {body.repository}")
        if body.service is not None:
            raise _fault("service", f"the policy of {body.service} names no repository")
        raise _fault("repository", "no policy names a repository")

    async def _answer(
        self, now: datetime, wanted: Sequence[str] | None = None, *, status: int = 200
    ) -> web.Response:
        found = await self._imports.progress(self._current.catalog, now)
        shown = [_json(each) for each in found if wanted is None or each.repository in wanted]
        return web.json_response({"imports": shown}, status=status)


def _json(progress: ImportProgress) -> dict[str, Any]:
    return {
        "repository": progress.repository,
        "since": instant(progress.since),
        "state": progress.state.value,
        "read": progress.read,
        "recorded": progress.recorded,
        "waits_until": instant(progress.waits_until) if progress.waits_until else None,
        "problem": progress.error,
    }


def _fault(field: str, message: str) -> ProblemError:
    return ProblemError(422, message, errors=[{"field": field, "message": message}])
