"""The `gates` of a Workspace document: how each platform that changes go through is reached."""

from bot.policy.documents.gates.github import GitHubGateSpec
from bot.policy.documents.model import Model


class GatesSpec(Model):
    """The platforms that are held while a service is frozen."""

    github: GitHubGateSpec = GitHubGateSpec()
    """GitHub: deployments, merge queues and pull requests."""
