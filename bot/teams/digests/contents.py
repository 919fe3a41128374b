"""What a digest or a stand-up line tells of the services of a channel. Pure; no clock, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from bot.budgets.budget import Budget
from bot.budgets.rolling import RollingHistory
from bot.catalog.digests import DigestKind
from bot.catalog.window import CalendarWindow, Span
from bot.deployments.deployment import Deployment, DeploymentState
from bot.flags.records.ramps import StoredRamp
from bot.freezes.hold import Hold
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.spending.observed_week import ObservedWeek
from bot.teams.reviews.review import FreezeReview
from bot.teams.rotations.outlook import ComingPeriod
from bot.teams.rotations.period import RotationPeriod
from bot.velocity.budget_cost import BudgetCost
from bot.velocity.goals.progress import GoalProgress
from bot.velocity.measures import DeliveryMeasures

LINGERING_AFTER: Final = timedelta(days=14)
"""How long a flag has stayed off or on for everybody when it is time to remove it."""
DUE_WITHIN: Final = {DigestKind.WEEKLY: timedelta(days=7), DigestKind.STAND_UP: timedelta()}
"""How many days ahead actions that are due are named."""
_NOTABLE: Final = 0.001


@dataclass(frozen=True, slots=True)
class LingeringFlag:
    """A flag that has long been off, or on for everybody, in an environment."""

    flag: str
    environment: str
    is_on: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class ServiceNews:
    """One service: how it stands, by how much each budget changed (by SLO), and what was deployed."""

    status: ServiceStatus
    changes: Mapping[str, float] = field(default_factory=dict)
    deployments: tuple[Deployment, ...] = ()
    observed: ObservedWeek | None = None

    @property
    def failed(self) -> int:
        """How many deployments failed."""
        return sum(each.state is DeploymentState.FAILED for each in self.deployments)

    @property
    def has_spent(self) -> bool:
        """Whether a budget is less than it was, or nothing of one is left."""
        fell = any(change <= -_NOTABLE for change in self.changes.values())
        worst = self.status.worst
        return fell or (worst is not None and worst.remaining is not None and worst.remaining <= 0)


@dataclass(frozen=True, slots=True)
class ServingNow:
    """The period of a rotation that is under way, and the one after it where that is told of."""

    period: RotationPeriod
    following: ComingPeriod | None = None


@dataclass(frozen=True, slots=True)
class DigestContents:
    """What happened in a span around the services of a channel, and what is to be done.

    `services` are those with the least budget left first. All of it may be read by everybody in the channel.
    `today` is the day there.
    """

    kind: DigestKind
    channel: str
    span: Span
    today: date
    services: tuple[ServiceNews, ...]
    incidents: tuple[Incident, ...] = ()
    actions: tuple[Action, ...] = ()
    lingering: tuple[LingeringFlag, ...] = ()
    ramps: tuple[StoredRamp, ...] = ()
    velocity: DeliveryMeasures | None = None
    goals: tuple[GoalProgress, ...] = ()
    serving: tuple[ServingNow, ...] = ()
    reviews: tuple[FreezeReview, ...] = ()
    costs: tuple[BudgetCost, ...] = ()
    """What deployments spent of the services' budgets, of a week."""

    @property
    def now(self) -> datetime:
        """The moment at which all of it was so."""
        return self.span.end

    @property
    def ending(self) -> tuple[tuple[str, Hold], ...]:
        """The holds that will end by themselves, with their services, those that end first before others."""
        found = [(each.status.service.name, hold) for each in self.services for hold in each.status.holds]
        return tuple(sorted((pair for pair in found if pair[1].until), key=_end_of))

    @property
    def deployments(self) -> int:
        """How many deployments to production there were; one of several services counts once."""
        return len(self._outcomes)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(state is DeploymentState.FAILED for _, state in self._outcomes)

    @property
    def _outcomes(self) -> set[tuple[str, DeploymentState]]:
        return {(each.id, each.state) for news in self.services for each in news.deployments}

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The incidents that somebody still works on."""
        return tuple(each for each in self.incidents if not each.status.is_over)

    @property
    def has_news(self) -> bool:
        """Whether there is anything to say.

        That budgets are whole is none: a channel in which nothing happens hears nothing.
        """
        happened = any(news.has_spent or news.deployments or news.status.holds for news in self.services)
        would_have = any(news.observed is not None and news.observed.times for news in self.services)
        return bool(happened or would_have or self.incidents or self.actions or self.lingering or self.ramps)


def change_of(budget: Budget, history: RollingHistory, span: Span) -> float | None:
    """Return by how much what is left of a budget changed since the span began; None if that is not known.

    Nor is it told of a calendar window that began within the span: it was whole then.
    """
    window = budget.slo.window
    if budget.remaining is None or not budget.is_known:
        return None
    if isinstance(window, CalendarWindow) and window.period(span.end).start > span.start:
        return None
    before = [point for point in history.points if point.at <= span.start]
    if not before or (history.whole_from is not None and before[-1].at < history.whole_from):
        return None
    return float(budget.remaining) - before[-1].remaining


def due_actions(actions: Sequence[Action], kind: DigestKind, today: date) -> tuple[Action, ...]:
    """Return the open actions that are overdue or due soon, and urgent ones that lack an owner or a date.

    Those that are due first come first.
    """
    until = today + DUE_WITHIN[kind]
    due = [each for each in actions if each.done_at is None and each.due is not None and each.due <= until]
    lacking = [each for each in actions if each.done_at is None and each.is_p0 and each.missing]
    found = {each.id: each for each in (*due, *(lacking if kind is DigestKind.WEEKLY else ()))}
    return tuple(sorted(found.values(), key=lambda each: (each.due or date.max, each.id)))


def told_incidents(incidents: Sequence[Incident], span: Span) -> tuple[Incident, ...]:
    """Return the incidents that began in the span or are not over, the newest first; false alarms are not."""
    told = [
        each
        for each in incidents
        if each.status.counts and (span.start <= each.opened_at < span.end or not each.status.is_over)
    ]
    return tuple(sorted(told, key=lambda each: each.id, reverse=True))


def _end_of(pair: tuple[str, Hold]) -> tuple[float, str]:
    service, hold = pair
    return (hold.until.timestamp() if hold.until else 0.0, service)
