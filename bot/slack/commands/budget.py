"""`/budget`: how much error budget is left, of all services or SLO by SLO."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.budgets.budget import HOUR, Budget
from bot.formatting import burn_rate_text, sparkline
from bot.freezes.status import BudgetPoint, ServiceStatus, StatusReader
from bot.slack.announcements.budget_phrases import (
    amount,
    burns,
    doubt,
    forecast,
    lacking,
    left,
    named,
    promise,
    told,
)
from bot.slack.arguments import UsageError, name, split
from bot.slack.blockkit.blocks import context, header, line_chart, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, show_button

PAGE = 10
MOST_SLOS = 20
_MOST_CHARTS = 2
_MOST_HOLDS = 5

History = Mapping[str, Sequence[BudgetPoint]]
"""Burn-downs by the name of their SLO."""

Recoveries = Mapping[str, datetime | None]
"""When enough will be left again, by the name of the SLO."""


class BudgetCommand:
    """Answers `/budget`."""

    def __init__(self, status_reader: StatusReader) -> None:
        self._status_reader = status_reader
        # The statuses that were listed last, and their list by page: many ask the same within a second.
        self._listed: tuple[Sequence[ServiceStatus], dict[int, Reply]] = ((), {})

    async def answer(self, interaction: Interaction) -> Reply:
        """Return for all services, or for the one that was named; raises `UsageError`, `UnknownService`."""
        words = split(interaction.text)
        if not words:
            return self._all(await self._status_reader.services(), interaction.query)
        if len(words) > 1:
            raise UsageError(markup("One service at a time: {}.", code(f"/budget {name(words[0])}")))
        status = await self._status_reader.service(name(words[0]))
        shown = [budget.slo for budget in worst_first(status.budgets)[:MOST_SLOS]]
        history = {slo.name: await self._status_reader.burn_down(slo) for slo in shown}
        recoveries = {
            budget.slo.name: await self._status_reader.recovers_at(budget) for budget in status.budgets
        }
        return one_service(status, history, interaction.query, recoveries)

    def _all(self, statuses: Sequence[ServiceStatus], query: Query) -> Reply:
        if self._listed[0] is not statuses:
            self._listed = (statuses, {})
        pages = self._listed[1]
        if query.page not in pages:
            pages[query.page] = all_services(statuses, query)
        return pages[query.page]


def worst_first(budgets: Sequence[Budget]) -> list[Budget]:
    """Return the budgets with the least remaining first, those without a figure last."""
    return sorted(budgets, key=lambda b: (b.remaining is None, b.remaining or 0.0))


def all_services(statuses: Sequence[ServiceStatus], query: Query) -> Reply:
    """List the services, a page of them."""
    if not statuses:
        return Reply(*_alone(Markup("No policy names a service yet.")))
    page, pages = page_of(query.page, len(statuses), PAGE)
    query = replace(query, text="", page=page)
    shown = statuses[(page - 1) * PAGE : page * PAGE]
    rows = [_row(status) for status in shown]
    body = [
        section(row, accessory=next(iter(show_button("Details", Query("budget", status.service.name))), None))
        for row, status in zip(rows, shown, strict=True)
    ]
    frozen = sum(status.is_frozen for status in statuses)
    count = f"{len(statuses)} services, {frozen} frozen"
    body.append(context(count if pages == 1 else f"{count} · page {page} of {pages}"))
    return Reply(join("\n", rows), tuple(body), page_buttons(query, pages), query)


def one_service(
    status: ServiceStatus, history: History, query: Query, recoveries: Recoveries | None = None
) -> Reply:
    """Show a service SLO by SLO, the worst first, with a picture of each budget's way down."""
    back = recoveries or {}
    budgets = worst_first(status.budgets)
    shown = budgets[:MOST_SLOS]
    headline = _headline(status)
    paragraphs = [
        _slo(budget, history.get(budget.slo.name, ()), status, back.get(budget.slo.name)) for budget in shown
    ]
    body = [header(headline)]
    body += [section(held) for held in [_holds(status)] if held]
    for index, (budget, paragraph) in enumerate(zip(shown, paragraphs, strict=True)):
        body.append(section(paragraph))
        if index < _MOST_CHARTS:
            body += _chart(budget, history.get(budget.slo.name, ()))
    if len(budgets) > len(shown):
        body.append(context(f"and {len(budgets) - len(shown)} more SLOs with more budget left"))
    text = join("\n", [headline, _holds(status), *paragraphs])
    return Reply(text, tuple(body), shareable=replace(query, text=status.service.name))


def _alone(text: Markup) -> tuple[Markup, tuple[dict[str, object], ...]]:
    return text, (section(text),)


def _headline(status: ServiceStatus) -> str:
    least = status.worst or next(iter(status.budgets), None)
    figure = left(least) if least else "no SLO"
    return f"{status.service.name}: {figure}{', frozen' if status.is_frozen else ''}"


def _row(status: ServiceStatus) -> Markup:
    least = status.worst or next(iter(status.budgets), None)
    flake = Markup(":snowflake: " if status.is_frozen else "")
    first = markup("{}{} — {}", flake, bold(status.service.name), left(least) if least else "no SLO")
    facts: list[object] = []
    if least is not None:
        facts = [least.slo.name, _rate(least)]
    unknown = [b.slo.name for b in status.budgets if not b.is_known and b is not least]
    if unknown:
        facts.append(f"{', '.join(unknown)} not measured")
    return join("\n", [first, join(" · ", facts)])


def _rate(budget: Budget) -> str:
    rate = budget.burn.get(HOUR)
    return f"burn {burn_rate_text(rate)} over 1 h" if rate is not None else ""


def _holds(status: ServiceStatus) -> Markup:
    if not status.is_frozen:
        return Markup("")
    lines = [markup("Held by {}", told(hold)) for hold in status.holds[:_MOST_HOLDS]]
    more = len(status.holds) - len(lines)
    lines = [markup(":snowflake: {}", lines[0]), *lines[1:]]
    return join(
        "\n", [*lines, f"and {more} more" if more else "", lacking(status.missing, status.service.name)]
    )


def _slo(
    budget: Budget, points: Sequence[BudgetPoint], status: ServiceStatus, recovers_at: datetime | None
) -> Markup:
    first = join(
        " ", [named(budget), Markup("—"), left(budget), f"({amount(budget)})" if amount(budget) else ""]
    )
    rates = burns(budget)
    facts = join(" · ", [promise(budget), f"burn {rates}" if rates else ""])
    line = sparkline([point.remaining for point in points])
    outlook = forecast(budget, status.as_of, recovers_at)
    return join("\n", [first, facts, code(line) if line else "", outlook, doubt(budget)])


def _chart(budget: Budget, points: Sequence[BudgetPoint]) -> list[dict[str, object]]:
    if len(points) < 2:
        return []
    spread = points[-1].at - points[0].at
    pattern = "%d %b" if spread > timedelta(days=len(points)) else "%d %b %H:%M"
    values = [(f"{point.at.astimezone(UTC):{pattern}}", round(point.remaining * 100, 2)) for point in points]
    return line_chart(
        f"{budget.slo.name}: budget left", "Left, %", values, x_label="Time (UTC)", y_label="Budget left, %"
    )
