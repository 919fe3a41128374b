"""Incidents made of a few words."""

from dataclasses import replace
from typing import Any

from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, Severity, Status
from tests.support.clock import MINUTE, NOW


def incident(**fields: Any) -> Incident:
    """Make a sev2 incident of checkout that began 15 minutes ago and was opened 12 minutes ago."""
    made = Incident(
        id=1,
        key="k",
        title="Checkout 500s",
        severity=Severity.SEV2,
        status=Status.INVESTIGATING,
        services=("checkout",),
        private=False,
        opened_by="U0DANA",
        opened_at=NOW - 12 * MINUTE,
        impacts=(Impact(NOW - 15 * MINUTE, None, 1.0, assumed=True),),
        marker="governor-1",
    )
    return replace(made, **fields)
