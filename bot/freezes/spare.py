"""Whether a service's budgets are hardly touched, and what follows by its policy. Pure; no clock, no I/O."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.budgets.budget import Budget, SloState
from bot.budgets.statistics.forecast import BudgetForecast
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import Approvals, WhenSpare
from bot.catalog.slo import DowntimeSli

_UNTOUCHED = Decimal(1)
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Spare:
    """More than `at` of each budget will be left at its window's end, 90% likely: at least `unspent`."""

    at: Decimal
    unspent: float
    policy: str
    when_spare: WhenSpare
    low_risk: tuple[str, ...] = ()

    @property
    def least(self) -> float:
        """What stays unspent at least, in whole percents."""
        return math.floor(self.unspent * 100 + _ROUNDING) / 100

    @property
    def ramp_steps(self) -> tuple[float, ...]:
        """The steps of ramps that are begun without steps of their own; empty where the policy names none."""
        return tuple(float(step) for step in self.when_spare.ramp_steps)

    @property
    def unapproved(self) -> tuple[str, ...]:
        """The flags whose increases need no second person."""
        return self.low_risk if self.when_spare.approvals is Approvals.NONE else ()


def spare_of(
    service: Service, budgets: Sequence[Budget], forecasts: Mapping[str, BudgetForecast], *, is_frozen: bool
) -> Spare | None:
    """Return the spare of a service; None where there is none, or nothing can be said of one of its budgets.

    A budget by recorded downtime that nothing was ever taken from says nothing about the others.
    """
    if is_frozen:
        return None
    least: float | None = None
    for budget in budgets:
        forecast, at = forecasts.get(budget.slo.name), service.policy_for(budget.slo).spare_at
        if forecast is None and isinstance(budget.slo.sli, DowntimeSli) and budget.remaining == _UNTOUCHED:
            continue
        if budget.state is not SloState.OK or budget.remaining is None or budget.remaining < at:
            return None
        if forecast is None or forecast.unspent is None or forecast.unspent <= at:
            return None
        least = forecast.unspent if least is None else min(least, forecast.unspent)
    policy = service.error_budget_policy
    return (
        None
        if least is None
        else Spare(policy.spare_at, least, policy.name, policy.when_spare, service.low_risk)
    )
