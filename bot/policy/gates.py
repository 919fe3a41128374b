"""Turns the `gates` of a Workspace document into plain values."""

from bot.catalog.gates import (
    GateSettings,
    GitHubGateSettings,
    GitHubLabel,
    GitHubRepository,
    GitLabProject,
    OnFreeze,
    PullRequestChecks,
    TerraformWorkspace,
)
from bot.policy.documents.gates.gates import GatesSpec
from bot.policy.documents.gates.github import GitHubGateSpec


def gates_of(spec: GatesSpec) -> GateSettings:
    """Return how the platforms are reached."""
    return GateSettings(
        github=_github(spec.github),
        clusters=tuple(cluster.settings() for cluster in spec.kubernetes),
        gitlab=tuple(
            GitLabProject(each.project, each.services, each.environment, each.freeze_periods)
            for each in spec.gitlab.projects
        ),
        terraform=tuple(
            TerraformWorkspace(each.workspace, each.services, each.environment)
            for each in spec.terraform.workspaces
        ),
    )


def _github(spec: GitHubGateSpec) -> GitHubGateSettings:
    return GitHubGateSettings(
        on_freeze=OnFreeze(spec.on_freeze),
        pull_requests=PullRequestChecks(spec.pull_requests),
        check_name=spec.check_name,
        repositories=tuple(
            GitHubRepository(each.repository, each.services, each.environments) for each in spec.repositories
        ),
        labels=tuple(GitHubLabel(each.label, each.kind, each.team) for each in spec.labels),
        people={login.casefold(): person for login, person in spec.people.items()},
    )
