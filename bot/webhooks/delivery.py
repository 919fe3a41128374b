"""What is known of an endpoint and of a delivery to it. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class WebhookState(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How an endpoint stands: `cursor` is the last row of the audit log that deliveries were made of."""

    name: str
    cursor: int
    fingerprint: str
    removed_at: datetime | None
    disabled_at: datetime | None
    problem: str | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """An event for one endpoint. `status` and `answer` are of the last attempt, as is `error`."""

    id: int
    endpoint: str
    audit_id: int
    event_id: str
    event: str
    service: str | None
    state: WebhookState
    attempts: int
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None
    status: int | None
    answer: str | None
    error: str | None
    redelivered_by: str | None


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What one attempt brought: `error` is None where the event was taken."""

    status: int | None = None
    answer: str = ""
    error: str | None = None
    after: timedelta | None = None
    """When the receiver wants to be asked again, if it says so."""

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more events for good."""
        return self.status == 410
