"""The reply to what an outage would cost: what it would set off, what it would do to each budget. Pure."""

from collections.abc import Mapping
from datetime import datetime

from bot.backtests.outage import (
    OutageCost,
    OutageOutcome,
    supposed_budget,
)
from bot.budgets.budget import allowed_minutes
from bot.budgets.statistics.forecast import BudgetForecast
from bot.formatting import (
    budget_text,
    burn_rate_text,
    counted,
    duration_text,
    listed,
    minutes_text,
    percent_text,
)
from bot.freezes.status import ServiceStatus
from bot.freezes.transition import BudgetExhausted, BudgetWarned, BurnAlertFired
from bot.slack.announcements.budget_phrases import objective_text, remaining_text
from bot.slack.announcements.forecast_phrases import outlook_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, join, markup
from bot.slack.interactions import Query, Reply, show_button

_MOST_SLOS = 10


def outage_reply(
    outcome: OutageOutcome, status: ServiceStatus, forecasts: Mapping[str, BudgetForecast], typed: str
) -> Reply:
    """Return what an outage would cost each budget, and what would follow."""
    service, outage = outcome.service, outcome.outage
    length, failing = duration_text(outage.length), percent_text(outage.share)
    title = f"What if {service.name} failed {failing} of requests for {length}?"
    costs = sorted(outcome.costs, key=lambda cost: -(cost.cost or 0.0))
    parts = [_consequences(outcome), *(_cost(outcome, cost, forecasts) for cost in costs[:_MOST_SLOS])]
    more = len(costs) - _MOST_SLOS
    small = "Reckoned with the traffic of the last hour. What leaves the window meanwhile is not taken off."
    return Reply(
        join("\n", [title, *parts]),
        (
            header(title),
            *(section(part) for part in parts if part),
            *([context(f"and {counted(more, 'more SLO')}")] if more > 0 else []),
            context(small),
        ),
        show_button("See budget", Query("budget", status.service.name)),
        Query("budget", f"what-if {typed}"),
    )


def is_below(outcome: OutageOutcome, cost: OutageCost) -> bool:
    """Return whether the outage would leave too little for a freeze to end."""
    target = outcome.service.policy_for(cost.before.slo).unfreeze_at
    left = cost.after.remaining
    return cost.cost is not None and left is not None and left < target


def _consequences(outcome: OutageOutcome) -> Markup:
    """Return what the outage would set off: freeze, warnings, alerts, the first of each."""
    lines: list[Markup] = []
    froze = [past for past in outcome.transitions if isinstance(past.transition, BudgetExhausted)]
    if outcome.was_frozen:
        lines.append(markup("{} is frozen already, and would stay so for longer.", outcome.service.name))
    elif froze:
        first = froze[0]
        would = "would freeze" if outcome.service.mode.value == "enforce" else "would count as frozen"
        lines.append(
            markup("It {} {} after {}.", would, bold(outcome.service.name), _after(outcome, first.at))
        )
    else:
        lines.append(markup("It would not freeze {}.", outcome.service.name))
    warned = [past for past in outcome.transitions if isinstance(past.transition, BudgetWarned)]
    if warned:
        levels = [
            f"{percent_text(past.transition.level)} after {_after(outcome, past.at)}"
            for past in warned
            if isinstance(past.transition, BudgetWarned)
        ]
        lines.append(markup("Warnings: {}.", listed(levels)))
    alerts = [
        f"{past.transition.alert.severity} at {burn_rate_text(past.transition.alert.burn)} after "
        f"{_after(outcome, past.at)} ({past.transition.budget.slo.name})"
        for past in outcome.transitions
        if isinstance(past.transition, BurnAlertFired)
    ]
    if alerts:
        lines.append(markup("Burn alerts: {}.", listed(alerts)))
    if not warned and not alerts and not froze:
        lines.append(Markup("It would set off neither a warning nor a burn alert."))
    return join("\n", lines)


def _after(outcome: OutageOutcome, at: datetime) -> str:
    return duration_text(at - outcome.start)


def _cost(outcome: OutageOutcome, cost: OutageCost, forecasts: Mapping[str, BudgetForecast]) -> Markup:
    slo = cost.before.slo
    if cost.cost is None:
        why = remaining_text(cost.before)
        return markup("{} — {}: what it would cost cannot be told.", bold(slo.name), why)
    minutes = minutes_text(cost.cost * allowed_minutes(slo, outcome.start))
    first = markup(
        "{} — {} → {}", bold(slo.name), remaining_text(cost.before), bold(remaining_text(cost.after))
    )
    facts = markup(
        "It would cost {} of the budget ({}) · {}",
        budget_text(cost.cost), minutes, objective_text(cost.before),
    )  # fmt: skip
    outlook = NOTHING
    if is_below(outcome, cost):
        budget = supposed_budget(cost)
        forecast = forecasts.get(slo.name)
        if forecast is None:
            outlook = Markup("When it would recover cannot be told: too little of its past is known.")
        else:
            outlook = outlook_text(budget, forecast, outcome.start)
    return join("\n", [first, facts, outlook])
