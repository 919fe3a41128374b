"""What is decided for one service, and what becomes of the bot's own hold. Pure; no clock, no I/O.

The loop that judges budgets now and the replay of past ones both ask here, so that they cannot differ.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import UnmetRequirement
from bot.freezes.audit_entries import entry_of
from bot.freezes.decision import Decision, FreezeState, JudgedBudget, decide
from bot.freezes.enforcement import switches
from bot.freezes.hold import GOVERNOR, Hold, HoldKind, current_holds
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    HoldLifted,
    is_observed,
)

UNSAVED = 0
"""The id of a hold that no row stands for."""


def judged_budgets(service: Service, budgets: Sequence[Budget]) -> list[JudgedBudget]:
    """Return the budgets, each with the policy that judges it."""
    return [(budget, service.policy_for(budget.slo)) for budget in budgets]


def budget_hold(holds: Sequence[Hold]) -> Hold | None:
    """Return the bot's own hold for the budget, if it is among the holds."""
    return next((hold for hold in holds if hold.kind is HoldKind.BUDGET), None)


def decide_on_service(  # noqa: PLR0917 - what a decision rests on
    service: Service,
    budgets: Sequence[Budget],
    holds: Sequence[Hold],
    state: FreezeState,
    now: datetime,
    missing: Sequence[UnmetRequirement] = (),
) -> Decision:
    """Decide on the service's budgets. `holds` are all that lie on it, `missing` is what else keeps it."""
    own = service.error_budget_policy
    decision = decide(
        judged_budgets(service, budgets),
        hold=budget_hold(holds),
        state=state,
        now=now,
        missing=missing,
        dwell=own.dwell,
        own=own,
    )
    others = switches(current_holds(holds, now), service)
    return replace(decision, transitions=(*decision.transitions, *others))


def placed_hold(transition: BudgetExhausted | DataMissing, service: str, now: datetime) -> Hold:
    """Return the hold that the bot puts on a service because of the transition."""
    return Hold(
        id=UNSAVED,
        service=service,
        kind=HoldKind.BUDGET,
        reason=entry_of(transition, service).reason,
        by=GOVERNOR,
        since=now,
        slo=transition.budget.slo.name,
        observed=is_observed(transition),
    )


def hold_after(hold: Hold | None, transition: BudgetTransition, service: str, now: datetime) -> Hold | None:
    """Return what is left of the bot's own hold after a transition; None where nothing holds any more."""
    match transition:
        case BudgetExhausted() | DataMissing():
            return placed_hold(transition, service, now)
        case EnforcementBegan() | EnforcementEnded() if hold is not None and transition.hold.id == hold.id:
            return replace(hold, observed=isinstance(transition, EnforcementEnded))
        case BudgetRecovered() | HoldLifted():
            return None
        case _:
            return hold
