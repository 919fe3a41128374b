"""Freeze windows of the policies: when services are held by the calendar. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bot.catalog.error_budget_policy import PolicyMode


@dataclass(frozen=True, slots=True)
class FreezeWindow:
    """A time in which `services` are held: `duration` long, first at `start`, then as `rule` says.

    `start` is a local time of the zone, without one of its own; `rule` is an RRULE of RFC 5545, None for a
    window that comes once. It does not come on the local days of `exceptions`.
    """

    name: str
    start: datetime
    time_zone: str
    duration: timedelta
    reason: str
    services: tuple[str, ...]
    rule: str | None = None
    exceptions: frozenset[date] = frozenset()
    mode: PolicyMode = PolicyMode.ENFORCE
