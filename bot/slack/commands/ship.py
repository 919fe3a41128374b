"""`/ship`: whether a change may ship: the verdict with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.budgets.statistics.forecast import BudgetForecast
from bot.catalog.catalog import Service
from bot.formatting import listed
from bot.freezes.hold import HoldKind
from bot.freezes.kind_proof import named_advisory, named_incident
from bot.freezes.opening import Opening
from bot.freezes.spare import Spare
from bot.freezes.status import NotMeasuredYetError, ServiceStatus, StatusReader
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from bot.slack.announcements.budget_phrases import (
    hold_owners,
    hold_term,
    opening_text,
    remaining_text,
    unmet_requirements_text,
)
from bot.slack.announcements.forecast_phrases import forecast_opening_text
from bot.slack.announcements.freeze_buttons import lift_buttons, request_buttons
from bot.slack.announcements.spare import spare_text
from bot.slack.arguments import UsageError, name, split, unquoted
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, naming
from bot.slack.blockkit.tables import MANY, ROWS, table, text_cell
from bot.slack.commands.cells import left_cell, owners_cell
from bot.slack.exemptions.typed import TypedExemptions
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
from bot.store.outbox import Block
from bot.suggestions import is_misspelt, suggest

MOST_CHANGE = 200
_MOST_LINES = 8
_HEADINGS = ("Service", "May ship", "Budget left", "Frozen by")


class ShipCommand:
    """The `/ship` command."""

    def __init__(self, status_reader: StatusReader, exemptions: TypedExemptions) -> None:
        self._status_reader = status_reader
        self._exemptions = exemptions

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the list of services or one verdict; raises `UsageError`, `UnknownServiceError`."""
        words = [unquoted(word) for word in split(interaction.text)]
        if not words:
            return all_services(await self._status_reader.services(), interaction.query)
        match words:
            case [first, *rest] if first.casefold() == "exemptions":
                return await self._exemptions.list(rest)
            case [service_name, second, *rest] if second.casefold() == "exempt":
                return await self._exemptions.ask(interaction, service_name, rest)
        words, environment = _environment(words)
        words, proof = _proof(words)
        if len(words) > 3:
            raise UsageError(markup("Write {}.", code("/ship SERVICE CHANGE KIND PROOF in ENVIRONMENT")))
        service = self._status_reader.find(name(words[0]))
        change = replace(_change(words[1:], service), environment=environment, proof=proof)
        try:
            verdict = await self._status_reader.verdict(service.name, change)
        except NotMeasuredYetError:
            return say(
                markup("{} has not been measured yet. Ask again in a few seconds.", bold(service.name))
            )
        if verdict.allow:
            spare = (await self._status_reader.service(service.name)).spare
            return one_verdict(verdict, service, interaction.query, spare=spare)
        opening = await self._status_reader.opening(service.name)
        lacking = [] if opening is None else [lack.budget for lack in opening.lacking]
        forecasts = await self._status_reader.forecasts(lacking) if lacking else {}
        return one_verdict(verdict, service, interaction.query, opening, forecasts=forecasts)


def exempt_kinds(service: Service) -> tuple[str, ...]:
    """Return the kinds of change that the service's policy exempts."""
    return service.error_budget_policy.exemptions


