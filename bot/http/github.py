"""`POST /webhooks/github`: GitHub's deployment statuses, signed with a secret that both sides know.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/webhooks/webhook-events-and-payloads#deployment_status
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clock import Clock
from bot.deployments.deployment import Deployment, State
from bot.deployments.recorder import Recorder
from bot.http.bodies import read_bytes, read_json
from bot.http.incidents import read_body
from bot.http.problems import Problem

GITHUB = "github"
"""The actor of what GitHub tells."""

_OUTCOMES = {"success": State.SUCCEEDED, "failure": State.FAILED, "error": State.FAILED}


# PostgreSQL keeps no NUL, and a line of the timeline holds no other control character either.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class DeploymentBody(_Part):
    """What is deployed."""

    id: int = Field(ge=1, lt=10**18)
    sha: str = Field(pattern="^[0-9a-f]{40,64}$")
    ref: Line = Field(min_length=1, max_length=255)
    created_at: AwareDatetime


class CreatorBody(_Part):
    """Who caused it."""

    login: Line = Field(min_length=1, max_length=100)


class StatusBody(_Part):
    """How far it has come."""

    state: Line = Field(max_length=50)
    environment: Line = Field(min_length=1, max_length=255)
    created_at: AwareDatetime
    creator: CreatorBody | None = None
    target_url: Line = Field("", max_length=2_000)


class RepositoryBody(_Part):
    """Whence it comes."""

    full_name: Line = Field(min_length=3, max_length=200)
    html_url: Line = Field(max_length=500)


class DeploymentStatusBody(_Part):
    """The event `deployment_status`."""

    deployment: DeploymentBody
    deployment_status: StatusBody
    repository: RepositoryBody


class GitHubWebhook:
    """Takes signed deliveries; a repeated one changes nothing. Several secrets let one be changed at ease."""

    def __init__(self, secrets: Sequence[str], recorder: Recorder, clock: Clock) -> None:
        self._secrets = tuple(secrets)
        self._recorder = recorder
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Add the route; the signature guards it."""
        app.router.add_post("/webhooks/github", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await read_bytes(request)
        if not self._secrets:
            raise Problem(401, "set GITHUB_WEBHOOK_SECRET where the bot runs, and the same secret at GitHub")
        if not is_signed(body, request.headers.get("X-Hub-Signature-256", ""), self._secrets):
            raise Problem(401, "the signature in X-Hub-Signature-256 does not fit the body")
        raw = await read_json(request)
        event = request.headers.get("X-GitHub-Event", "")
        if event != "deployment_status":
            return _ignored("only the event deployment_status is used")
        told = read_body(DeploymentStatusBody, raw)
        if told.deployment_status.state not in _OUTCOMES:
            return _ignored("the deployment has not ended yet")
        deployment = _deployment(told)
        if not self._recorder.services_of(deployment.repository):
            return _ignored("no service names this repository")
        recorded = await self._recorder.record(deployment, GITHUB, self._clock.now())
        return web.json_response({"recorded": list(recorded), "ignored": None}, status=202)


def is_signed(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Tell whether the signature (`sha256=` and hex digits) is one of the body, in constant time."""
    sent = signature.encode(errors="surrogatepass")
    fits = [
        hmac.compare_digest(
            sent, b"sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex().encode()
        )
        for secret in secrets
    ]
    return any(fits)


def _ignored(why: str) -> web.Response:
    return web.json_response({"recorded": [], "ignored": why}, status=202)


def _deployment(told: DeploymentStatusBody) -> Deployment:
    deployment, status, repository = told.deployment, told.deployment_status, told.repository
    return Deployment(
        id=f"github {deployment.id}",
        repository=repository.full_name,
        environment=status.environment,
        commit=deployment.sha,
        ref=deployment.ref,
        by=status.creator.login if status.creator else "somebody",
        url=status.target_url or f"{repository.html_url}/commit/{deployment.sha}",
        state=_OUTCOMES[status.state],
        started_at=deployment.created_at.astimezone(UTC),
        finished_at=status.created_at.astimezone(UTC),
    )
