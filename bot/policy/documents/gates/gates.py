"""The `gates` of a Workspace document: how each platform that changes go through is reached."""

from bot.policy.documents.model import Model


class GatesSpec(Model):
    """The platforms that are held while a service is frozen."""
