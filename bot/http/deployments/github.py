"""`POST /webhooks/github`: GitHub's deployment statuses, signed with a shared secret.

A relay that cannot sign sends a bearer token with the right instead.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, ConfigDict, Field

from bot.clock import Clock
from bot.deployments.actor import AgentAccounts, actor_at_github
from bot.deployments.deployment import Deployment, is_production
from bot.deployments.github.deployment_list import OUTCOMES
from bot.deployments.recorder import DeploymentRecorder
from bot.http.auth import CALLER, TokenVerifier, require_token
from bot.http.deployments.reports import Line, deployment_response, first_safe_url, marked
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import MOST_UNSIGNED_BYTES, Instant, read_body, read_bytes, read_json
from bot.http.request_text import FREE, RequestBody
from bot.http.response_models import DeploymentAnswer
from bot.http.rights import Right
from bot.incidents.issues.following import IssueLinks
from bot.incidents.issues.tracked import Tracker, UnknownIssueError, issue_of

GITHUB = "github"
"""The actor of signed deliveries in the audit log."""
SIGNATURE = "X-Hub-Signature-256"
"""The header with the signature."""

_RIGHT = Right.DEPLOYMENTS_WRITE
_MAX_PAYLOAD_TEXT = 200
_SETTING = "set GITHUB_WEBHOOK_SECRET where the bot runs, and the same secret in GitHub"


_ISSUE_STATES = {"closed": True, "reopened": False}


class _EventPart(RequestBody):
    model_config = ConfigDict(extra="ignore")


class DeploymentPart(_EventPart):
    """What is deployed. Of the payload, which is the sender's own, only texts of ours are read."""

    id: int = Field(ge=1, lt=10**18, strict=True)
    sha: str = Field(pattern="^[0-9a-f]{40,64}$")
    ref: Line = Field(min_length=1, max_length=255)
    created_at: Instant
    production_environment: bool | None = Field(None, strict=True)
    payload: Annotated[Any, FREE] = None
    performed_via_github_app: Annotated[Any, FREE] = None


class CreatorPart(_EventPart):
    """Who caused it: `type` is `User`, `Bot` or `Organization`."""

    login: Line = Field(min_length=1, max_length=80)
    type: Line | None = Field(None, max_length=50)


class WorkflowRunPart(_EventPart):
    """The run of GitHub Actions whose job it is."""

    id: int = Field(ge=1, lt=10**18, strict=True)


class StatusPart(_EventPart):
    """How far it has come."""

    state: Line = Field(max_length=50)
    environment: Line = Field(min_length=1, max_length=255)
    created_at: Instant
    creator: CreatorPart | None = None
    target_url: Annotated[Line, BeforeValidator(lambda url: url or "")] = Field("", max_length=2_000)


class RepositoryPart(_EventPart):
    """Whence it comes."""

    full_name: Line = Field(min_length=3, max_length=200)
    html_url: Line = Field(max_length=500)


class DeploymentStatusBody(_EventPart):
    """The event `deployment_status`."""

    deployment: DeploymentPart
    deployment_status: StatusPart
    repository: RepositoryPart
    workflow_run: WorkflowRunPart | None = None


class IssuePart(_EventPart):
    """The issue, by its page."""

    html_url: str = Field(max_length=1_000)


class IssuesBody(_EventPart):
    """The event `issues`."""

    action: Line = Field(max_length=50)
    issue: IssuePart


