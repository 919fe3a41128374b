"""`/api/v1/deployments`: outcomes of deployments from systems other than GitHub, and the list of all."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, ConfigDict, Field

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.deployments.actor import Actor
from bot.deployments.change import LONGEST_TITLE, CarriedChange
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState, is_production
from bot.deployments.recorder import DeploymentRecorder
from bot.http.auth import CALLER, TokenVerifier, is_agent
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import TextInstant, read_body, read_json
from bot.http.request_text import FreeText, RequestBody
from bot.http.response_models import DeploymentAnswer
from bot.http.rights import Right
from bot.texts import clean_line

MOST_CHANGES = 10_000
LONGEST_URL = 500
SKEW = timedelta(hours=1)
"""How far a reporter's clock may be ahead of ours."""
LONGEST_AGO = timedelta(days=366)
"""How long ago a deployment may have begun: a start that nobody can check must not lie before every hold."""

# PostgreSQL stores no NUL, and a line of the timeline may have no other control character either.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
URL_PATTERN = r"^https?://[!#-;=?-\[\]-{}~]+$"
"""An address without characters that are special in Slack's markup or Markdown."""
Url = Annotated[str, Field(max_length=LONGEST_URL, pattern=URL_PATTERN)]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


NonBlankLine = Annotated[Line, AfterValidator(_not_blank)]


class CarriedChangeBody(RequestBody):
    """A commit that was deployed: when it was written, and when it was first on the default branch."""

    model_config = ConfigDict(extra="forbid")

    commit: NonBlankLine = Field(min_length=1, max_length=64)
    title: Annotated[FreeText, AfterValidator(lambda text: clean_line(text, LONGEST_TITLE))] = ""
    change: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    authored_at: TextInstant | None = None
    merged_at: TextInstant | None = None


class DeploymentBody(RequestBody):
    """How a deployment ended; `key` and `state` tell it from all others.

    `commit` is a hash or a version, `by` a name or a Slack user id. Times left out are now. `change`, `kind`
    and `proof` are what the gate was asked with. Unless `production` says otherwise, production is what is
    called so. Reports with the same `run` are jobs of one deployment. `actor` is who or what deployed;
    what an agent's token reports, an agent deployed.
    `changes` are the commits since `previous_commit`, and `lines_changed` how many lines they touch;
    what is left out is asked of GitHub, where the service has a repository there.
    """

    model_config = ConfigDict(extra="forbid")

    service: str = Field(min_length=1, max_length=100)
    key: NonBlankLine = Field(min_length=1, max_length=190)
    state: DeploymentState
    commit: NonBlankLine = Field(min_length=1, max_length=64)
    environment: NonBlankLine = Field(PRODUCTION, min_length=1, max_length=255)
    ref: Line = Field("", max_length=255)
    by: NonBlankLine | None = Field(None, min_length=1, max_length=100)
    url: Url | None = None
    started_at: TextInstant | None = None
    finished_at: TextInstant | None = None
    change: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    kind: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    proof: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    production: bool | None = Field(None, strict=True)
    actor: Actor = Actor.PIPELINE
    run: NonBlankLine | None = Field(None, min_length=1, max_length=190)
    changes: list[CarriedChangeBody] | None = Field(None, max_length=MOST_CHANGES)
    previous_commit: NonBlankLine | None = Field(None, min_length=1, max_length=64)
    lines_changed: int | None = Field(None, ge=0, lt=2**31, strict=True)


class DeploymentsEndpoint:
    """The endpoint of deployments. A repeated outcome changes nothing."""

    def __init__(
        self,
        recorder: DeploymentRecorder,
        current: CurrentCatalog,
        clock: Clock,
        tokens: TokenVerifier,
    ) -> None:
        self._recorder = recorder
        self._current = current
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        "/api/v1/deployments",
        tag="deployments",
        summary="Report how a deployment ended; repeating the same key and state changes nothing",
        right=Right.DEPLOYMENTS_WRITE,
        body=DeploymentBody,
        answers={200: DeploymentAnswer, 201: DeploymentAnswer},
        refusals=BAD_BODY,
    )
    async def _post(self, request: web.Request) -> web.Response:
        body, now = read_body(DeploymentBody, await read_json(request)), self._clock.now()
        service = self._current.catalog.services.get(body.service)
        if service is None:
            raise _fault("service", f"there is no service {body.service}")
        finished = body.finished_at or now
        started = body.started_at or finished
        if finished > now + SKEW:
            raise _fault("finished_at", "it is in the future")
        if started > now + SKEW:
            raise _fault("started_at", "it is in the future")
        if finished < started:
            raise _fault("finished_at", "it ended before it began")
        if started < now - LONGEST_AGO:
            raise _fault("started_at", "it cannot have started more than a year ago")
        deployment = Deployment(
            id=f"api {body.key}",
            environment=body.environment,
            commit=body.commit,
            by=body.by or request[CALLER],
            state=body.state,
            # A time to come would be judged by the holds of then.
            started_at=min(started, now),
            finished_at=min(finished, now),
            ref=body.ref,
            url=body.url or "",
            change=body.change,
            kind=body.kind,
            proof=body.proof,
            is_production=is_production(body.environment, body.production),
            actor=body.actor,
            run=body.run and f"api {body.run}",
            previous_commit=body.previous_commit,
            changes=_changes(body),
            lines_changed=body.lines_changed,
        )
        deployment = marked(deployment, request)
        recorded = await self._recorder.record(deployment, [service], request[CALLER], now)
        return deployment_response(recorded, status=201 if recorded else 200)


def _changes(body: DeploymentBody) -> tuple[CarriedChange, ...] | None:
    """Return each commit once, None if the report says nothing of them."""
    if body.changes is None:
        return None
    changes = {
        each.commit: CarriedChange(each.commit, each.title, each.change, each.authored_at, each.merged_at)
        for each in body.changes
    }
    return tuple(changes.values())


def deployment_response(recorded: list[str], *, status: int, ignored: str | None = None) -> web.Response:
    """Return the response that names the services for which it was new, or why it was ignored."""
    return web.json_response({"recorded": recorded, "ignored": ignored}, status=status)


def marked(deployment: Deployment, request: web.Request) -> Deployment:
    """Return the deployment as an agent's if an agent's token reported it, whatever the report says."""
    return replace(deployment, actor=Actor.AGENT) if is_agent(request) else deployment


def first_safe_url(*urls: str) -> str:
    """Return the first of the URLs that can be shown in Slack and Markdown; empty if none can."""
    return next((url for url in urls if len(url) <= LONGEST_URL and re.fullmatch(URL_PATTERN, url)), "")


def _fault(field: str, message: str) -> ProblemError:
    return ProblemError(422, message, errors=[{"field": field, "message": message}])
