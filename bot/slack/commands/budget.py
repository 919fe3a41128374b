"""`/budget`: how much error budget is left, for all services or by SLO."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.budgets.budget import HOUR, Budget, SloState
from bot.budgets.rolling import NO_HISTORY, RollingHistory
from bot.catalog.window import Span
from bot.formatting import burn_rate_text, counted, sparkline
from bot.freezes.explanation_reader import UnknownSloError
from bot.freezes.status import ServiceStatus
from bot.slack.announcements.adjustments import adjusted_text
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
from bot.slack.announcements.spare import spare_text
from bot.slack.arguments import UsageError, did_you_mean, name, split, unknown
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup, when
from bot.slack.blockkit.tables import MANY, ROWS, number_cell, table, text_cell
from bot.slack.capabilities import Capabilities
from bot.slack.commands.adjustments import AdjustmentCommand
from bot.slack.commands.budget_charts import (
    MOST_PAST,
    MOST_PAST_BESIDE_FORECAST,
    earliest_drawn,
    picture,
)
from bot.slack.commands.cells import left_cell
from bot.slack.commands.explain import explanation_reply
from bot.slack.commands.what_if import WhatIf
from bot.slack.commands.where import where_reply
from bot.slack.incidents.access import IncidentAccess
from bot.slack.interactions import (
    Interaction,
    Query,
    Reply,
    page_buttons,
    page_of,
    say,
    show_button,
    show_menu,
)
from bot.slack.reviews.messages import review_line
from bot.slack.typed.words import plain
from bot.spending.reader import chosen_budgets
from bot.spending.service_events import ServiceEvents
from bot.store.outbox import Block
from bot.suggestions import MISSPELT, suggest

MOST_SLOS = 20
_MOST_CHARTS = 2
_MOST_HOLDS = 5
_MOST_BEHIND = timedelta(minutes=5)
"""How old figures are at most without a word about it."""
_EXPLAIN, _WHERE = "explain", "where"
_WHAT_IF = "what-if"
_MOST_WORDS = 3
_HEADINGS = ("Service", "Left", "SLO", "Burn over 1 h", "State")

History = Mapping[str, RollingHistory]
"""How budgets stood at past moments, by the name of their SLO."""

Recoveries = Mapping[str, datetime | None]
"""When each budget will have recovered, by the name of the SLO."""


class BudgetCommand:
    """The `/budget` command."""

    def __init__(
        self, capabilities: Capabilities, access: IncidentAccess, adjustments: AdjustmentCommand
    ) -> None:
        self._status_reader = capabilities.status_reader
        self._explanations = capabilities.explanations
        self._what_if = WhatIf(capabilities.status_reader, capabilities.backtests)
        self._spending = capabilities.spending
        self._reviews = capabilities.reviews
        self._access = access
        self._adjustments = adjustments
        # The statuses that were listed last, and their pages: many people ask for the same within a second.
        self._listed: tuple[Sequence[ServiceStatus], dict[int, Reply]] = ((), {})

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the budgets of all services or of one; raises `UsageError`, `UnknownServiceError`."""
        words = split(interaction.text)
        if self._adjustments.takes(words):
            return await self._adjustments.answer(interaction)
        if not words:
            return self._all(await self._status_reader.services(), interaction.query)
        supposed = _after_what_if(words)
        if supposed is not None:
            return await self._what_if.answer(supposed)
        words = self._detail_after_service(words)
        detail = words[1].casefold() if 1 < len(words) <= _MOST_WORDS else ""
        slo = name(words[2]) if len(words) > 2 else None
        if detail == _EXPLAIN:
            return await self._explain(name(words[0]), slo)
        if detail == _WHERE:
            return await self._where(interaction, name(words[0]), slo)
        if len(words) > 1:
            raise UsageError(_what_was_meant(words))
        return await self._one(interaction, name(words[0]))

    def _detail_after_service(self, words: list[str]) -> list[str]:
        """Return `where SERVICE` as `SERVICE where`; raises `UsageError` if no service is named."""
        detail = plain(words[0])
        if detail not in {_EXPLAIN, _WHERE} or detail in self._status_reader.catalog.services:
            return words
        if len(words) == 1:
            raise UsageError(markup("Name the service: {}.", code(f"/budget SERVICE {detail}")))
        return [words[1], detail, *words[2:]]

    async def _one(self, interaction: Interaction, service: str) -> Reply:
        status = await self._status_reader.service(service)
        status = replace(status, forecasts=await self._status_reader.forecasts(status.budgets, with_fan=True))
        history = {
            budget.slo.name: await self._status_reader.rolling(
                budget, MOST_PAST_BESIDE_FORECAST if budget.slo.name in status.forecasts else MOST_PAST
            )
            for budget in worst_first(status.budgets)[:MOST_SLOS]
        }
        recoveries = {
            budget.slo.name: await self._status_reader.recovers_at(budget) for budget in status.budgets
        }
        since = earliest_drawn(list(history.values()), status.as_of)
        happened = await self._spending.events.read(status.service, Span(since, status.as_of))
        viewer = await self._access.viewer(interaction)
        seen = happened.seen_by(lambda incident: self._access.may_see(incident, viewer))
        reply = one_service(status, history, interaction.query, recoveries, seen)
        review = await self._reviews.of_service(status.service.name)
        if review is not None:
            line = review_line(review)
            reply = replace(reply, text=join("\n", [reply.text, line]), body=(*reply.body, context(line)))
        # Shared, it would show everybody what this person may see.
        return reply.unshareable() if any(incident.private for incident in seen.incidents) else reply

    async def _where(self, interaction: Interaction, service: str, slo: str | None) -> Reply:
        status = await self._status_reader.service(service)
        try:
            budgets = worst_first(chosen_budgets(status, slo))
        except UnknownSloError as error:
            raise _unknown_slo(status, slo or "", error.near) from error
        found = await self._spending.where(status.service, budgets)
        viewer = await self._access.viewer(interaction)
        return where_reply(
            status.service,
            budgets,
            found,
            may_see=lambda incident: self._access.may_see(incident, viewer),
            query=Query("budget", f"{status.service.name} {_WHERE}{f' {slo}' if slo else ''}"),
        )

    async def _explain(self, service: str, slo: str | None) -> Reply:
        status = await self._status_reader.service(service)
        try:
            explanation = await self._explanations.explain(status, slo)
        except UnknownSloError as error:
            raise _unknown_slo(status, slo or "", error.near) from error
        others = [each.name for each in status.service.slos if each.name != explanation.slo.name]
        return explanation_reply(explanation, tuple(others))

    def _all(self, statuses: Sequence[ServiceStatus], query: Query) -> Reply:
        if self._listed[0] is not statuses:
            self._listed = (statuses, {})
        pages = self._listed[1]
        if query.page not in pages:
            pages[query.page] = all_services(statuses, query)
        return pages[query.page]


