"""Builds where signed events go from the Workspace document. Pure."""

from collections.abc import Mapping

from bot.catalog.catalog import Service
from bot.catalog.webhooks import WebhookEndpoint
from bot.policy.documents.gates.webhooks import WebhookSpec, secrets_in
from bot.policy.documents.workspace import WorkspaceSpec


def webhooks_of(spec: WorkspaceSpec, services: Mapping[str, Service]) -> Mapping[str, WebhookEndpoint]:
    """Return the endpoints by their names."""
    return {
        name: WebhookEndpoint(
            name, each.url, secrets_in(each.secret), each.events, _services_of(each, services)
        )
        for name, each in sorted(spec.webhooks.items())
    }


def _services_of(spec: WebhookSpec, services: Mapping[str, Service]) -> frozenset[str] | None:
    if spec.services is None and not spec.labels:
        return None
    labelled = (
        name
        for name, service in services.items()
        if spec.labels and spec.labels.items() <= service.labels.items()
    )
    return frozenset([*(spec.services or ()), *labelled])
