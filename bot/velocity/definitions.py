"""What each delivery measure means, in one sentence that stands beside the number. Pure texts.

`docs/delivery-measures.md` explains each at length, under the heading that `anchor` names.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class MeasureDefinition:
    """A measure's key in the API, its name, what it counts, and the heading that explains it."""

    key: str
    name: str
    text: str
    anchor: str


LEAD_TIME: Final = MeasureDefinition(
    "lead_time",
    "Lead time for changes",
    "From when a change was committed to when it ran in production, for each change.",
    "lead-time-for-changes",
)
LEAD_TIME_FROM_MERGE: Final = MeasureDefinition(
    "lead_time_from_merge",
    "Lead time from merge",
    "From when a change was first on the default branch to when it ran in production, for each change.",
    "lead-time-for-changes",
)
DEPLOYMENT_FREQUENCY: Final = MeasureDefinition(
    "deployment_frequency",
    "Deployment frequency",
    "Deployments to production that succeeded; all jobs of one pipeline run are one.",
    "deployment-frequency",
)
RECOVERY_TIME: Final = MeasureDefinition(
    "failed_deployment_recovery_time",
    "Failed deployment recovery time",
    "From the end of a deployment that failed its users to when they were well again.",
    "failed-deployment-recovery-time",
)
CHANGE_FAIL_RATE: Final = MeasureDefinition(
    "change_fail_rate",
    "Change fail rate",
    "Deployments that needed a rollback, a revert or a fix at once, of all deployments.",
    "change-fail-rate",
)
REWORK_RATE: Final = MeasureDefinition(
    "rework_rate",
    "Deployment rework rate",
    "Deployments that were not planned but made because something failed, of all deployments.",
    "deployment-rework-rate",
)

DEFINITIONS: Final = (
    LEAD_TIME,
    LEAD_TIME_FROM_MERGE,
    DEPLOYMENT_FREQUENCY,
    RECOVERY_TIME,
    CHANGE_FAIL_RATE,
    REWORK_RATE,
)
"""All definitions, in the order in which they are shown."""

SHOWN: Final = (LEAD_TIME, DEPLOYMENT_FREQUENCY, RECOVERY_TIME, CHANGE_FAIL_RATE, REWORK_RATE)
"""The five measures; lead time from merge stands beside lead time."""
