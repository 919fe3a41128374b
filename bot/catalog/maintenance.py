"""Maintenance windows of the policies, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A time that is planned and does not count: `duration` long, first at `start`, then as `rule` says.

    `start` is a local time of the zone, without one of its own; `rule` is an RRULE of RFC 5545, None for a
    window that comes once. `counts` is what becomes of its events, `dropped` or `good`; `slo` None means all
    SLOs of the service.
    """

    name: str
    start: datetime
    time_zone: str
    duration: timedelta
    counts: str
    reason: str
    rule: str | None = None
    slo: str | None = None
