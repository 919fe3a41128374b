"""Which holds are real where a policy's mode changes, or where SLOs of one service differ in it. Pure."""

from collections.abc import Sequence

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.transition import BudgetExhausted, DataMissing, EnforcementBegan, EnforcementEnded

JudgedBudget = tuple[Budget, ErrorBudgetPolicy]
Cause = BudgetExhausted | DataMissing
ModeSwitch = EnforcementBegan | EnforcementEnded


def enforced(judged: Sequence[JudgedBudget]) -> list[JudgedBudget]:
    """Return the budgets whose policy is enforced."""
    return [(budget, policy) for budget, policy in judged if policy.enforces]


def bearing_on(hold: Hold, judged: Sequence[JudgedBudget]) -> Sequence[JudgedBudget]:
    """Return the budgets that keep the hold: a real one is not kept by what is only observed."""
    return judged if hold.observed else enforced(judged) or judged


def switch_of_budget_hold(
    hold: Hold, judged: Sequence[JudgedBudget], cause: Cause | None, own: ErrorBudgetPolicy | None
) -> ModeSwitch | None:
    """Return how the bot's own hold must change; `cause` is what an enforced policy freezes for now.

    `own` is the service's own policy, for a hold whose SLO is gone.
    """
    policies = {budget.slo.name: policy for budget, policy in judged}
    policy = policies.get(hold.slo or "", own)
    if policy is None:
        return None
    if hold.observed and cause is not None:
        return EnforcementBegan(hold, cause.policy, cause)
    return _switch(hold, policy)


def switches(holds: Sequence[Hold], service: Service) -> list[ModeSwitch]:
    """Return how the holds of incidents must change.

    A person's hold is real in any mode: somebody decided. Those of freeze windows and of dependencies are
    kept by their own modules, which know what else they depend on, such as the mode of a window.
    """
    own = service.error_budget_policy
    of_incidents = [hold for hold in holds if hold.kind is HoldKind.INCIDENT]
    return [switch for hold in of_incidents if (switch := _switch(hold, own)) is not None]


def _switch(hold: Hold, policy: ErrorBudgetPolicy) -> ModeSwitch | None:
    if hold.observed and policy.enforces:
        return EnforcementBegan(hold, policy)
    if not hold.observed and not policy.enforces:
        return EnforcementEnded(hold, policy)
    return None
