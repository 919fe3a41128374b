"""Checks the systems that `page` alerts are handed over to, without waking anybody."""

import re
from collections.abc import Mapping, Sequence

import aiohttp

from bot.catalog.catalog import Catalog
from bot.catalog.paging import VENDOR_NAMES, PagingDestination, PagingVendor
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.formatting import counted
from bot.teams.paging.client import PagingClient, PagingError
from bot.teams.paging.vendors import VendorRequest

# https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: "32 Characters".
_ROUTING_KEY = re.compile(r"[0-9A-Za-z]{32}")


async def paging_findings(catalog: Catalog, session: aiohttp.ClientSession) -> list[Finding]:
    """Return what is wrong with each system, once for all services that use it alike."""
    client = PagingClient(session)
    findings = []
    for destination, services in _uses(catalog):
        findings.append(await _check(client, destination, services))
    return findings


def _uses(catalog: Catalog) -> Sequence[tuple[PagingDestination, Sequence[str]]]:
    uses: dict[tuple[object, ...], tuple[PagingDestination, list[str]]] = {}
    for name, service in catalog.services.items():
        for each in service.paging:
            same = (each.vendor, each.url, each.key, each.basic_auth, tuple(sorted(each.headers.items())))
            uses.setdefault(same, (each, []))[1].append(name)
    return list(uses.values())


async def _check(client: PagingClient, destination: PagingDestination, services: Sequence[str]) -> Finding:
    name = VENDOR_NAMES[destination.vendor]
    whose = services[0] if len(services) == 1 else counted(len(services), "service")
    subject = f"{name} ({whose})"
    fix = "see `paging` in the Workspace document and in the service's own"
    if destination.vendor is PagingVendor.PAGERDUTY:
        if not _ROUTING_KEY.fullmatch(destination.key or ""):
            detail = "the integration key does not have 32 letters and digits"
            return fault("paging", subject, detail, "copy the key of an `Events API V2` integration")
        return skipped("paging", subject, "has a key; PagerDuty only says whether it is right when it pages")
    try:
        await client.get(destination, _question(destination))
    except PagingError as error:
        return fault("paging", subject, str(error), fix)
    return ok("paging", subject, "answers")


def _question(destination: PagingDestination) -> VendorRequest:
    """Return a request that changes nothing."""
    if destination.vendor is PagingVendor.OPSGENIE:
        headers: Mapping[str, str] = {"Authorization": f"GenieKey {destination.key}"}
        return VendorRequest(f"{destination.url}/v2/alerts?limit=1", None, headers)
    headers = dict(destination.headers)
    if destination.key is not None:
        headers = {**headers, "Authorization": f"Bearer {destination.key}"}
    return VendorRequest(f"{destination.url}/api/v2/status", None, headers)
