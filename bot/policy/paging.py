"""Builds where `page` alerts are handed over to, for the workspace and for each service. Pure."""

from collections.abc import Sequence

from bot.catalog.paging import PagingDestination, PagingVendor
from bot.policy.documents.paging import (
    AlertmanagerSpec,
    OpsgenieSpec,
    PagerDutySpec,
    PagingSpec,
    ServicePagingSpec,
)


def destinations_of(service: ServicePagingSpec, workspace: PagingSpec) -> Sequence[PagingDestination]:
    """Return to whom a service's pages go; a vendor without a key of either is left out."""
    found = []
    pagerduty = workspace.pagerduty or PagerDutySpec()
    if key := service.pagerduty or pagerduty.routing_key:
        found.append(PagingDestination(PagingVendor.PAGERDUTY, pagerduty.url, key))
    opsgenie = workspace.opsgenie or OpsgenieSpec()
    if key := service.opsgenie or opsgenie.api_key:
        found.append(PagingDestination(PagingVendor.OPSGENIE, opsgenie.url, key))
    if workspace.alertmanager is not None:
        found.append(_alertmanager(workspace.alertmanager))
    return found


def _alertmanager(spec: AlertmanagerSpec) -> PagingDestination:
    auth = None if spec.username is None else (spec.username, spec.password or "")
    return PagingDestination(PagingVendor.ALERTMANAGER, spec.url, spec.bearer_token, auth, dict(spec.headers))
