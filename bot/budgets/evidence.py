"""Do so few events prove that a budget is spent? What a policy's `decideBy` and `minBadEvents` say. Pure.

Where at least ten bad events are expected in a window, what was counted decides. Below, one error more or
less is chance: there it must be likely, with 95%, that the error rate itself is above what is allowed.
"""

from decimal import Decimal

from bot.budgets.exact import WHOLE, allowed
from bot.budgets.statistics.posterior import probability_above
from bot.catalog.error_budget_policy import DecideBy, ErrorBudgetPolicy
from bot.catalog.slo import DowntimeSli, Slo

LEDGER_FROM = 10
"""How many bad events an objective must allow in a window for arithmetic to decide."""

SURE = 0.95
_WHOLE_BUDGET = Decimal(0)


def rests_on_evidence(policy: ErrorBudgetPolicy, slo: Slo, total: float) -> bool:
    """Return whether a window with `total` events has too few for arithmetic.

    Seconds of downtime are recorded, not drawn: they are always added up.
    """
    if isinstance(slo.sli, DowntimeSli) or policy.decide_by is DecideBy.LEDGER:
        return False
    return policy.decide_by is DecideBy.EVIDENCE or allowed(total, slo.objective) < LEDGER_FROM


def probability_spent(slo: Slo, bad: float, total: float, level: Decimal = _WHOLE_BUDGET) -> float:
    """Return how likely the error rate is above that which leaves the fraction `level` of the budget."""
    rate = float((WHOLE - slo.objective) * (WHOLE - level))
    total = max(0.0, total)
    return probability_above(rate, min(max(0.0, bad), total), total)


def is_surely_spent(
    policy: ErrorBudgetPolicy, slo: Slo, bad: float, total: float, level: Decimal = _WHOLE_BUDGET
) -> bool:
    """Return whether `bad` of `total` events are enough to say that no more than `level` is left.

    Always so where arithmetic decides: whether it is left is then a matter of the figure alone.
    """
    if not rests_on_evidence(policy, slo, total):
        return True
    return bad >= policy.min_bad_events and probability_spent(slo, bad, total, level) >= SURE
