"""`/budget SERVICE where`: what spent the service's budgets, in rows that add up. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from bot.budgets.budget import Budget, SloState
from bot.catalog.catalog import Service
from bot.catalog.slo import DowntimeSli
from bot.deployments.deployment import Deployment
from bot.formatting import counted, duration_text, listed, minutes_text
from bot.incidents.incident import Incident
from bot.slack.announcements.budget_phrases import remaining_text, window_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, channel_link, code, cut, join, markup, when
from bot.slack.commands.budget_charts import deployment_name
from bot.slack.interactions import Query, Reply, show_button
from bot.spending.attribution import CauseKind, FlagInEnvironment
from bot.spending.breakdown import SpendingBreakdown, SpentRow, as_seen, shortened
from bot.spending.service_events import MaySee
from bot.store.addresses import local

MOST_ROWS = 8
_MOST_SLOS = 5
_BAR = 10
_MANY = 100
_LONGEST_TITLE = 100


def where_reply(
    service: Service,
    budgets: Sequence[Budget],
    found: Sequence[SpendingBreakdown],
    *,
    may_see: MaySee,
    query: Query,
) -> Reply:
    """Return where a service's budgets went, the worst first; `found` are those of which events are counted.

    Incidents that the reader may not know of are one row, without a name. A reply that names a private one
    cannot be shared.
    """
    by_slo = {each.slo.name: as_seen(each, may_see) for each in found}
    shown = budgets[:_MOST_SLOS]
    parts = [_slo(budget, by_slo.get(budget.slo.name)) for budget in shown]
    headline = f"{service.name}: where the budget went"
    more = len(budgets) - len(shown)
    divided = [by_slo[budget.slo.name] for budget in shown if budget.slo.name in by_slo]
    small = join(" ", [_others(service, more), _rule(divided)])
    body = (header(headline), *map(section, parts), *([context(small)] if small else []))
    is_private = any(_names_private(each) for each in by_slo.values())
    return Reply(
        join("\n", [headline, *parts]),
        body,
        show_button("See budget", Query("budget", service.name)),
        None if is_private else query,
    )


def _slo(budget: Budget, found: SpendingBreakdown | None) -> Markup:
    name = bold(budget.slo.name)
    if found is None:
        return markup("{} — {}. There is nothing to divide.", name, remaining_text(budget))
    window = window_text(found.slo.window)
    if not found.spent:
        return markup("{} — nothing of the budget was spent in {}.", name, window)
    brief, others = shortened(found, MOST_ROWS)
    first = markup(
        "{} — {} of the budget of {} spent: {}.",
        name, _percent(found.spent_tenths), window, _amount(found),
    )  # fmt: skip
    doubt = ""
    if budget.state is SloState.TOO_LITTLE_TRAFFIC:
        doubt = "There is too little traffic to say more than what was counted."
    rows = [_row(row, tenths, brief, others) for row, tenths in zip(brief.rows, brief.tenths, strict=True)]
    return join("\n", [first, doubt, *rows])


def _amount(found: SpendingBreakdown) -> str:
    """Return what was spent of what may be: `1,234 of 4,320 bad events`, `15 min of 10.1 min`."""
    if isinstance(found.slo.sli, DowntimeSli):
        spent, budget = (minutes_text(float(seconds) / 60) for seconds in (found.spent, found.budget))
        return f"{spent} of {budget} of full outage"
    return f"{_events(found.spent)} of {_events(found.budget)} bad events"


def _events(number: Decimal) -> str:
    """Return a number of events, with a fraction only where it matters: a window may begin within an hour."""
    return f"{number:,.0f}" if number >= _MANY else f"{number:,.1f}".removesuffix(".0")


def _row(row: SpentRow, tenths: int, found: SpendingBreakdown, others: int) -> Markup:
    full = round(float(row.spent / found.spent) * _BAR)
    bar = code("█" * full + "░" * (_BAR - full))
    return markup("{} {} {}", bar, bold(_percent(tenths)), _cause(row, others))


def _cause(row: SpentRow, others: int) -> Markup:
    if row.is_hidden:
        return Markup("other incidents")
    if row.kind is CauseKind.REST:
        return markup("{}", counted(others, "smaller cause")) if row.causes[0].subject else Markup("the rest")
    (cause,) = row.causes
    match cause.subject:
        case Incident() as incident:
            place = channel_link(local(cause.channel)) if cause.channel else NOTHING
            title = bold(cut(incident.title, _LONGEST_TITLE))
            named = join(" ", [f"incident {incident.id}", title, place])
            return markup("{}, from {}", named, when(incident.started_at))
        case Deployment() as deployment:
            named = deployment_name(deployment)
            return markup("after the deployment of {} {}", named, when(deployment.finished_at))
        case FlagInEnvironment(flag, environment):
            since = markup(", first {}", when(cause.at)) if cause.at else NOTHING
            return markup("after flag {} was raised in {}{}", code(flag), environment, since)
        case _:
            return Markup("the rest")


def _rule(found: Sequence[SpendingBreakdown]) -> Markup:
    """Return how spending is divided; nothing where nothing was."""
    if not any(each.spent for each in found):
        return NOTHING
    times = sorted({each.within for each in found})
    within = listed([duration_text(length) for length in times], "or")
    return markup(
        "Divided by time: an incident has what was spent while it lasted, else a deployment to production or "
        "a raised flag what was spent in the {} after it. That says when it was spent, not why.",
        within,
    )


def _others(service: Service, more: int) -> Markup:
    if more <= 0:
        return NOTHING
    form = code(f"/budget {service.name} where SLO")
    return markup("{} with more left: {}.", counted(more, "more SLO"), form)


def _names_private(found: SpendingBreakdown) -> bool:
    subjects = (cause.subject for row in found.rows for cause in row.causes)
    return any(isinstance(subject, Incident) and subject.private for subject in subjects)


def _percent(tenths: int) -> str:
    if not tenths:
        return "under 0.1%"
    return f"{tenths // 10:,}.{tenths % 10}%"
