"""The body of Argo CD's notifications, and what it says of a deployment. Pure; no clock, no I/O.

What an application lacks is null there, as `toJson` of the template in docs/deployments.md makes it.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field

from bot.deployments.actor import Actor, AgentAccounts
from bot.deployments.deployment import DeploymentState
from bot.http.deployments.reports import Line
from bot.http.request_body import TextInstant
from bot.http.request_text import RequestBody

OUTCOMES: Final = {
    "Succeeded": DeploymentState.SUCCEEDED,
    "Failed": DeploymentState.FAILED,
    "Error": DeploymentState.FAILED,
}
"""The phases of Argo CD's operations that end a sync."""

_LONGEST_COMMIT = 64
_LONGEST_NAME = 120
_REPOSITORY = re.compile(r"[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", re.ASCII)
_OF_PROJECT = "proj:"
"""How the name of whoever uses a project's token begins."""


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if _none_if_blank(each) is not None}
    return {} if value is None else value


def _list_without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [each for each in value if _none_if_blank(each) is not None]
    return [] if value is None else value


OptionalLine = Annotated[Line | None, BeforeValidator(_none_if_blank)]
OptionalInstant = Annotated[TextInstant | None, BeforeValidator(_none_if_blank)]
Marks = Annotated[dict[str, Line], BeforeValidator(_without_nulls)]
"""Labels or annotations."""


class ArgoPart(RequestBody):
    """A part of a notification, of which only what is named is read."""

    model_config = ConfigDict(extra="ignore")


class ArgoSourcePart(ArgoPart):
    """Whence manifests come: a Git repository, or the `chart` of a Helm repository."""

    repoURL: OptionalLine = Field(None, max_length=1_000)  # noqa: N815 - Argo CD's words
    chart: OptionalLine = Field(None, max_length=255)

    @property
    def repository(self) -> str:
        """The Git repository as `owner/name`; empty for a chart."""
        return "" if self.chart else repository_of(self.repoURL or "")


class ArgoSyncBody(ArgoPart):
    """How a sync of an application ended. With several sources, `revisions` has one for each of `sources`."""

    app: Line = Field(min_length=1, max_length=255)
    namespace: OptionalLine = Field(None, max_length=255)
    phase: OptionalLine = Field(None, max_length=50)
    labels: Marks = Field(default_factory=dict)
    annotations: Marks = Field(default_factory=dict)
    revision: OptionalLine = Field(None, max_length=255)
    revisions: Annotated[list[Line], BeforeValidator(_list_without_nulls)] = Field(
        default_factory=list, max_length=100
    )
    source: ArgoSourcePart | None = None
    sources: Annotated[list[ArgoSourcePart], BeforeValidator(_list_without_nulls)] = Field(
        default_factory=list, max_length=100
    )
    startedAt: OptionalInstant = None  # noqa: N815
    finishedAt: OptionalInstant = None  # noqa: N815
    dryRun: bool | None = None  # noqa: N815
    username: OptionalLine = Field(None, max_length=255)
    automated: bool | None = None
    url: OptionalLine = Field(None, max_length=2_000)

    @property
    def all_revisions(self) -> Sequence[str]:
        """What was synced, one for each source."""
        return self.revisions or ([self.revision] if self.revision else [])

    @property
    def all_sources(self) -> Sequence[ArgoSourcePart]:
        """The sources, in the order of the revisions."""
        return self.sources or ([self.source] if self.source is not None else [])

    def mark(self, name: str) -> str | None:
        """Return what the annotation `governor/NAME` says, else the label; None if there is neither."""
        name = f"governor/{name}"
        value = self.annotations.get(name) or self.labels.get(name)
        return value and value.strip()[:200]

    @property
    def prefix(self) -> str:
        """The beginning of the ids of all deployments of the application."""
        name = f"{self.namespace or 'argocd'}/{self.app}"
        if len(name) > _LONGEST_NAME:
            name = _digest([name], 40)
        return f"argocd {name} "

    @property
    def version_prefix(self) -> str:
        """The beginning of the ids of all deployments of these very revisions."""
        return f"{self.prefix}{_digest([*self.all_revisions, self.mark('commit') or ''], 12)} "

    @property
    def id(self) -> str:
        """The id of the deployment: each sync is another one."""
        at = self.startedAt or self.finishedAt
        return f"{self.version_prefix}{at.isoformat() if at else ''}".strip()

    def commit_of(self, repository: str) -> tuple[str, str]:
        """Return what was deployed, and the Git repository that it is of, empty if that is not known.

        Of several sources the one in `repository` counts, else the first one in Git, else the first.
        """
        named = self.mark("commit")
        if named is not None:
            return named[:_LONGEST_COMMIT], ""
        revisions, sources = self.all_revisions, self.all_sources[: len(self.all_revisions)]
        folded = repository.casefold()
        own = [at for at, source in enumerate(sources) if folded and source.repository.casefold() == folded]
        in_git = [at for at, source in enumerate(sources) if source.repository]
        at = next(iter([*own, *in_git, 0]))
        commit = revisions[at].removeprefix("sha256:")[:_LONGEST_COMMIT]
        return commit, sources[at].repository if sources else ""

    def actor(self, agents: AgentAccounts) -> Actor:
        """Return who synced: Argo CD itself and tokens of projects are pipelines."""
        if self.automated or self.username is None or self.username.startswith(_OF_PROJECT):
            return Actor.PIPELINE
        return Actor.AGENT if self.username in agents else Actor.PERSON


def repository_of(url: str) -> str:
    """Return `owner/name` of the address of a Git repository, by HTTPS or SSH; empty if it has none."""
    match = _REPOSITORY.search(url.strip())
    return match[1] if match else ""


def _digest(texts: Sequence[str], length: int) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:length]
