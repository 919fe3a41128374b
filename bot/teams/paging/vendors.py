"""What each vendor takes: PagerDuty's Events API v2, Opsgenie's Alert API, Alertmanager's API v2. Pure.

All three tell repetitions by a key of ours: a page that is told twice is one.
https://developer.pagerduty.com/docs/events-api-v2/trigger-events/, https://docs.opsgenie.com/docs/alert-api,
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from bot.catalog.paging import PagingDestination, PagingVendor
from bot.teams.paging.page import BurnPage, PageEvent

REPEAT_EVERY = timedelta(minutes=1)
"""How often an Alertmanager is told that an alert still fires: it forgets alerts, also by restarting."""
_LASTS_FOR = timedelta(minutes=10)
_SOURCE = "Governor"
_SUMMARY = 1_024
_MESSAGE = 130
_DESCRIPTION = 15_000


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """A request to a vendor; `body` is JSON."""

    url: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def request_for(
    destination: PagingDestination, page: BurnPage, event: PageEvent, now: datetime, link: str | None = None
) -> VendorRequest:
    """Return the request that tells a vendor of a page; `link` leads to the service."""
    match destination.vendor:
        case PagingVendor.PAGERDUTY:
            return _pagerduty(destination, page, event, link)
        case PagingVendor.OPSGENIE:
            return _opsgenie(destination, page, event, link)
        case PagingVendor.ALERTMANAGER:
            return _alertmanager(destination, page, event, now, link)


def _pagerduty(
    destination: PagingDestination, page: BurnPage, event: PageEvent, link: str | None
) -> VendorRequest:
    body: dict[str, Any] = {
        "routing_key": destination.key,
        "event_action": str(event),
        "dedup_key": page.dedup_key,
    }
    if event is PageEvent.TRIGGER:
        body["payload"] = {
            "summary": page.summary[:_SUMMARY],
            "source": page.service,
            "severity": "critical",
            "timestamp": page.began_at.isoformat(),
            "component": page.slo,
            "group": page.service,
            "class": "error budget burn",
            "custom_details": dict(page.figures or {}),
        }
        body["client"] = _SOURCE
        if link is not None:
            body |= {"client_url": link, "links": [{"href": link, "text": f"{page.service} in Governor"}]}
    return VendorRequest(f"{destination.url}/v2/enqueue", body)


def _opsgenie(
    destination: PagingDestination, page: BurnPage, event: PageEvent, link: str | None
) -> VendorRequest:
    headers = {"Authorization": f"GenieKey {destination.key}"}
    alerts = f"{destination.url}/v2/alerts"
    if event is PageEvent.RESOLVE:
        url = f"{alerts}/{quote(page.dedup_key, safe='')}/close?identifierType=alias"
        return VendorRequest(url, {"source": _SOURCE, "note": "The burn alert has ended."}, headers)
    description = "\n".join([page.summary, *([link] if link is not None else [])])
    body = {
        "message": page.summary[:_MESSAGE],
        "alias": page.dedup_key,
        "description": description[:_DESCRIPTION],
        "entity": page.service,
        "source": _SOURCE,
        "priority": "P1",
        "tags": ["governor", page.service],
        "details": dict(page.figures or {}),
    }
    return VendorRequest(alerts, body, headers)


def _alertmanager(
    destination: PagingDestination, page: BurnPage, event: PageEvent, now: datetime, link: str | None
) -> VendorRequest:
    ends_at = now if event is PageEvent.RESOLVE else now + _LASTS_FOR
    alert: dict[str, Any] = {
        "labels": {
            "alertname": "ErrorBudgetBurn",
            "service": page.service,
            "slo": page.slo,
            "severity": "page",
        },
        "annotations": {"summary": page.summary},
        "startsAt": page.began_at.isoformat(),
        # An end before the beginning is refused.
        "endsAt": max(ends_at, page.began_at + timedelta(milliseconds=1)).isoformat(),
    }
    if link is not None:
        alert["generatorURL"] = link
    headers = dict(destination.headers)
    if destination.key is not None:
        headers["Authorization"] = f"Bearer {destination.key}"
    return VendorRequest(f"{destination.url}/api/v2/alerts", [alert], headers)
