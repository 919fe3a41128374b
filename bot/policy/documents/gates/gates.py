"""The `gates` of a Workspace document: how each platform that changes go through is reached."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from bot.policy.documents.gates.clusters import ClusterSpec
from bot.policy.documents.gates.github import GitHubGateSpec
from bot.policy.documents.gates.pipelines import GitLabGateSpec, TerraformGateSpec
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.faults import IT


class GatesSpec(Model):
    """The platforms that are held while a service is frozen."""

    github: GitHubGateSpec = GitHubGateSpec()
    """GitHub: deployments, merge queues and pull requests."""
    gitlab: GitLabGateSpec = GitLabGateSpec()
    """What waits at GitLab: freeze periods and external status checks."""
    terraform: TerraformGateSpec = TerraformGateSpec()
    """What waits at HCP Terraform, or Terraform Enterprise: run tasks."""
    kubernetes: Annotated[tuple[ClusterSpec, ...], Field(max_length=100)] = ()
    """Clusters in which changed pod templates and Argo CD's syncs wait, and canaries are steered."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that each cluster is named once."""
        seen: set[str] = set()
        for index, cluster in enumerate(self.kubernetes):
            if cluster.name in seen:
                yield BrokenRule(("kubernetes", index, "name"), f"{IT} is in this list twice", "each once")
            seen.add(cluster.name)
