"""Whom a service's announcements mention, as the policy's `notify` says. Pure."""

from collections.abc import Sequence

from bot.catalog.error_budget_policy import AlertSeverity, ErrorBudgetPolicy
from bot.catalog.notify import Occasion, zone_of
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    ExemptionRequested,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
)


def mentioned_in(context: TransitionContext, approvers: Sequence[str] = ()) -> Sequence[str]:
    """Return the groups and people whom the announcement of a transition mentions."""
    occasion = occasion_of(context)
    if occasion is None:
        return ()
    notify, service = policy_of(context).notify, context.service
    return notify.mentioned(occasion, service.teams, context.now, zone_of(service), approvers=approvers)


def must_act(context: TransitionContext) -> bool:
    """Return whether a service's teams must act: it was open and is closed now, or burns fast."""
    return occasion_of(context) in {Occasion.FREEZE, Occasion.PAGE}


def occasion_of(context: TransitionContext) -> Occasion | None:  # noqa: PLR0911 - one return an occasion
    """Return which occasion of `notify` a transition is; None if it is none."""
    match context.transition:
        case BudgetExhausted() | DataMissing() | EnforcementBegan():
            return Occasion.FREEZE
        case HoldPlaced(_, replaced):
            return None if replaced or context.other_holds else Occasion.FREEZE
        case BurnAlertFired(alert):
            return Occasion.PAGE if alert.severity is AlertSeverity.PAGE else Occasion.TICKET
        case BudgetWarned():
            return Occasion.WARNING
        case BudgetRecovered() | HoldLifted() | HoldExpired():
            return None if context.other_holds else Occasion.OPEN
        case ExemptionRequested():
            return Occasion.APPROVAL
        case _:
            return None


def policy_of(context: TransitionContext) -> ErrorBudgetPolicy:
    """Return the policy that a transition was decided by, or the service's own."""
    match context.transition:
        case BudgetExhausted(_, policy) | DataMissing(_, policy) | EnforcementBegan(policy=policy):
            return policy
        case BudgetWarned(budget=budget) | BurnAlertFired(budget=budget) | BudgetRecovered(budget=budget):
            return context.service.policy_for(budget.slo)
        case _:
            return context.service.error_budget_policy
