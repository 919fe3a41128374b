"""The planning sheet as a message: a section for each service, what to work on first above them. Pure."""

from bot.formatting import budget_text, counted, listed, percent_text
from bot.slack.announcements.budget_phrases import remaining_text, window_text
from bot.slack.announcements.spare import spare_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup
from bot.slack.interactions import Query, Reply
from bot.teams.digests.planning import ClassSpending, PlanningSheet, ServicePlan

_MOST_SERVICES = 12
_MOST_CLASSES = 5
_BAR = 10
_MOST_CARRIED = 999
_SMALL = 0.01


def planning_reply(sheet: PlanningSheet, of: str, query: Query) -> Reply:
    """Return the sheet of a service, a team or a channel; whoever asked may share it."""
    title = f"Planning: {of}"
    parts = [_service(plan) for plan in sheet.plans[:_MOST_SERVICES]]
    more = len(sheet.plans) - len(parts)
    first = _first(sheet)
    small = [
        markup("Nothing is counted of {}.", listed(sheet.unmeasured)) if sheet.unmeasured else NOTHING,
        markup("{} with more left: {}.", counted(more, "more service"), code("/digest planning SERVICE"))
        if more > 0
        else NOTHING,
        Markup("Divided by time: what was spent during an incident, else in the time after a deployment or a "
               "raised flag. That says when it was spent, not why."),
    ]  # fmt: skip
    body = (header(title), *([section(first)] if first else []), *map(section, parts))
    return Reply(join("\n", [title, first, *parts]), (*body, context(join(" ", small))), shareable=query)


def _first(sheet: PlanningSheet) -> Markup:
    """Return what to work on first in all: what spent most."""
    largest = sheet.first
    if not sheet.plans:
        return Markup("No budget is counted yet, so there is nothing to plan by.")
    if largest is None or not largest.spent:
        return Markup("Nothing of the budgets was spent: they carry a faster pace.")
    return markup("{} spent most. Plan first: {}.", bold(_capital(largest.name)), bold(largest.work))


def _service(plan: ServicePlan) -> Markup:
    name = plan.status.service.name
    first = markup(
        "{} — {} of {} over {}, {} spent",
        bold(name), bold(remaining_text(plan.budget)), plan.slo.name, window_text(plan.slo.window),
        budget_text(plan.spent),
    )  # fmt: skip
    rows = [_row(each, plan) for each in plan.classes[:_MOST_CLASSES]]
    return join("\n", [first, *rows, _pace(plan), spare_text(plan.status.spare)])


def _row(each: ClassSpending, plan: ServicePlan) -> Markup:
    full = round(each.spent / plan.spent * _BAR) if plan.spent else 0
    bar = code("█" * full + "░" * (_BAR - full))
    count = f" ({counted(each.count, 'incident')})" if each.count else ""
    return markup(
        "{} {} {}{}: {}", bar, bold(percent_text(each.spent, digits=1)), each.name, count, each.work
    )


def _pace(plan: ServicePlan) -> Markup:
    """Return how many more deployments the budget carries at this pace."""
    if not plan.deployments:
        return Markup("Pace: nothing was deployed to production in this window, as far as Governor knows.")
    deployed = counted(plan.deployments, "deployment")
    if not plan.each:
        return markup("Pace: {}, after which nothing was spent.", deployed)
    cost = percent_text(plan.each, digits=1 if plan.each >= _SMALL else 2)
    if plan.carries is None:
        return markup("Pace: {}, {} of the budget each.", deployed, cost)
    if not plan.carries:
        return markup(
            "Pace: {}, {} of the budget each. What is left does not carry one more like them.", deployed, cost
        )
    number = f"over {_MOST_CARRIED}" if plan.carries >= _MOST_CARRIED else f"{plan.carries}"
    noun = "deployment" if plan.carries == 1 else "deployments"
    return markup(
        "Pace: {}, {} of the budget each. What is left carries {} more {} like them.",
        deployed, cost, bold(number), noun,
    )  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
