"""A deployment and its outcome, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One outcome of one deployment of a repository. `by` is a login there, `url` where to read more.

    `id` is the deployment's own: with the state it tells this outcome from all others.
    """

    id: str
    repository: str
    environment: str
    commit: str
    ref: str
    by: str
    url: str
    state: State
    started_at: datetime
    finished_at: datetime

    @property
    def subject(self) -> str:
        """Name what went where: `3f1c2ab to production`."""
        return f"{self.commit[:7]} to {self.environment}"

    @property
    def reason(self) -> str:
        """Say from what, by whom, and where to read more."""
        return f"{self.ref} of {self.repository} by {self.by} {self.url}"
