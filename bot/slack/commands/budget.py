"""`/budget`: how much error budget is left, for all services or by SLO."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.budgets.budget import HOUR, Budget, SloState
from bot.formatting import burn_rate_text, counted, sparkline
from bot.freezes.explanation_reader import ExplanationReader, UnknownSloError
from bot.freezes.status import BudgetPoint, ServiceStatus, StatusReader
from bot.slack.announcements.budget_phrases import (
    burn_rates_text,
    data_problem,
    hold_text,
    objective_text,
    remaining_amount,
    remaining_text,
    slo_name,
    unmet_requirements_text,
)
from bot.slack.announcements.forecast_phrases import outlook_text
from bot.slack.announcements.observed import would_be_frozen_text
from bot.slack.arguments import UsageError, name, split, unknown
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.commands.budget_charts import forecast_chart, spending_chart
from bot.slack.commands.explain import explanation_reply
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, say, show_button
from bot.store.outbox import Block

PAGE = 10
MOST_SLOS = 20
_MOST_CHARTS = 2
_MOST_HOLDS = 5
_EXPLAIN = "explain"
_MOST_WORDS = 3

History = Mapping[str, Sequence[BudgetPoint]]
"""Burn-downs by the name of their SLO."""

Recoveries = Mapping[str, datetime | None]
"""When each budget will have recovered, by the name of the SLO."""


class BudgetCommand:
    """The `/budget` command."""

    def __init__(self, status_reader: StatusReader, explanations: ExplanationReader) -> None:
        self._status_reader = status_reader
        self._explanations = explanations
        # The statuses that were listed last, and their pages: many people ask for the same within a second.
        self._listed: tuple[Sequence[ServiceStatus], dict[int, Reply]] = ((), {})

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the budgets of all services or of one; raises `UsageError`, `UnknownServiceError`."""
        words = split(interaction.text)
        if not words:
            return self._all(await self._status_reader.services(), interaction.query)
        if len(words) > 1 and words[1].casefold() == _EXPLAIN and len(words) <= _MOST_WORDS:
            return await self._explain(name(words[0]), name(words[2]) if len(words) > 2 else None)
        if len(words) > 1:
            raise UsageError(markup("One service at a time: {}.", code(f"/budget {name(words[0])}")))
        status = await self._status_reader.service(name(words[0]))
        shown = [budget.slo for budget in worst_first(status.budgets)[:MOST_SLOS]]
        history = {slo.name: await self._status_reader.burn_down(slo) for slo in shown}
        recoveries = {
            budget.slo.name: await self._status_reader.recovers_at(budget) for budget in status.budgets
        }
        status = replace(status, forecasts=await self._status_reader.forecasts(status.budgets, with_fan=True))
        return one_service(status, history, interaction.query, recoveries)

    async def _explain(self, service: str, slo: str | None) -> Reply:
        status = await self._status_reader.service(service)
        try:
            explanation = await self._explanations.explain(status, slo)
        except UnknownSloError as error:
            all_slos = markup("{} lists them.", code(f"/budget {status.service.name}"))
            raise unknown("SLO", slo or "", error.near, all_slos) from error
        others = [each.name for each in status.service.slos if each.name != explanation.slo.name]
        return explanation_reply(explanation, tuple(others))

    def _all(self, statuses: Sequence[ServiceStatus], query: Query) -> Reply:
        if self._listed[0] is not statuses:
            self._listed = (statuses, {})
        pages = self._listed[1]
        if query.page not in pages:
            pages[query.page] = all_services(statuses, query)
        return pages[query.page]


def worst_first(budgets: Sequence[Budget]) -> list[Budget]:
    """Return the budgets with the least remaining first, unknown ones last."""
    return sorted(budgets, key=lambda budget: (budget.remaining is None, budget.remaining or 0.0))


def all_services(statuses: Sequence[ServiceStatus], query: Query) -> Reply:
    """Return a page of the services."""
    if not statuses:
        return say(Markup("No policy defines a service yet."))
    page, pages = page_of(query.page, len(statuses), PAGE)
    query = replace(query, text="", page=page)
    shown = statuses[(page - 1) * PAGE : page * PAGE]
    rows = [_row(status) for status in shown]
    body = [
        section(row, accessory=next(iter(show_button("Details", Query("budget", status.service.name))), None))
        for row, status in zip(rows, shown, strict=True)
    ]
    frozen = sum(status.is_frozen for status in statuses)
    count = f"{counted(len(statuses), 'service')}, {frozen or 'none'} frozen"
    body.append(context(count if pages == 1 else f"{count} · page {page} of {pages}"))
    return Reply(join("\n", rows), tuple(body), page_buttons(query, pages), query)


