"""The quiet hours that several services share. Pure; no clock, no I/O."""

from collections.abc import Iterable
from datetime import datetime

from bot.catalog.catalog import Service
from bot.catalog.notify import zone_of


def all_quiet_until(services: Iterable[Service], at: datetime) -> datetime | None:
    """Return when the quiet hours of the first of some services end; None if it is not quiet for all."""
    ends = [each.error_budget_policy.notify.quiet_until(at, zone_of(each)) for each in services]
    return min((end for end in ends if end is not None), default=None) if None not in ends else None