def _environment(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the words without `in ENVIRONMENT` at their end, and the environment if it is there."""
    if len(words) > 2 and words[-2].casefold() == "in":
        return list(words[:-2]), words[-1].casefold()[:MOST_CHANGE]
    return list(words), None


def _proof(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the words without the proof at their end, `CVE-2026-1234` or `incident 12`, and the proof."""
    if len(words) > 3 and words[-2].casefold() == "incident":
        return list(words[:-2]), " ".join(words[-2:])[:MOST_CHANGE]
    if len(words) > 2 and (named_advisory(words[-1]) or named_incident(words[-1])):
        return list(words[:-1]), words[-1]
    return list(words), None


def _change(words: Sequence[str], service: Service) -> Change:
    """Read `CHANGE KIND`, either alone; raises `UsageError` for a kind that the policy does not exempt."""
    kinds = {kind.casefold(): kind for kind in exempt_kinds(service)}
    if len(words) == 1 and words[0].casefold() in kinds:
        return Change(kind=kinds[words[0].casefold()])
    if len(words) == 1 and is_misspelt(words[0].casefold(), kinds):
        raise _unknown_kind(
            words[0], service, code(f"/ship {service.name} {suggest(words[0], kinds.values())[0]}")
        )
    change = words[0][:MOST_CHANGE] if words else None
    if len(words) < 2 or not words[1]:
        return Change(change or None)
    kind = kinds.get(words[1].casefold())
    if kind is None:
        example = code(f"/ship {service.name} {change} {next(iter(kinds.values()), '')}".strip())
        raise _unknown_kind(words[1], service, example)
    return Change(change or None, kind)


def _unknown_kind(word: str, service: Service, example: Markup) -> UsageError:
    kinds = exempt_kinds(service)
    missing = markup(
        "{} is not a kind of change that the policy of {} exempts.", code(name(word)), bold(service.name)
    )
    known = Markup(listed([code(kind) for kind in kinds], "and")) if kinds else Markup("none")
    there_are = markup("It exempts {}. Write {}.", known, example)
    return UsageError(join(" ", [missing, there_are]))


def all_services(statuses: Sequence[ServiceStatus], query: Query) -> Reply:
    """Return a page of the services, those that may not ship first: a table of many, a line each of few."""
    if not statuses:
        return say(Markup("No policy defines a service yet."))
    page, pages = page_of(query.page, len(statuses), ROWS)
    query = replace(query, text="", page=page)
    ordered = sorted(statuses, key=lambda status: (not status.is_frozen, status.may_launch))
    shown = ordered[(page - 1) * ROWS : page * ROWS]
    lines = [_line(status) for status in shown]
    closed = sum(status.is_frozen or not status.may_launch for status in statuses)
    count = f"{len(statuses) - closed} of {len(statuses)} may ship"
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    if len(statuses) > MANY:
        names = [status.service.name for status in shown]
        body = [
            *table("What may ship", _HEADINGS, [_cells(status) for status in shown]),
            small,
            *show_menu("Look at a service", [(each, Query("ship", each)) for each in names]),
        ]
    else:
        # Ten lines, even of long names, fit into a section's 3,000 characters.
        body = [section(join("\n", lines)), small]
    return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)


def _cells(status: ServiceStatus) -> list[Block]:
    """Return a service's row of the table, below `_HEADINGS`."""
    least = status.worst or next(iter(status.budgets), None)
    would_be = "would be frozen, but the policy only observes" if status.would_be_frozen else ""
    return [
        text_cell(status.service.name),
        text_cell("No" if status.is_frozen or not status.may_launch else "Yes"),
        left_cell(least),
        owners_cell(status.holds) if status.is_frozen else text_cell(would_be or _launch_text(status)),
    ]


def _launch_text(status: ServiceStatus) -> str:
    """Return that the launch checklist keeps the service from production; empty if it does not."""
    return "" if status.may_launch else "launch checklist not complete"


def _line(status: ServiceStatus) -> Markup:
    if status.is_frozen:
        return markup("No — {}, frozen by {}", bold(status.service.name), hold_owners(status.holds))
    if not status.may_launch:
        return markup("No — {}, {}", bold(status.service.name), _launch_text(status))
    least = status.worst or next(iter(status.budgets), None)
    would_be = "; would be frozen, but the policy only observes" if status.would_be_frozen else ""
    return markup(
        "Yes — {}, {}{}", bold(status.service.name), remaining_text(least) if least else "no SLO", would_be
    )