def _unknown_slo(status: ServiceStatus, slo: str, near: Sequence[str]) -> UsageError:
    return unknown("SLO", slo, near, markup("{} lists them.", code(f"/budget {status.service.name}")))


def _what_was_meant(words: Sequence[str]) -> Markup:
    """Return what to type instead of words after a service's name."""
    one = markup("One service at a time: {}.", code(f"/budget {name(words[0])}"))
    near = suggest(plain(words[1]), (_EXPLAIN, _WHERE, _WHAT_IF), cutoff=MISSPELT)
    return join(" ", [one, did_you_mean([f"/budget {name(words[0])} {form}" for form in near])])


def _after_what_if(words: Sequence[str]) -> list[str] | None:
    """Return the service and what is supposed of it, where the command asks what if; else None.

    `what-if` stands before the service or after it, and may be written as two words.
    """
    spoken = [plain(word) for word in words[:_MOST_WORDS]]
    for position in (0, 1):
        if spoken[position : position + 1] and spoken[position].replace("-", "") == "whatif":
            return [*words[:position], *words[position + 1 :]]
        if spoken[position : position + 2] == ["what", "if"]:
            return [*words[:position], *words[position + 2 :]]
    return None


def worst_first(budgets: Sequence[Budget]) -> list[Budget]:
    """Return the budgets with the least remaining first, unknown ones last."""
    return sorted(budgets, key=lambda budget: (budget.remaining is None, budget.remaining or 0.0))


def all_services(statuses: Sequence[ServiceStatus], query: Query) -> Reply:
    """Return a page of the services: a table of many, a paragraph each of few."""
    if not statuses:
        return say(Markup("No policy defines a service yet."))
    page, pages = page_of(query.page, len(statuses), ROWS)
    query = replace(query, text="", page=page)
    shown = statuses[(page - 1) * ROWS : page * ROWS]
    rows = [_row(status) for status in shown]
    frozen = sum(status.is_frozen for status in statuses)
    count = f"{counted(len(statuses), 'service')}, {frozen or 'none'} frozen"
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    if len(statuses) > MANY:
        body = [
            *table("Error budgets, the least left first", _HEADINGS, [_cells(status) for status in shown]),
            small,
            *show_menu(
                "Look at a service",
                [(status.service.name, Query("budget", status.service.name)) for status in shown],
            ),
        ]
    else:
        body = [
            section(row, accessory=next(iter(show_button("Details", Query("budget", name_))), None))
            for row, name_ in zip(rows, (status.service.name for status in shown), strict=True)
        ]
        body.append(small)
    return Reply(join("\n", rows), tuple(body), page_buttons(query, pages), query)


