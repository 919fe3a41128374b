"""The planning sheet: where budgets went by class of cause, what that points to, what pace they carry.

Pure; no clock, no I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from bot.budgets.budget import Budget
from bot.catalog.slo import Slo
from bot.deployments.deployment import Deployment
from bot.freezes.status import ServiceStatus
from bot.incidents.incident import Incident
from bot.incidents.report import WORK
from bot.spending.attribution import CauseKind
from bot.spending.breakdown import SpendingBreakdown, SpentRow

DEPLOYMENTS: Final = "deployments"
FLAGS: Final = "raised flags"
UNCLASSIFIED: Final = "incidents without a class yet"
REST: Final = "the rest"
_WORK: Final = {
    DEPLOYMENTS: "smaller deployments, tests and canaries",
    FLAGS: "slower ramps, and flags that compare variants",
    UNCLASSIFIED: "their postmortems, to learn what to work on",
    REST: "errors that come all the time, which no event explains",
}
_MOST_CARRIED: Final = 999


@dataclass(frozen=True, slots=True)
class ClassSpending:
    """What one class of cause spent, as a fraction of the budget, in how many incidents."""

    name: str
    spent: float
    count: int
    work: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service's budget that has the least left: where it went, the largest first.

    `deployments` are those to production that succeeded in the window; `each` is what one of them spent on
    average, as a fraction of the budget; `carries` is how many more like them what is left would pay for.
    Both are None where nothing can be said.
    """

    status: ServiceStatus
    budget: Budget
    spent: float
    classes: tuple[ClassSpending, ...]
    deployments: int = 0
    each: float | None = None
    carries: int | None = None

    @property
    def slo(self) -> Slo:
        """The SLO whose budget it is."""
        return self.budget.slo


@dataclass(frozen=True, slots=True)
class PlanningSheet:
    """The plans of services, those with the least budget left first; `unmeasured` have none."""

    plans: tuple[ServicePlan, ...]
    unmeasured: tuple[str, ...] = ()

    @property
    def first(self) -> ClassSpending | None:
        """What spent most of all budgets; None where nothing did."""
        sums: dict[str, ClassSpending] = {}
        for each in (each for plan in self.plans for each in plan.classes):
            known = sums.get(each.name, ClassSpending(each.name, 0.0, 0, each.work))
            sums[each.name] = ClassSpending(
                each.name, known.spent + each.spent, known.count + each.count, each.work
            )
        return max(sums.values(), key=lambda each: each.spent, default=None)


def plan_of(
    status: ServiceStatus, budget: Budget, found: SpendingBreakdown, deployments: Sequence[Deployment]
) -> ServicePlan:
    """Return the plan of a service; `deployments` are those of the window that `ServicePlan` counts."""
    size = found.budget
    rows: dict[str, list[SpentRow]] = {}
    for row in found.rows:
        rows.setdefault(_class_of(row), []).append(row)
    classes = [_spending(name, of_class, size) for name, of_class in rows.items()]
    classes.sort(key=lambda each: (-each.spent, each.name))
    count = len(deployments)
    after = sum((row.spent for row in found.rows if row.kind is CauseKind.DEPLOYMENT), Decimal(0))
    each = float(after / size) / count if count and size else None
    return ServicePlan(
        status,
        budget,
        float(found.spent / size) if size else 0.0,
        tuple(classes),
        count,
        each,
        _carried(budget, each),
    )


def _carried(budget: Budget, each: float | None) -> int | None:
    """Return how many more deployments what is left pays for, at most 999."""
    if not each or budget.remaining is None or not budget.is_known:
        return None
    return min(_MOST_CARRIED, max(0, int(float(budget.remaining) / each)))


def _class_of(row: SpentRow) -> str:
    match row.kind:
        case CauseKind.DEPLOYMENT:
            return DEPLOYMENTS
        case CauseKind.FLAG:
            return FLAGS
        case CauseKind.INCIDENT:
            classes = {_cause(cause.subject) for cause in row.causes if isinstance(cause.subject, Incident)}
            return classes.pop() if len(classes) == 1 else UNCLASSIFIED
        case CauseKind.REST:
            return REST


def _cause(incident: Incident) -> str:
    return str(incident.cause) if incident.cause is not None else UNCLASSIFIED


def _spending(name: str, rows: Sequence[SpentRow], size: Decimal) -> ClassSpending:
    works = {str(cause): work for cause, work in WORK.items()} | _WORK
    spent = sum((row.spent for row in rows), Decimal(0))
    is_counted = all(row.kind is CauseKind.INCIDENT for row in rows)
    count = sum(len(row.causes) or 1 for row in rows) if is_counted else 0
    return ClassSpending(name, float(spent / size) if size else 0.0, count, works[name])
