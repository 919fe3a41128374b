"""A personal notice: something that those who asked for it are told of in a direct message. Pure.

It is stored as a due task, in the transaction of what it is about; who gets it is found when it is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

PERSONAL_NOTICES: Final = "personal notices"
"""The kind of the tasks that tell people."""


class PersonalTopic(StrEnum):
    """What a person may be told of."""

    SERVICES = "services"
    """A service of theirs freezes, opens or burns fast enough to page."""
    ACTIONS = "actions"
    """An action of theirs is due."""
    APPROVALS = "approvals"
    """Something waits for approval that they may approve."""
    INCIDENTS = "incidents"
    """An incident of a service of theirs was opened."""


class ApprovalRight(StrEnum):
    """The permission that somebody needs to approve what waits."""

    EXEMPT = "exempt"
    ADJUST = "adjust"
    FLAGS = "flags"


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """What waits, as `kind:number`; a right to change flags is that of an `environment`."""

    request: str
    right: ApprovalRight
    environment: str = ""


@dataclass(frozen=True, slots=True)
class PersonalNotice:
    """What people are told; `text` is mrkdwn, empty for an incident, whose state is read when it is told.

    It concerns `services`. `by` is who caused it, who is not told. `until` is when the quiet hours end that
    hold it, None if it goes at once.
    """

    topic: PersonalTopic
    services: tuple[str, ...]
    text: str = ""
    by: str | None = None
    until: datetime | None = None
    approval: ApprovalNeeded | None = None
    incident: int | None = None

    def payload(self, at: datetime) -> dict[str, Any]:
        """Return it as JSON, with the time when it happened."""
        approval = self.approval
        return {
            "topic": self.topic.value,
            "services": list(self.services),
            "text": self.text,
            "by": self.by,
            "held": self.until is not None,
            "at": at.isoformat(),
            "approval": [approval.request, approval.right.value, approval.environment] if approval else None,
            "incident": self.incident,
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "PersonalNotice":
        """Read what `payload` returned; when it was held until is not part of it."""
        approval = None
        if payload["approval"] is not None:
            request, right, environment = payload["approval"]
            approval = ApprovalNeeded(request, ApprovalRight(right), environment)
        return cls(
            PersonalTopic(payload["topic"]),
            tuple(payload["services"]),
            payload["text"],
            payload["by"],
            approval=approval,
            incident=payload["incident"],
        )
