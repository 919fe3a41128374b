"""A freeze, the review that both teams give it, and what keeps them from agreeing. Pure; no clock, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.catalog.catalog import Service
from bot.catalog.teams import Team
from bot.incidents.action import Action


class TeamSide(StrEnum):
    """The two teams that share a service."""

    DEVELOPMENT = "development"
    RELIABILITY = "reliability"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Who agreed for a side, a Slack user id, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReviewedWork:
    """A piece of reliability work: `why` is what it follows from, `action` its number once it is owned."""

    text: str
    why: str = ""
    action: int | None = None


@dataclass(frozen=True, slots=True)
class FreezeReview:
    """A freeze of a service, and its review once that was asked for."""

    id: int
    service: str
    hold_id: int
    began_at: datetime
    ended_at: datetime | None = None
    asked_at: datetime | None = None
    escalated_at: datetime | None = None
    work: tuple[ReviewedWork, ...] = ()
    agreed: Mapping[TeamSide, Agreement] = field(default_factory=dict)

    @property
    def is_agreed(self) -> bool:
        """Whether both sides have agreed."""
        return len(self.agreed) == len(TeamSide)

    @property
    def is_open(self) -> bool:
        """Whether both sides are asked, and the freeze lasts."""
        return self.asked_at is not None and self.ended_at is None

    @property
    def action_ids(self) -> tuple[int, ...]:
        """The numbers of the actions that the work has become."""
        return tuple(each.action for each in self.work if each.action is not None)


class ReviewObstacle(StrEnum):
    """Why a side cannot agree yet, as a message for the person who tried."""

    NOT_OPEN = "This review is over: the freeze has ended."
    NO_WORK = (
        "There is nothing to agree on yet. Fill in the work first: at least one item, its owner and a date."
    )
    NOT_OWNED = "Some work lacks an owner or a date. Fill it in first."


def obstacle(review: FreezeReview, actions: Sequence[Action]) -> ReviewObstacle | None:
    """Return what keeps a side from agreeing; None if nothing does. `actions` are those of the work."""
    if not review.is_open:
        return ReviewObstacle.NOT_OPEN
    if not actions:
        return ReviewObstacle.NO_WORK
    if any(action.missing for action in actions if action.done_at is None):
        return ReviewObstacle.NOT_OWNED
    return None


def leads_of(service: Service, side: TeamSide) -> Team:
    """Return who leads a side of a service: its leads, its team where none are named, perhaps nobody."""
    if side is TeamSide.DEVELOPMENT:
        return service.leads.development or service.teams.development
    return service.leads.reliability or service.teams.reliability