class GitHubWebhook:
    """GitHub's webhook. A repeated delivery changes nothing; several secrets are valid during a rotation."""

    def __init__(
        self,
        secrets: Sequence[str],
        recorder: DeploymentRecorder,
        clock: Clock,
        tokens: TokenVerifier,
        agents: AgentAccounts,
        *,
        issues: IssueLinks,
    ) -> None:
        self._issues = issues
        self._secrets = tuple(secrets)
        self._recorder = recorder
        self._agents = agents
        self._clock = clock
        self._post_with_token = require_token(tokens, self._record, _RIGHT)

    def add_routes(self, app: web.Application) -> None:
        """Add the route, which accepts a signature or, without one, a token."""
        add_operations(app, self)

    @Operation(
        "POST",
        "/webhooks/github",
        tag="webhooks",
        summary=f"GitHub's deployment statuses, signed by GitHub or with a token that has {_RIGHT}",
        body=DeploymentStatusBody,
        answers={202: DeploymentAnswer},
        refusals=BAD_BODY
        | {
            401: "The signature is not GitHub's, and the request has no valid token.",
            403: "The token does not have the right.",
            429: "The token was used too often.",
        },
    )
    async def _post(self, request: web.Request) -> web.StreamResponse:
        if SIGNATURE not in request.headers:
            if "Authorization" not in request.headers:
                raise ProblemError(401, f"send GitHub's signature in {SIGNATURE}, or a token: {_SETTING}")
            return await self._post_with_token(request)
        request = request.clone(client_max_size=MOST_UNSIGNED_BYTES)
        if not self._secrets:
            raise ProblemError(401, f"there is no secret to check the signature with: {_SETTING}")
        if not is_signed(await read_bytes(request), request.headers[SIGNATURE], self._secrets):
            raise ProblemError(401, f"the signature in {SIGNATURE} does not fit the body")
        request[CALLER] = GITHUB
        if request.headers.get("X-GitHub-Event") == "issues":
            return await self._follow_issue(request)
        return await self._record(request)

    async def _follow_issue(self, request: web.Request) -> web.Response:
        """Let actions follow the issue. A token has no right to that: only what GitHub signed counts."""
        body = read_body(IssuesBody, await read_json(request))
        if body.action not in _ISSUE_STATES:
            return deployment_response([], status=202, ignored="only closed and reopened issues are used")
        try:
            issue = issue_of(body.issue.html_url)
        except UnknownIssueError:
            return deployment_response([], status=202, ignored="the address is not that of an issue")
        is_closed = _ISSUE_STATES[body.action]
        await self._issues.follow(Tracker.GITHUB, issue.key, is_closed=is_closed, now=self._clock.now())
        return deployment_response([], status=202)

    async def _record(self, request: web.Request) -> web.Response:
        payload = await read_json(request)
        event = request.headers.get("X-GitHub-Event", "")
        if event != "deployment_status":
            return deployment_response(
                [], status=202, ignored="only deployment_status and signed issues are used"
            )
        body = read_body(DeploymentStatusBody, payload)
        if body.deployment_status.state not in OUTCOMES:
            return deployment_response([], status=202, ignored="the deployment has not ended yet")
        now = self._clock.now()
        deployment = marked(_deployment(body, self._agents, now), request)
        services = self._recorder.services_of(deployment.repository)
        if not services:
            return deployment_response([], status=202, ignored="no service names this repository")
        recorded = await self._recorder.record(deployment, services, request[CALLER], now)
        return deployment_response(recorded, status=202)


def is_signed(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Return whether the signature (`sha256=` and hex digits) fits; compares in constant time."""
    sent = signature.encode(errors="surrogatepass")
    matches = [
        hmac.compare_digest(
            sent, b"sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex().encode()
        )
        for secret in secrets
    ]
    return any(matches)


def _deployment(body: DeploymentStatusBody, agents: AgentAccounts, now: datetime) -> Deployment:
    deployment, status, repository = body.deployment, body.deployment_status, body.repository
    login, kind = (status.creator.login, status.creator.type) if status.creator else (None, None)
    by_app = deployment.performed_via_github_app is not None or body.workflow_run is not None
    return Deployment(
        id=f"github {deployment.id}",
        environment=status.environment,
        commit=deployment.sha,
        # A login alone could be taken for a Slack user id.
        by=f"{login or 'somebody'} at GitHub",
        state=OUTCOMES[status.state],
        # Our clock may be behind; a time to come would be judged by the holds of then.
        started_at=min(deployment.created_at, now),
        finished_at=min(status.created_at, now),
        ref=deployment.ref,
        repository=repository.full_name,
        url=first_safe_url(status.target_url, f"{repository.html_url}/commit/{deployment.sha}"),
        change=_payload_text(deployment.payload, "change"),
        kind=_payload_text(deployment.payload, "kind"),
        proof=_payload_text(deployment.payload, "proof"),
        is_production=is_production(status.environment, deployment.production_environment),
        actor=actor_at_github(login, kind, by_app=by_app, agents=agents),
        run=None if body.workflow_run is None else f"github {body.workflow_run.id}",
    )


def _payload_text(payload: object, name: str) -> str | None:
    value = payload.get(name) if isinstance(payload, Mapping) else None
    line = " ".join(value.split()) if isinstance(value, str) else ""
    return line if 0 < len(line) <= _MAX_PAYLOAD_TEXT else None
