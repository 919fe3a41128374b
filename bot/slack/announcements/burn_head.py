"""The first message of a burn's thread, as it is rewritten: how things are now. Pure.

Below it stays what it said first. What is rewritten says neither "frozen" nor "open again": those words are
the announcements', which people and scripts count.
"""

from bot.budgets.budget import Budget
from bot.catalog.error_budget_policy import AlertSeverity
from bot.formatting import budget_text, burn_rate_text, duration_text, percent_text
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    BurnEnded,
    DataMissing,
    HoldLifted,
    HoldRetained,
)
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, markup, when


def head_lines(context: TransitionContext) -> tuple[Markup, Markup]:
    """Return how things are after a transition of a burn, and as of when."""
    since = markup("As of {}. What has happened is in this thread.", when(context.now))
    return _state(context), since


def _state(context: TransitionContext) -> Markup:  # noqa: PLR0911 - one return a transition
    name = bold(context.service.name)
    match context.transition:
        case BurnAlertFired():
            return _burns(context.transition, context)
        case BudgetWarned(level, budget):
            return markup(":warning: {} — below the mark of {}.", _left(name, budget), percent_text(level))
        case BudgetExhausted(budget, _):
            return markup(":snowflake: {} may not ship — {}.", name, _left("it", budget))
        case DataMissing(budget, _):
            return markup(":snowflake: {} may not ship — {} cannot be measured.", name, budget.slo.name)
        case HoldRetained(budget, _, _):
            return markup(
                ":hourglass: {} may not ship — {}, enough to open, but P0 actions have no owner or date.",
                name, _left("it", budget),
            )  # fmt: skip
        case BudgetRecovered(budget, _, _):
            return _ended(context, markup(" — {}", _left("it", budget)))
        case HoldLifted(_, _, reason):
            return _ended(context, markup(" — {}", reason) if reason else NOTHING)
        case BurnEnded(budget):
            return markup(":white_check_mark: No alert fires any more — {}.", _left(name, budget))
        case _:
            raise ValueError("the transition is of no burn")


def _burns(fired: BurnAlertFired, context: TransitionContext) -> Markup:
    alert, budget = fired.alert, fired.budget
    rate = markup("{} over {}", burn_rate_text(fired.long_burn), duration_text(alert.long))
    name, slo, left = bold(context.service.name), budget.slo.name, budget_text(budget.remaining)
    if context.other_holds:
        return markup(
            ":snowflake: {} may not ship, and burns its {} budget at {} — {} is left.", name, slo, rate, left
        )
    sign = ":rotating_light:" if alert.severity is AlertSeverity.PAGE else ":warning:"
    return markup("{} {} burns its {} budget at {} — {} is left.", Markup(sign), name, slo, rate, left)


def _ended(context: TransitionContext, why: Markup) -> Markup:
    name = bold(context.service.name)
    if context.other_holds:
        return markup("{} may not ship: another hold remains{}.", name, why)
    return markup(":white_check_mark: {} may ship again{}.", name, why)


def _left(name: str, budget: Budget) -> Markup:
    return markup("{} has {} of its {} budget left", name, budget_text(budget.remaining), budget.slo.name)
