"""What `decideBy` and `minBadEvents` demand of a burn alert, as PromQL. Pure; no clock, no I/O.

The bot asks whether the error rate is above the allowed one with 95% certainty (`budgets/evidence.py`).
PromQL has no incomplete beta integral, so a rule compares the allowed rate with the lower end of what is
likely: Abramowitz and Stegun's approximation of the beta distribution's quantile, 26.5.22.
"""

from dataclasses import dataclass
from decimal import Decimal

from bot.budgets.evidence import LEDGER_FROM, SURE
from bot.budgets.statistics.posterior import probability_above
from bot.catalog.error_budget_policy import BurnAlert, DecideBy, ErrorBudgetPolicy

_ONE_SIDED_95 = 1.6448536269514722
_LAMBDA = (_ONE_SIDED_95**2 - 3) / 6
_HALF_AN_EVENT = Decimal("0.5")
_WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class EvidenceNeeded:
    """What an alert needs besides its burn rate: at least so many errors, and perhaps certainty.

    `unless_allowed`: it needs nothing where the objective allows at least so many errors; None: always.
    """

    errors: Decimal
    needs_bound: bool
    unless_allowed: int | None


def evidence_for(policy: ErrorBudgetPolicy, alert: BurnAlert, objective: Decimal) -> EvidenceNeeded | None:
    """Return what an alert of a policy needs besides its burn rate; None where arithmetic decides."""
    if policy.decide_by is DecideBy.LEDGER:
        return None
    allowed = _WHOLE - objective
    errors = policy.min_bad_events
    # The fewest errors that can fire the alert, among the most events that they can do so.
    events = max(float(errors), float(errors / (alert.burn * allowed)))
    is_implied = probability_above(float(allowed), errors, events) >= SURE
    unless = None if policy.decide_by is DecideBy.EVIDENCE else LEDGER_FROM
    # Prometheus extrapolates: three errors may be 2.98 to it.
    return EvidenceNeeded(errors - _HALF_AN_EVENT, not is_implied, unless)


def lower_bound(errors: str, events: str) -> str:
    """Return the expression of the rate that the true error rate exceeds with 95% certainty.

    A little low, never more than 2% where there are three errors.
    """
    bad, good = f"(2 * {errors})", f"clamp_min(2 * ({events} - {errors}), 1)"
    mean = f"(2 / (1 / {bad} + 1 / {good}))"
    spread = f"{_ONE_SIDED_95} * sqrt({mean} + {_LAMBDA}) / {mean}"
    skew = f"(1 / {good} - 1 / {bad}) * ({_LAMBDA} + 5 / 6 - 2 / (3 * {mean}))"
    weight = f"exp(2 * ({spread} - {skew}))"
    return f"({errors} + 0.5) / (({errors} + 0.5) + ({events} - {errors} + 0.5) * {weight})"