def one_service(
    status: ServiceStatus,
    history: History,
    query: Query,
    recoveries: Recoveries | None = None,
    events: ServiceEvents | None = None,
) -> Reply:
    """Return a service's SLOs, the worst first, with the history of each budget.

    `events` happened around the service; the reader may know of all of them.
    """
    recoveries = recoveries or {}
    budgets = worst_first(status.budgets)
    shown = budgets[:MOST_SLOS]
    headline = _headline(status)
    paragraphs = [
        _slo(budget, history.get(budget.slo.name, NO_HISTORY), status, recoveries.get(budget.slo.name))
        for budget in shown
    ]
    body = [header(headline)]
    body += [section(holds) for holds in [_holds(status)] if holds]
    spare = spare_text(status.spare)
    body += [section(spare)] if spare else []
    charts = _charts(status, shown, history, events or ServiceEvents())
    for index, paragraph in enumerate(paragraphs):
        body.append(section(paragraph))
        body += charts.get(index, [])
    if len(budgets) > len(shown):
        more = counted(len(budgets) - len(shown), "more SLO")
        body.append(context(f"and {more} with more budget left"))
    adjusted = adjusted_text(status.budgets, status.service)
    if adjusted:
        body.append(context(adjusted))
    text = join("\n", [headline, _holds(status), spare, *paragraphs, adjusted])
    where = show_button("Where it went", Query("budget", f"{status.service.name} {_WHERE}"))
    return Reply(text, tuple(body), where, shareable=replace(query, text=status.service.name))


def _charts(
    status: ServiceStatus, budgets: Sequence[Budget], history: History, events: ServiceEvents
) -> dict[int, list[Block]]:
    """Return the pictures below the worst budgets: Slack takes two in a message."""
    return {
        index: picture(
            budget,
            history.get(budget.slo.name, NO_HISTORY),
            status.forecasts.get(budget.slo.name),
            status.service.policy_for(budget.slo),
            events,
        )
        for index, budget in enumerate(budgets[:_MOST_CHARTS])
    }


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
    facts: list[object] = [least.slo.name, _rate(least)] if least is not None else []
    return join("\n", [first, join(" · ", [*facts, *_remarks(status, least)])])


def _cells(status: ServiceStatus) -> list[Block]:
    """Return a service's row of the table, below `_HEADINGS`."""
    least = status.worst or next(iter(status.budgets), None)
    remarks = ["frozen" if status.is_frozen else "", *_remarks(status, least)]
    state = text_cell(" · ".join(filter(None, remarks)) or "open")
    if least is None:
        return [text_cell(status.service.name), left_cell(None), text_cell(""), text_cell(""), state]
    rate = least.burn.get(HOUR)
    return [
        text_cell(status.service.name),
        left_cell(least),
        text_cell(least.slo.name),
        number_cell(rate, burn_rate_text(rate) if rate is not None else ""),
        state,
    ]


def _remarks(status: ServiceStatus, least: Budget | None) -> list[str]:
    """Return what else must be known of a service: that it would be frozen, and which SLOs say nothing."""
    unknown = [budget for budget in status.budgets if not budget.is_known and budget is not least]
    quiet = [budget.slo.name for budget in unknown if budget.state is SloState.TOO_LITTLE_TRAFFIC]
    unmeasured = [budget.slo.name for budget in unknown if budget.state is not SloState.TOO_LITTLE_TRAFFIC]
    return [
        *(["would be frozen"] if status.would_be_frozen else []),
        *([f"{', '.join(quiet)}: too little traffic"] if quiet else []),
        *([f"{', '.join(unmeasured)} not measured"] if unmeasured else []),
    ]


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
    budget: Budget, history: RollingHistory, status: ServiceStatus, recovers_at: datetime | None
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
    line = sparkline([point.remaining for point in history.points])
    outlook = outlook_text(budget, status.forecasts.get(budget.slo.name), status.as_of, recovers_at)
    return join("\n", [first, facts, code(line) if line else "", outlook, _known_until(budget, status)])


def _known_until(budget: Budget, status: ServiceStatus) -> Markup:
    """Return what is wrong with a budget's data, and of when its figures are where events come late."""
    if not budget.is_known or budget.as_of is None or status.as_of - budget.as_of <= _MOST_BEHIND:
        return data_problem(budget)
    why = markup(": {}.", budget.problem) if budget.problem else Markup(".")
    return join(" ", [markup("Known until {}{}", when(budget.as_of), why), data_problem(budget)])