def one_verdict(
    verdict: Verdict,
    service: Service,
    query: Query,
    opening: Opening | None = None,
    *,
    forecasts: Mapping[str, BudgetForecast] | None = None,
    spare: Spare | None = None,
) -> Reply:
    """Return a verdict: yes or no, why, what it takes to open or what spare allows, and the next step."""
    reasons = [
        markup("• {}", naming(reason[:1].upper() + reason[1:])) for reason in verdict.reasons[:_MOST_LINES]
    ]
    answer = join("\n", [_headline(verdict), *reasons])
    held = [markup("Held by {}", hold_term(hold)) for hold in verdict.holds[:_MOST_LINES]]
    waits = NOTHING if verdict.allow else unmet_requirements_text(verdict.missing, service.name)
    opens = NOTHING
    if opening is not None:
        forecast = forecast_opening_text(opening, forecasts or {}, verdict.as_of)
        opens = opening_text(opening, verdict.as_of, forecast)
    following = join("\n", [each for each in (_next(verdict, service), spare_text(spare)) if each])
    text = join("\n", [answer, *held, opens, waits, following])
    body = [
        section(answer),
        *([context(*held)] if held else []),
        *([section(opens)] if opens else []),
        *([section(waits)] if waits else []),
        *([section(following)] if following else []),
    ]
    has_persons = any(hold.kind is HoldKind.PERSON for hold in verdict.holds)
    ask = () if verdict.allow else request_buttons(service.name, verdict.change.id or "")
    lift = lift_buttons(service.name) if has_persons and not verdict.allow else ()
    checklist = Query("governor", f"readiness {service.name}")
    budget = Query("budget", service.name)
    # Two buttons of one row may not do the same.
    see = show_button("Launch checklist", checklist) if verdict.launch else show_button("See budget", budget)
    details = (*lift, *ask, *see)
    return Reply(text, tuple(body), details, replace(query, page=1))


def _headline(verdict: Verdict) -> Markup:
    change, environment = _change_text(verdict.change), verdict.change.environment
    where = markup(" in {}", environment) if environment else NOTHING
    service = join("", [bold(verdict.service), where])
    if verdict.answer is VerdictAnswer.BACK:
        return markup(":no_entry: {} must go back: it does harm to {}.", change, service)
    if not verdict.allow:
        why = "it is frozen" if verdict.holds else "its launch checklist is not complete"
        return markup(":no_entry: No, {} may not ship to {}: {}.", change, service, why)
    return markup(":white_check_mark: Yes, {} may ship to {}.", change, service)


def _change_text(change: Change) -> Markup:
    if change.id is not None:
        kind = markup(" ({})", change.kind) if change.kind else Markup("")
        return join("", [code(change.id), kind])
    return markup("a {} change", change.kind) if change.kind else Markup("a change")


def _next(verdict: Verdict, service: Service) -> Markup:
    """Return the next step that is most likely to help."""
    if verdict.allow:
        return NOTHING
    exempt = code(f"/ship {service.name} exempt {verdict.change.id or 'CHANGE'} REASON")
    holds = [hold for hold in verdict.holds if hold.kind is HoldKind.PERSON]
    if holds:
        return markup("Next: ask {}, or ask for an exemption: {}.", hold_owners(holds), exempt)
    if not verdict.holds:
        tick = code(f"/governor readiness {service.name}")
        return markup("Next: tick in {} what is done, or ask for an exemption: {}.", tick, exempt)
    kinds = exempt_kinds(service)
    if kinds and verdict.change.kind is None:
        example = code(f"/ship {service.name} CHANGE {kinds[0]} PROOF")
        return markup(
            "Next: if it is a {} change, say so with a proof (an advisory such as CVE-2026-1234, or an open "
            "incident): {}. Otherwise ask for an exemption: {}.",
            listed(kinds, "or"), example, exempt,
        )  # fmt: skip
    return markup("Next: fix what burns, or ask for an exemption: {}.", exempt)
