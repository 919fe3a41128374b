"""Lists the deployments of a repository at GitHub with their outcomes.

https://docs.github.com/en/rest/deployments/deployments#list-deployments
https://docs.github.com/en/rest/deployments/statuses#list-deployment-statuses
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bot.deployments.actor import AgentAccounts, actor_at_github
from bot.deployments.deployment import Deployment, DeploymentState, is_production
from bot.deployments.github.client import GitHubClient, GitHubUnavailableError

OUTCOMES: Final = {
    "success": DeploymentState.SUCCEEDED,
    "failure": DeploymentState.FAILED,
    "error": DeploymentState.FAILED,
}
"""The states of GitHub's deployment statuses that end a deployment."""

_PAGE = 100
_RUN = re.compile(r"/actions/runs/(\d{1,18})(?:/|$)")
_SAFE_URL = re.compile(r"https?://[!#-;=?-\[\]-{}~]{1,490}")


class ListingPart(BaseModel):
    """A part of an answer, of which only what is named is read."""

    model_config = ConfigDict(extra="ignore")


class AccountPart(ListingPart):
    """Who made it."""

    login: str = Field(min_length=1, max_length=80)
    type: str | None = None


class ListedDeploymentPart(ListingPart):
    """A deployment of the list."""

    id: int = Field(ge=1, lt=10**18)
    sha: str = Field(pattern="^[0-9a-f]{40,64}$")
    ref: str = Field(max_length=255)
    environment: str = Field(min_length=1, max_length=255)
    created_at: AwareDatetime
    creator: AccountPart | None = None
    production_environment: bool | None = None
    performed_via_github_app: Any = None

    @property
    def key(self) -> str:
        """Its id among deployments, the same as by the webhook."""
        return f"github {self.id}"

    @property
    def is_production(self) -> bool:
        """Whether it went to production."""
        return is_production(self.environment, self.production_environment)


class ListedStatusPart(ListingPart):
    """How far a deployment had come."""

    state: str
    created_at: AwareDatetime
    creator: AccountPart | None = None
    environment: str | None = Field(None, max_length=255)
    target_url: str | None = None
    log_url: str | None = None


_DEPLOYMENTS = TypeAdapter(list[ListedDeploymentPart])
_STATUSES = TypeAdapter(list[ListedStatusPart])


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """A page of deployments, newest first, and the address of the next."""

    deployments: Sequence[ListedDeploymentPart]
    following: str | None


async def list_deployments(client: GitHubClient, repository: str, address: str | None) -> DeploymentPage:
    """Return the page at an address, the first for None; raises `GitHubError`."""
    if address is None:
        page = await client.first(f"{_path(repository)}/deployments", per_page=str(_PAGE))
    else:
        page = await client.following(address)
    return DeploymentPage(_read(_DEPLOYMENTS, page.body), page.following)


async def outcomes_of(
    client: GitHubClient, repository: str, listed: ListedDeploymentPart, agents: AgentAccounts
) -> Sequence[Deployment]:
    """Return how a deployment ended, each state as it was first told; none while it has not ended."""
    path = f"{_path(repository)}/deployments/{listed.id}/statuses"
    page = await client.first(path, per_page=str(_PAGE))
    statuses = _read(_STATUSES, page.body)
    first: dict[DeploymentState, ListedStatusPart] = {}
    for status in sorted(statuses, key=lambda each: each.created_at):
        if status.state in OUTCOMES:
            first.setdefault(OUTCOMES[status.state], status)
    run = next((match[1] for each in statuses if (match := _RUN.search(_urls(each)))), None)
    return [_outcome(repository, listed, state, first[state], run=run, agents=agents) for state in first]


def _outcome(
    repository: str,
    listed: ListedDeploymentPart,
    state: DeploymentState,
    status: ListedStatusPart,
    *,
    run: str | None,
    agents: AgentAccounts,
) -> Deployment:
    creator = status.creator or listed.creator
    login, kind = (creator.login, creator.type) if creator else (None, None)
    by_app = listed.performed_via_github_app is not None or run is not None
    url = status.target_url or status.log_url or ""
    return Deployment(
        id=listed.key,
        environment=status.environment or listed.environment,
        commit=listed.sha,
        by=f"{login or 'somebody'} at GitHub",
        state=state,
        started_at=min(listed.created_at, status.created_at),
        finished_at=status.created_at,
        ref=listed.ref,
        repository=repository,
        url=url if _SAFE_URL.fullmatch(url) else "",
        is_production=listed.is_production,
        actor=actor_at_github(login, kind, by_app=by_app, agents=agents),
        run=None if run is None else f"github {run}",
    )


def is_before(listed: ListedDeploymentPart, since: datetime) -> bool:
    """Return whether a deployment began before a time."""
    return listed.created_at < since


def _urls(status: ListedStatusPart) -> str:
    return f"{status.log_url or ''} {status.target_url or ''}"


def _path(repository: str) -> str:
    owner, _, name = repository.partition("/")
    return f"repos/{quote(owner, safe='')}/{quote(name, safe='')}"


def _read(adapter: TypeAdapter[list[Any]], body: Any) -> list[Any]:
    try:
        return adapter.validate_python(body)
    except ValidationError as error:
        raise GitHubUnavailableError("GitHub answered without a list of deployments") from error
