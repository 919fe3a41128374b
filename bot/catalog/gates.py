"""How the platforms that changes go through are reached, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.catalog.clusters import ClusterSettings


class GateUnavailable(StrEnum):
    """What a pipeline does with a change to a service while the gate cannot be asked."""

    OPEN = "open"
    """It goes on: an outage of Governor stops nobody."""
    CLOSED = "closed"
    """It does not: nothing ships unasked."""


class OnFreeze(StrEnum):
    """What is done with what waits on a platform while a service is frozen."""

    WAIT = "wait"
    """It goes on waiting, and is let through when the freeze ends."""
    REJECT = "reject"
    """It is refused, and must be started again."""


class PullRequestChecks(StrEnum):
    """What the check on a pull request does while a service is frozen."""

    INFORM = "inform"
    """It says so, and holds nothing up."""
    WAIT = "wait"
    """It stays open until the freeze ends."""
    NONE = "none"
    """There is none."""


@dataclass(frozen=True, slots=True)
class GitHubRepository:
    """The services that are deployed from a repository to some of its environments; to all without any."""

    repository: str
    services: tuple[str, ...]
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GitHubLabel:
    """A label that proves the `kind` of a pull request where a member of the team (`org/team`) has set it."""

    label: str
    kind: str
    team: str


@dataclass(frozen=True, slots=True)
class GitHubGateSettings:
    """How what waits at GitHub is held. `people` maps logins, in lower case, to Slack members."""

    on_freeze: OnFreeze = OnFreeze.WAIT
    pull_requests: PullRequestChecks = PullRequestChecks.INFORM
    check_name: str = "Governor"
    repositories: tuple[GitHubRepository, ...] = ()
    labels: tuple[GitHubLabel, ...] = ()
    people: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GitLabProject:
    """The services that a project of GitLab (`group/name`) deploys, and to where."""

    project: str
    services: tuple[str, ...]
    environment: str
    freeze_periods: bool = True


@dataclass(frozen=True, slots=True)
class TerraformWorkspace:
    """The services that a workspace of HCP Terraform (`organization/name`) changes, and where they run."""

    workspace: str
    services: tuple[str, ...]
    environment: str


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The platforms of the workspace. What is secret in their settings is left out of their `repr`."""

    github: GitHubGateSettings = GitHubGateSettings()
    clusters: tuple[ClusterSettings, ...] = ()
    gitlab: tuple[GitLabProject, ...] = ()
    terraform: tuple[TerraformWorkspace, ...] = ()


NO_GATES = GateSettings()
