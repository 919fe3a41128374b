"""What if an objective were another one: the budget now, and the past months under it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.backtests.backtest import Backtest
from bot.backtests.runner import BacktestRunner
from bot.budgets.budget import Budget, assess
from bot.catalog.catalog import Catalog, Service
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.freezes.decision import FreezeState
from bot.freezes.service_decision import decide_on_service
from bot.freezes.transition import BudgetExhausted

NOW_RUN, NEW_RUN = "now", "new"
LOOKBACK = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ObjectiveOutcome:
    """What another objective would make of an SLO: `before` and `after` are its budget of the same moment.

    `freezes` says whether the service would be frozen for it now; `now` and `new` are the backtests.
    """

    service: Service
    before: Budget
    after: Budget
    freezes: bool
    now: Backtest
    new: Backtest


def with_objective(service: Service, slo: Slo, objective: Decimal) -> Service:
    """Return the service with another objective for one of its SLOs."""
    slos = [replace(each, objective=objective) if each == slo else each for each in service.slos]
    return replace(service, slos=tuple(slos))


def nearest_slo(service: Service, objective: Decimal) -> Slo | None:
    """Return the SLO whose objective is nearest to another one; None for a service without SLOs."""
    return min(service.slos, key=lambda slo: (abs(slo.objective - objective), slo.name), default=None)


async def objective_outcome(
    runner: BacktestRunner, catalog: Catalog, before: Budget, objective: Decimal, now: datetime
) -> ObjectiveOutcome:
    """Return what the objective would make of the SLO of a budget, whose service is in the catalog."""
    slo = before.slo
    service = catalog.services[slo.service]
    changed = with_objective(service, slo, objective)
    after = _reassessed(before, changed, objective)
    freezing = decide_on_service(changed, [after], [], FreezeState(), now).transitions
    catalogs = {
        NOW_RUN: replace(catalog, services={service.name: service}),
        NEW_RUN: replace(catalog, services={service.name: changed}),
    }
    current, new = await runner.run(catalogs, Span(now - LOOKBACK, now))
    is_frozen = any(isinstance(transition, BudgetExhausted) for transition in freezing)
    return ObjectiveOutcome(changed, before, after, is_frozen, current, new)


def _reassessed(before: Budget, service: Service, objective: Decimal) -> Budget:
    slo = replace(before.slo, objective=objective)
    policy = service.policy_for(slo)
    return assess(
        slo,
        events=before.events,
        recent=before.recent,
        as_of=before.as_of,
        problem=before.problem,
        alerts=policy.burn_alerts,
        policy=policy,
    )
