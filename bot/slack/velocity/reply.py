"""The reply of `/velocity`: measures with their definitions, budgets, pictures and costs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.catalog.catalog import Catalog
from bot.formatting import counted, duration_code, duration_text
from bot.freezes.status import ServiceStatus
from bot.slack.announcements.budget_phrases import remaining_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup
from bot.slack.interactions import Query, Reply, show_button, show_menu
from bot.slack.velocity.charts import charts
from bot.slack.velocity.costs import budget_lines, freeze_lines
from bot.slack.velocity.measures import failed_text, measure_text, per_week_text
from bot.store.outbox import Block
from bot.velocity import definitions
from bot.velocity.cost_reader import CostOfBoth
from bot.velocity.reader import Velocity
from bot.velocity.scope import ScopeKind, VelocityScope, team_names

_MOST_SERVICES = 8


@dataclass(frozen=True, slots=True)
class VelocityView:
    """What the reply shows: velocity and costs, how the services stand now, and where `docs` can be read."""

    velocity: Velocity
    costs: CostOfBoth
    statuses: Sequence[ServiceStatus]
    catalog: Catalog
    docs_url: str


def velocity_reply(view: VelocityView) -> Reply:
    """Return the measures of a scope beside its budgets."""
    velocity, measures = view.velocity, view.velocity.measures
    scope = velocity.scope
    length = duration_text(velocity.span.length)
    query = Query("velocity", f"{_typed(scope)} {duration_code(velocity.span.length)}")
    menu = show_menu("Look at a service or team", _choices(view.catalog))
    if not measures.deployment_frequency.n:
        nothing = _nothing(scope, length)
        return Reply(nothing, (section(nothing), *menu), shareable=query)
    title = f"{scope.name}: {per_week_text(measures)}, {failed_text(measures)}"
    stand = _stand(view.statuses)
    figures = [measure_text(measures, each, view.docs_url) for each in definitions.SHOWN]
    costs = _costs(view.costs)
    pictures = charts(velocity)
    body: list[Block] = [
        header(title),
        *([section(stand)] if stand else []),
        *pictures[:1],
        *map(section, figures),
        *pictures[1:],
        *map(section, costs),
        context(_small(view, length)),
        *([] if _is_one(scope) else menu),
    ]
    buttons = show_button("See budget", Query("budget", scope.name)) if _is_one(scope) else ()
    return Reply(join("\n", [title, stand, *figures, *costs]), tuple(body), buttons, query)


def _costs(costs: CostOfBoth) -> list[Markup]:
    found = [join("\n", [bold("What freezes cost the pace"), *freeze_lines(costs.freezes)])]
    for cost in costs.budgets[:_MOST_SERVICES]:
        lines = budget_lines(cost)
        if lines:
            found.append(join("\n", [bold(f"What deployments cost the budget of {cost.service}"), *lines]))
    return found


def _stand(statuses: Sequence[ServiceStatus]) -> Markup:
    """Return how much budget each service has left, in the order of their names."""
    lines = []
    for status in statuses[:_MOST_SERVICES]:
        budgets = [markup("{} {}", each.slo.name, remaining_text(each)) for each in status.budgets]
        frozen = Markup(":snowflake: frozen") if status.is_frozen else NOTHING
        known = join(" · ", [*budgets, frozen])
        lines.append(markup("{}  {}", bold(f"Budget of {status.service.name}"), known or "no SLO"))
    more = len(statuses) - _MOST_SERVICES
    return join("\n", [*lines, f"and {counted(more, 'more service')}" if more > 0 else ""])


def _small(view: VelocityView, length: str) -> Markup:
    unknown = view.velocity.measures.without_changes
    told = f"Of {counted(unknown, 'deployment')} nobody told the changes." if unknown else ""
    of = "" if _is_one(view.velocity.scope) else f"{counted(len(view.statuses), 'service')} together."
    rule = f"The last {length}. “Likely” is the 95% Wilson interval; medians and p90 are interpolated."
    return join(" ", [of, rule, told])


def _nothing(scope: VelocityScope, length: str) -> Markup:
    return markup(
        "{}: no deployment to production in the last {}, as far as anybody told. Next: let your pipeline "
        "tell it, by {} or a webhook of GitHub.",
        bold(scope.name), length, code("POST /api/v1/deployments"),
    )  # fmt: skip


def _choices(catalog: Catalog) -> list[tuple[str, Query]]:
    names = [*sorted(catalog.services), *team_names(catalog)]
    return [(each, Query("velocity", each)) for each in names]


def _typed(scope: VelocityScope) -> str:
    return "all" if scope.kind is ScopeKind.ALL else scope.name


def _is_one(scope: VelocityScope) -> bool:
    return scope.kind is ScopeKind.SERVICE
