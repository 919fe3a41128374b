"""Where `page` alerts are handed over to, as plain values: PagerDuty, Opsgenie, an Alertmanager."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PagingVendor(StrEnum):
    """A system that wakes people."""

    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"
    ALERTMANAGER = "alertmanager"


VENDOR_NAMES: Mapping[PagingVendor, str] = {
    PagingVendor.PAGERDUTY: "PagerDuty",
    PagingVendor.OPSGENIE: "Opsgenie",
    PagingVendor.ALERTMANAGER: "Alertmanager",
}


@dataclass(frozen=True, slots=True)
class PagingDestination:
    """One vendor's address, and what requests to it must carry."""

    vendor: PagingVendor
    url: str
    key: str | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