def one_service(
    status: ServiceStatus, history: History, query: Query, recoveries: Recoveries | None = None
) -> Reply:
    """Return a service's SLOs, the worst first, with the history of each budget."""
    recoveries = recoveries or {}
    budgets = worst_first(status.budgets)
    shown = budgets[:MOST_SLOS]
    headline = _headline(status)
    paragraphs = [
        _slo(budget, history.get(budget.slo.name, ()), status, recoveries.get(budget.slo.name))
        for budget in shown
    ]
    body = [header(headline)]
    body += [section(holds) for holds in [_holds(status)] if holds]
    charts = _charts(status, shown, history)
    for index, paragraph in enumerate(paragraphs):
        body.append(section(paragraph))
        body += charts.get(index, [])
    if len(budgets) > len(shown):
        more = counted(len(budgets) - len(shown), "more SLO")
        body.append(context(f"and {more} with more budget left"))
    text = join("\n", [headline, _holds(status), *paragraphs])
    return Reply(text, tuple(body), shareable=replace(query, text=status.service.name))


def _charts(status: ServiceStatus, budgets: Sequence[Budget], history: History) -> dict[int, list[Block]]:
    """Return the charts below each budget, two in all: first those of the worst one, with its forecast."""
    charts: dict[int, list[Block]] = {}
    left = _MOST_CHARTS
    for index, budget in enumerate(budgets[:_MOST_CHARTS]):
        own = spending_chart(budget, history.get(budget.slo.name, ()))
        forecast = status.forecasts.get(budget.slo.name)
        own += forecast_chart(budget, forecast, status.service.policy_for(budget.slo))
        charts[index], left = own[:left], left - len(own[:left])
    return charts


def _headline(status: ServiceStatus) -> str:
    least = status.worst or next(iter(status.budgets), None)
    figure = remaining_text(least) if least else "no SLO"
    return f"{status.service.name}: {figure}{', frozen' if status.is_frozen else ''}"


def _row(status: ServiceStatus) -> Markup:
    least = status.worst or next(iter(status.budgets), None)
    flake = Markup(":snowflake: " if status.is_frozen else "")
    first = markup(
        "{}{} — {}", flake, bold(status.service.name), remaining_text(least) if least else "no SLO"
    )
    facts: list[object] = []
    if least is not None:
        facts = [least.slo.name, _rate(least)]
    if status.would_be_frozen:
        facts.append("would be frozen")
    unknown = [budget for budget in status.budgets if not budget.is_known and budget is not least]
    quiet = [budget.slo.name for budget in unknown if budget.state is SloState.TOO_LITTLE_TRAFFIC]
    if quiet:
        facts.append(f"{', '.join(quiet)}: too little traffic")
    unmeasured = [budget.slo.name for budget in unknown if budget.state is not SloState.TOO_LITTLE_TRAFFIC]
    if unmeasured:
        facts.append(f"{', '.join(unmeasured)} not measured")
    return join("\n", [first, join(" · ", facts)])


def _rate(budget: Budget) -> str:
    rate = budget.burn.get(HOUR)
    return f"burn {burn_rate_text(rate)} over 1 h" if rate is not None else ""


def _holds(status: ServiceStatus) -> Markup:
    would_be = would_be_frozen_text(status.observed)
    if not status.is_frozen:
        return would_be
    lines = [markup("Held by {}", hold_text(hold)) for hold in status.holds[:_MOST_HOLDS]]
    more = len(status.holds) - len(lines)
    lines = [markup(":snowflake: {}", lines[0]), *lines[1:]]
    return join(
        "\n",
        [
            *lines,
            f"and {more} more" if more else "",
            unmet_requirements_text(status.missing, status.service.name),
            would_be,
        ],
    )


def _slo(
    budget: Budget, points: Sequence[BudgetPoint], status: ServiceStatus, recovers_at: datetime | None
) -> Markup:
    first = join(
        " ",
        [
            slo_name(budget),
            Markup("—"),
            remaining_text(budget),
            f"({remaining_amount(budget)})" if remaining_amount(budget) else "",
        ],
    )
    rates = burn_rates_text(budget)
    facts = join(" · ", [objective_text(budget), f"burn {rates}" if rates else ""])
    line = sparkline([point.remaining for point in points])
    outlook = outlook_text(budget, status.forecasts.get(budget.slo.name), status.as_of, recovers_at)
    return join("\n", [first, facts, code(line) if line else "", outlook, data_problem(budget)])
