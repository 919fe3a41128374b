"""What can happen to a service's holds: the values that decision, audit and announcement share.

Each transition carries the figures it was decided on, so that its announcement needs no further reads.
Pure; no clock, no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.budget import Budget
from bot.budgets.statistics.forecast import BudgetForecast
from bot.catalog.error_budget_policy import BurnAlert, ErrorBudgetPolicy, UnmetRequirement
from bot.freezes.hold import Hold


@dataclass(frozen=True, slots=True)
class BudgetWarned:
    """The budget fell to a warning level or below it. `level` is the fraction that was crossed."""

    level: Decimal
    budget: Budget


@dataclass(frozen=True, slots=True)
class BurnAlertFired:
    """The budget is being spent too fast, in the alert's long window and in its short one."""

    alert: BurnAlert
    budget: Budget
    long_burn: Decimal
    short_burn: Decimal


@dataclass(frozen=True, slots=True)
class BudgetExhausted:
    """The budget crossed `freezeAt`: the bot puts its own hold on the service."""

    budget: Budget
    policy: ErrorBudgetPolicy


@dataclass(frozen=True, slots=True)
class DataMissing:
    """An SLO cannot be measured and its policy says to freeze then."""

    budget: Budget
    policy: ErrorBudgetPolicy


@dataclass(frozen=True, slots=True)
class BudgetRecovered:
    """Every budget stayed at or above `unfreezeAt` for `dwell`: the bot lifts its own hold."""

    budget: Budget
    hold: Hold
    recovered_since: datetime


@dataclass(frozen=True, slots=True)
class HoldRetained:
    """The budgets are back for long enough, but what else the policy requires is not met: the hold stays."""

    budget: Budget
    hold: Hold
    missing: tuple[UnmetRequirement, ...]


@dataclass(frozen=True, slots=True)
class EnforcementBegan:
    """A hold that only observed becomes real: its policy is enforced now.

    `cause` is the budget that freezes the service now, or the SLO that cannot be measured; None where the
    hold stays from before.
    """

    hold: Hold
    policy: ErrorBudgetPolicy
    cause: "BudgetExhausted | DataMissing | None" = None


@dataclass(frozen=True, slots=True)
class EnforcementEnded:
    """A hold stops nothing any more: its policy only observes now."""

    hold: Hold
    policy: ErrorBudgetPolicy


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """A person put a hold on the service, perhaps in place of their own earlier ones, `replaced`.

    `is_one_of_many` says that the same act held other services too.
    """

    hold: Hold
    replaced: tuple[Hold, ...] = ()
    is_one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """A hold was lifted; `by` is the Slack user id of who did, or `governor`. `reason` may be empty.

    `together` are the other holds on the service that the same act lifted; `is_one_of_many` says that it
    lifted those of other services too.
    """

    hold: Hold
    by: str
    reason: str
    together: tuple[Hold, ...] = ()
    is_one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class HoldExpired:
    """A hold's time ran out; `together` are the other holds on the service whose time ran out with it."""

    hold: Hold
    together: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class ExemptionGranted:
    """A person allowed one change to ship through the freeze.

    `asked_by` is who had asked for it, None where nobody but `by` did; `comment` is what `by` said to that.
    """

    change: str
    by: str
    reason: str
    until: datetime | None
    asked_by: str | None = None
    comment: str = ""
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class ExemptionRequested:
    """Somebody asked those who may exempt a change to let one through.

    `keep_for` is for how long from the approval on, `until` an end that was asked for instead.
    """

    id: int
    change: str
    by: str
    reason: str
    keep_for: timedelta | None
    commit: str | None = None
    kind: str | None = None
    proof: str | None = None
    until: datetime | None = None
    by_agent: bool = False


@dataclass(frozen=True, slots=True)
class ExemptionDeclined:
    """A person declined to let a change through that `asked_by` had asked for; `comment` says why."""

    change: str
    by: str
    reason: str
    asked_by: str
    comment: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class BurnEnded:
    """A burn that was told of is over, and nothing was frozen for it; `budget` is the service's worst."""

    budget: Budget


@dataclass(frozen=True, slots=True)
class Spending:
    """Where a spent budget went, as far as incidents explain it: the share (0 to 1) that went in incidents.

    `incidents` are their numbers, the costliest first; `is_open` says that the costliest lasts. `cause` is
    the class of cause that most of it went to and `work` the reliability work that it points to, both None
    where most of it is not classified yet.
    """

    share: float
    incidents: tuple[int, ...]
    is_open: bool = False
    cause: str | None = None
    work: str | None = None


@dataclass(frozen=True, slots=True)
class PrecedingDeployment:
    """The production deployment of a service that ended last before something happened.

    `name` is its commit or version as people write it; `environment` is empty where it is called production,
    `url`, a page with details, may be empty.
    """

    name: str
    by: str
    finished_at: datetime
    environment: str = ""
    url: str = ""
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Background:
    """What is known beside a transition: where a spent budget went, and what was deployed last before it.

    `forecasts` say what will become of the service's budgets, by the name of the SLO; `adjustment` is the one
    that moved a budget over its level, by beginning to count or by being reversed.
    """

    spending: Spending | None = None
    deployment: PrecedingDeployment | None = None
    forecasts: Mapping[str, BudgetForecast] = field(default_factory=dict)
    adjustment: Adjustment | None = None

    def forecast_of(self, budget: Budget) -> BudgetForecast | None:
        """Return what will become of one of the budgets; None where nothing can be said."""
        return self.forecasts.get(budget.slo.name)


NO_BACKGROUND = Background()

BudgetTransition = (
    BudgetWarned
    | BurnAlertFired
    | BudgetExhausted
    | DataMissing
    | BudgetRecovered
    | HoldRetained
    | HoldLifted
    | EnforcementBegan
    | EnforcementEnded
)
Transition = (
    BudgetTransition | HoldPlaced | HoldExpired | ExemptionGranted | ExemptionRequested | ExemptionDeclined
)


def is_observed(transition: Transition | BurnEnded) -> bool:
    """Return whether a transition stops and opens nothing, because its policy only observes."""
    match transition:
        case BudgetExhausted(_, policy) | DataMissing(_, policy):
            return not policy.enforces
        case BudgetRecovered() | HoldRetained() | HoldPlaced() | HoldLifted() | HoldExpired():
            return transition.hold.observed
        case BudgetWarned() | BurnAlertFired() | BurnEnded():
            return False
        case ExemptionGranted() | ExemptionRequested() | ExemptionDeclined():
            return False
        case EnforcementBegan() | EnforcementEnded():
            return False
        case _:
            assert_never(transition)
