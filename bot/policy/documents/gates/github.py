"""The model of `gates.github`: how deployments, merge queues and pull requests at GitHub are held."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bot.policy.documents.fields import (
    ChangeKind,
    GitHubLogin,
    GitHubName,
    GitHubTeam,
    Person,
    Repository,
    Slug,
)
from bot.policy.documents.model import BrokenRule, Model


class GitHubRepositorySpec(Model):
    """What is deployed from a repository."""

    repository: Repository
    """The repository, `owner/name`."""
    services: tuple[Slug, ...] = Field(min_length=1)
    """The services that are held."""
    environments: tuple[GitHubName, ...] = ()
    """Environments at GitHub to which these services are deployed; all of them if left out."""


class GitHubLabelSpec(Model):
    """A label that proves of which kind a pull request is."""

    label: GitHubName
    """Name of the label at GitHub."""
    kind: ChangeKind
    """The kind that it proves, one of the `exemptions` of an error budget policy."""
    team: GitHubTeam
    """The team, `org/team`, of which whoever set the label must be a member."""


class GitHubGateSpec(Model):
    """GitHub, where Governor's App is installed."""

    on_freeze: Literal["wait", "reject"] = "wait"
    """What becomes of deployments and merge groups in a freeze: `wait`, or `reject`, which fails the run."""
    pull_requests: Literal["inform", "wait", "none"] = "inform"
    """The check on a pull request in a freeze: `inform` says it, `wait` holds it, `none` is no check."""
    check_name: GitHubName = "Governor"
    """Name of the check, as rules require it."""
    repositories: tuple[GitHubRepositorySpec, ...] = ()
    """What is deployed from which repository, where the `repository` of services does not say it."""
    labels: tuple[GitHubLabelSpec, ...] = ()
    """Labels that prove of which kind a pull request is."""
    people: dict[GitHubLogin, Person] = Field(default_factory=dict)
    """Who people at GitHub are in Slack, so that nobody approves what they asked for at GitHub."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that no label proves two kinds."""
        seen: set[str] = set()
        for index, each in enumerate(self.labels):
            if each.label.casefold() in seen:
                yield BrokenRule(("labels", index, "label"), "this label is named twice")
            seen.add(each.label.casefold())
