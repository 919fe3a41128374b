"""`POST /webhooks/github`: GitHub's deployment statuses, signed with a secret that both sides know.

Where a relay that cannot sign stands between, a token with the right serves instead.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.clock import Clock
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.recorder import DeploymentRecorder
from bot.http.auth import CALLER, TokenVerifier, require_token
from bot.http.deployments import LONGEST_URL, PAGE, Line, is_production, told
from bot.http.incidents import read_body
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import Instant, read_bytes, read_json
from bot.http.response_models import DeploymentAnswer
from bot.http.rights import Right

GITHUB = "github"
"""The actor of what GitHub signed."""
SIGNATURE = "X-Hub-Signature-256"

_RIGHT = Right.DEPLOYMENTS_WRITE
_LONGEST_SAID = 200
_OUTCOMES = {
    "success": DeploymentState.SUCCEEDED,
    "failure": DeploymentState.FAILED,
    "error": DeploymentState.FAILED,
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class DeploymentPart(_Part):
    """What is deployed. Of the payload, which is the sender's own, only texts of ours are read."""

    id: int = Field(ge=1, lt=10**18)
    sha: str = Field(pattern="^[0-9a-f]{40,64}$")
    ref: Line = Field(min_length=1, max_length=255)
    created_at: Instant
    production_environment: bool | None = None
    payload: Any = None


class CreatorPart(_Part):
    """Who caused it."""

    login: Line = Field(min_length=1, max_length=80)


class StatusPart(_Part):
    """How far it has come."""

    state: Line = Field(max_length=50)
    environment: Line = Field(min_length=1, max_length=255)
    created_at: Instant
    creator: CreatorPart | None = None
    target_url: Line = Field("", max_length=2_000)


class RepositoryPart(_Part):
    """Whence it comes."""

    full_name: Line = Field(min_length=3, max_length=200)
    html_url: Line = Field(max_length=500)


class DeploymentStatusBody(_Part):
    """The event `deployment_status`."""

    deployment: DeploymentPart
    deployment_status: StatusPart
    repository: RepositoryPart


class GitHubWebhook:
    """Takes signed deliveries; a repeated one changes nothing. Several secrets let one be changed at ease."""

    def __init__(
        self, secrets: Sequence[str], recorder: DeploymentRecorder, clock: Clock, tokens: TokenVerifier
    ) -> None:
        self._secrets = tuple(secrets)
        self._recorder = recorder
        self._clock = clock
        self._by_token = require_token(tokens, self._take, _RIGHT)

    def add_routes(self, app: web.Application) -> None:
        """Add the route; the signature guards it, or a token where there is none."""
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
            401: "The signature is not GitHub's, and there is no valid token.",
            403: "The token lacks the right.",
            429: "The token was used too often.",
        },
    )
    async def _let_in(self, request: web.Request) -> web.StreamResponse:
        if SIGNATURE not in request.headers:
            if "Authorization" not in request.headers:
                raise ProblemError(401, f"send GitHub's signature in {SIGNATURE}, or a token: {_SETTING}")
            return await self._by_token(request)
        if not self._secrets:
            raise ProblemError(401, f"there is no secret to check the signature with: {_SETTING}")
        if not is_signed(await read_bytes(request), request.headers[SIGNATURE], self._secrets):
            raise ProblemError(401, f"the signature in {SIGNATURE} does not fit the body")
        request[CALLER] = GITHUB
        return await self._take(request)

    async def _take(self, request: web.Request) -> web.Response:
        raw = await read_json(request)
        event = request.headers.get("X-GitHub-Event", "")
        if event != "deployment_status":
            return told([], status=202, ignored="only the event deployment_status is used")
        body = read_body(DeploymentStatusBody, raw)
        if body.deployment_status.state not in _OUTCOMES:
            return told([], status=202, ignored="the deployment has not ended yet")
        deployment = _deployment(body)
        services = self._recorder.services_of(deployment.repository)
        if not services:
            return told([], status=202, ignored="no service names this repository")
        recorded = await self._recorder.record(deployment, services, request[CALLER], self._clock.now())
        return told(recorded, status=202)


_SETTING = "set GITHUB_WEBHOOK_SECRET where the bot runs, and the same secret at GitHub"


def is_signed(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Return whether the signature (`sha256=` and hex digits) is one of the body, in constant time."""
    sent = signature.encode(errors="surrogatepass")
    fits = [
        hmac.compare_digest(
            sent, b"sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex().encode()
        )
        for secret in secrets
    ]
    return any(fits)


def _deployment(told: DeploymentStatusBody) -> Deployment:
    deployment, status, repository = told.deployment, told.deployment_status, told.repository
    return Deployment(
        id=f"github {deployment.id}",
        environment=status.environment,
        commit=deployment.sha,
        # A login may read like a Slack user id, which it is not.
        by=f"{status.creator.login if status.creator else 'somebody'} at GitHub",
        state=_OUTCOMES[status.state],
        started_at=deployment.created_at,
        finished_at=status.created_at,
        ref=deployment.ref,
        repository=repository.full_name,
        url=_page(status.target_url, f"{repository.html_url}/commit/{deployment.sha}"),
        change=_said(deployment.payload, "change"),
        kind=_said(deployment.payload, "kind"),
        is_production=is_production(status.environment, deployment.production_environment),
    )


def _said(payload: object, name: str) -> str | None:
    value = payload.get(name) if isinstance(payload, Mapping) else None
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_SAID else None


def _page(*addresses: str) -> str:
    """Return the first of the addresses that can be shown; empty if none can."""
    fitting = (one for one in addresses if len(one) <= LONGEST_URL and re.fullmatch(PAGE, one))
    return next(fitting, "")
