"""What is announced of policies that only observe, and of the change from one mode to the other. Pure."""

from collections.abc import Sequence
from typing import assert_never

from bot.catalog.catalog import Service
from bot.formatting import budget_text
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BurnEnded,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    Transition,
)
from bot.slack.announcements.budget_phrases import data_problem, objective_text
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, when

ObservedText = tuple[str, Markup, Markup]
"""The type of the event, what happened, and the next step."""


def would_text(service: Service, transition: Transition | BurnEnded) -> ObservedText | None:
    """Return what a policy that only observes says in the service's channel; None where it says nothing."""
    match transition:
        case BudgetExhausted(budget, policy):
            left = budget_text(budget.remaining)
            why = markup("{} of its {} budget left ({}).", left, budget.slo.name, objective_text(budget))
        case DataMissing(budget, policy):
            cause = markup("{} cannot be measured.", budget.slo.name)
            why = join(" ", [cause, data_problem(budget)])
        case BudgetRecovered(budget):
            left = budget_text(budget.remaining)
            headline = markup(
                "{} would be open again — {} of the {} budget is left.",
                bold(service.name),
                left,
                budget.slo.name,
            )
            return "service_would_open", headline, NOTHING
        case _:
            # What people and incidents do is told where it happens.
            return None
    headline = markup("{} would be frozen now — {}", bold(service.name), why)
    following = markup("Nothing is stopped: policy {} only observes.", policy.name)
    return "service_would_freeze", headline, following


def switch_text(service: Service, switch: EnforcementBegan | EnforcementEnded) -> ObservedText:
    """Return the announcement that a hold became real, or stopped being so."""
    hold, policy = switch.hold, switch.policy
    match switch:
        case EnforcementBegan():
            headline = markup(
                ":snowflake: {} is frozen — policy {} is enforced now: {}",
                bold(service.name), policy.name, _why(switch),
            )  # fmt: skip
            following = markup("Next: fix what burns. {} shows how.", code(f"/budget {service.name} explain"))
            if hold.kind is HoldKind.INCIDENT:
                following = Markup("Next: help there. It opens by itself once the incident is mitigated.")
            return "service_frozen", headline, following
        case EnforcementEnded():
            # The bot's own reason says "freezes", which only the announcement of a freeze may.
            holder = f"the {hold.slo or 'error'} budget" if hold.kind is HoldKind.BUDGET else hold.reason
            headline = markup(
                ":white_check_mark: {} may ship again — policy {} only observes now. What would hold it: {}.",
                bold(service.name), policy.name, holder.rstrip("."),
            )  # fmt: skip
            return "service_open", headline, NOTHING
        case _:
            assert_never(switch)


def _why(switch: EnforcementBegan) -> Markup:
    cause = switch.cause
    if cause is None:
        return markup("{}.", switch.hold.reason.rstrip("."))
    budget = cause.budget
    if isinstance(cause, DataMissing):
        return join(" ", [markup("{} cannot be measured.", budget.slo.name), data_problem(budget)])
    left = budget_text(budget.remaining)
    return markup("{} of its {} budget left ({}).", left, budget.slo.name, objective_text(budget))


def would_be_frozen_text(observed: Sequence[Hold]) -> Markup:
    """Return for which reason a service would be frozen; empty where nothing would freeze it."""
    if not observed:
        return NOTHING
    first, more = observed[0], len(observed) - 1
    others = markup(" (and {} more)", more) if more else NOTHING
    return markup(
        "Would be frozen since {}: {}{}. Nothing is stopped: the policy only observes.",
        when(first.since), first.reason.rstrip("."), others,
    )  # fmt: skip
