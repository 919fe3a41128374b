"""`/budget exclude`, `adjust`, `adjustments`, `approve`, `decline` and `reverse`: adjusting the record.

One person asks, another approves, and every step shows the budget before and after.
"""

from collections.abc import Sequence
from datetime import timedelta

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState
from bot.budgets.adjustments.effects import effects_of
from bot.budgets.adjustments.figures import BudgetChange
from bot.budgets.adjustments.requests import (
    AdjustmentDecidedError,
    AdjustmentError,
    NoAdjustmentError,
    OwnAdjustmentError,
)
from bot.catalog.catalog import Service
from bot.clock import Clock
from bot.freezes.status import StatusReader
from bot.slack.announcements.adjustment_buttons import DECLINE_ADJUSTMENT, reverse_button
from bot.slack.announcements.adjustments import (
    adjusted_text,
    changes_text,
    meaning_text,
    state_text,
    time_text,
    what_text,
)
from bot.slack.approvals.decision import ApprovalOutcome
from bot.slack.arguments import UsageError, name, reason, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, channel_link, code, join, markup, mention, naming
from bot.slack.capabilities import AdjustmentCapabilities
from bot.slack.commands.adjustment_arguments import (
    ADJUST_FORM,
    EXCLUDE_FORM,
    AdjustmentArguments,
    parse_correction,
    parse_exclusion,
)
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, say
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.typed.numbers import read_number
from bot.store.addresses import local

SUBCOMMANDS = ("exclude", "adjust", "adjustments", "approve", "decline", "reverse")
PAGE = 10
_LISTED = timedelta(days=400)


class AdjustmentCommand:
    """The forms of `/budget` that adjust the record."""

    def __init__(
        self, capabilities: AdjustmentCapabilities, status_reader: StatusReader, people: People, clock: Clock
    ) -> None:
        self._registry = capabilities.registry
        self._preview = capabilities.preview
        self._status_reader = status_reader
        self._people = people
        self._clock = clock

    def takes(self, words: Sequence[str]) -> bool:
        """Return whether the words are one of these forms: a service of such a name alone is not."""
        if not words or words[0].casefold() not in SUBCOMMANDS:
            return False
        return len(words) > 1 or words[0].casefold() not in self._status_reader.catalog.services

    async def answer(self, interaction: Interaction) -> Reply:
        """Ask, decide, reverse or list; raises `UsageError`, `UnknownServiceError`."""
        first, *words = split(interaction.text)
        try:
            match first.casefold():
                case "exclude" | "adjust" as form:
                    return await self._ask(interaction, form, words)
                case "adjustments":
                    return await self._list(interaction, words)
                case "approve" | "decline" as decision:
                    return say(await self._decide(interaction, _number(words), decision))
                case _:
                    return await self._reverse(interaction, words)
        except AdjustmentError as error:
            raise UsageError(Markup(str(error))) from error

    async def press(self, interaction: Interaction) -> ApprovalOutcome:
        """Approve or decline by a button, whose message is replaced once nothing waits any more."""
        decision = "decline" if interaction.query.command == DECLINE_ADJUSTMENT else "approve"
        try:
            done = await self._decide(interaction, _number([interaction.text]), decision)
        except AdjustmentDecidedError as error:
            found = error.adjustment
            text = markup("{}: {} — {}.", bold(found.service), what_text(found), state_text(found))
            return ApprovalOutcome(Reply(text, (section(text),), seen_by_channel=True), is_final=True)
        except AdjustmentError as error:
            return ApprovalOutcome(say(Markup(str(error))), is_final=False)
        except UsageError as error:
            return ApprovalOutcome(say(error.text), is_final=False)
        return ApprovalOutcome(Reply(done, (section(done),), seen_by_channel=True), is_final=True)

    async def _ask(self, interaction: Interaction, form: str, words: Sequence[str]) -> Reply:
        shown = EXCLUDE_FORM if form == "exclude" else ADJUST_FORM
        if not words:
            raise UsageError(markup("Name the service: {}.", shown))
        service = self._status_reader.find(name(words[0]))
        if not service.slos:
            raise UsageError(markup("{} has no SLO, so there is nothing to adjust.", bold(service.name)))
        now, zone = self._clock.now(), (await self._people.zone(interaction.user)).tz
        parse = parse_exclusion if form == "exclude" else parse_correction
        typed = parse(words[1:], service, now=now, zone=zone)
        request = await self._permitted(interaction, service, "adjust the record of a budget")
        span = await self._preview.countable(service, typed.slo, typed.span, now)
        asked = Adjustment(
            id=0,
            service=service.name,
            slo=typed.slo,
            kind=AdjustmentKind.EXCLUSION if typed.bad_events is None else AdjustmentKind.CORRECTION,
            counts_as=typed.counts_as,
            span=span,
            reason=typed.reason,
            asked_by=interaction.user,
            asked_at=now,
            bad_events=typed.bad_events or 0,
            state=AdjustmentState.WAITING,
        )
        await self._registry.check(service, asked, now)
        changes = await self._preview.adding(service, asked, now)
        stored, is_new = await self._registry.ask(service, asked, changes, request=request, now=now)
        if not is_new:
            return say(markup("This was asked for already, as adjustment {}.", stored.id))
        return _asked(stored, service, changes, notes(stored, typed, changes))

    async def _decide(self, interaction: Interaction, number: int, decision: str) -> Markup:
        found, service = await self._find(number)
        who, now = interaction.user, self._clock.now()
        is_own = found.asked_by == who
        if not (is_own and decision == "decline"):
            await self._permitted(interaction, service, f"{decision} adjustments", needs_request=False)
        if decision == "decline":
            decided = await self._registry.decline(service, number, by=who, now=now)
            if decided.state is AdjustmentState.WITHDRAWN:
                return markup("{}: withdrawn. {} was asked for.", bold(service.name), _sentence(decided))
            return markup(
                "{}: declined by {}. {} asked to {}.",
                bold(service.name), mention(who), mention(found.asked_by), what_text(found),
            )  # fmt: skip
        if found.state is not AdjustmentState.WAITING:
            raise AdjustmentDecidedError(found)
        if is_own:
            raise OwnAdjustmentError
        changes = await self._preview.adding(service, found, now)
        approved = await self._registry.approve(service, number, changes, by=who, now=now)
        text = markup(
            "{}: approved by {}, asked for by {}: {}.",
            bold(service.name), mention(who), mention(found.asked_by), what_text(approved),
        )  # fmt: skip
        return join("\n", [text, changes_text(changes)])

    async def _reverse(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        number, now = _number(words), self._clock.now()
        found, service = await self._find(number)
        await self._permitted(interaction, service, "reverse adjustments")
        if found.state is not AdjustmentState.APPROVED:
            raise AdjustmentDecidedError(found)
        changes = await self._preview.removing(service, found, now)
        await self._registry.reverse(
            service, number, changes, by=interaction.user, reason=reason(words[1:]), now=now
        )
        text = markup("Adjustment {} of {} is reversed.", number, bold(service.name))
        return say(join("\n", [text, changes_text(changes)]))

    async def _list(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if len(words) != 1:
            raise UsageError(markup("Name one service: {}.", code("/budget adjustments SERVICE")))
        service = self._status_reader.find(name(words[0]))
        found = await self._registry.of_service(service.name, self._clock.now() - _LISTED)
        if not found:
            text = markup(
                "The record of {} is as it was counted: there are no adjustments.", bold(service.name)
            )
            return say(text)
        page, pages = page_of(interaction.query.page, len(found), PAGE)
        query = Query("budget", f"adjustments {service.name}", page)
        shown = found[(page - 1) * PAGE : page * PAGE]
        lines = [_listed(each) for each in shown]
        body = [
            section(line, accessory=reverse_button(each.id))
            if each.state is AdjustmentState.APPROVED
            else section(line)
            for each, line in zip(shown, lines, strict=True)
        ]
        status = await self._status_reader.service(service.name)
        how = adjusted_text(status.budgets, service)
        body.append(context(markup("Page {} of {}.", page, pages) if pages > 1 else how or _NONE_COUNTS))
        return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)

    async def _find(self, number: int) -> tuple[Adjustment, Service]:
        """Return an adjustment that may be seen here; raises `NoAdjustmentError`."""
        found, catalog = await self._registry.find(number), self._status_reader.catalog
        if not catalog.shows(found.service):
            raise NoAdjustmentError(number)
        return found, catalog.service_or_stand_in(found.service)

    async def _permitted(
        self, interaction: Interaction, service: Service, action: str, *, needs_request: bool = True
    ) -> str:
        """Return the idempotency key if the person may; raises `UsageError` with who may."""
        workspace = self._status_reader.catalog.workspace
        permission = await self._people.check_permission(
            interaction.user, workspace.of(service.name).permissions.adjusters
        )
        if not isinstance(permission, Allowed):
            raise UsageError(refusal(permission, action))
        if interaction.request is None and needs_request:
            raise UsageError(Markup("Type the command to change something."))
        return f"adjustment {interaction.request}"


_NONE_COUNTS = Markup("None of them changes the present figures.")


def notes(stored: Adjustment, typed: AdjustmentArguments, changes: Sequence[BudgetChange]) -> list[Markup]:
    """Return what whoever asks should know: a time that was widened, events that are not there."""
    found = []
    if stored.span != typed.span:
        found.append(markup("Counted in whole minutes or hours, that is {}.", time_text(stored)))
    if all(change.changes_nothing for change in changes):
        found.append(Markup(":warning: It changes nothing: there are no such events in that time."))
        return found
    if typed.bad_events is not None and typed.bad_events < 0:
        moved = max((_moved(change) for change in changes), default=0.0)
        if moved < -typed.bad_events:
            there = f"{moved:,.0f}"
            found.append(
                markup(":warning: Only {} bad events were counted then: all of them are meant.", there)
            )
    return found


def _moved(change: BudgetChange) -> float:
    return sum(-effect.bad for effect in effects_of(change.after.events) if effect.bad < 0)


def _asked(
    stored: Adjustment, service: Service, changes: Sequence[BudgetChange], remarks: Sequence[Markup]
) -> Reply:
    where = channel_link(local(service.channel))
    first = markup("{}: asked to {}, as adjustment {}.", bold(service.name), what_text(stored), stored.id)
    following = markup(
        "It counts once another person approves it: in {}, or by {}. {} withdraws it.",
        where, code(f"/budget approve {stored.id}"), code(f"/budget decline {stored.id}"),
    )  # fmt: skip
    parts = [first, join("\n", [changes_text(changes), meaning_text(stored)]), *remarks, following]
    return Reply(join("\n", parts), tuple(section(part) for part in parts if part))


def _listed(adjustment: Adjustment) -> Markup:
    text = _sentence(adjustment)
    first = markup("{} {} — {}", bold(f"{adjustment.id}."), text, state_text(adjustment))
    return join("\n", [first, markup("Why: {}", naming(adjustment.reason))])


def _sentence(adjustment: Adjustment) -> Markup:
    text = what_text(adjustment)
    return Markup(text[:1].upper() + text[1:])


def _number(words: Sequence[str]) -> int:
    number = read_number(words[0]) if words else None
    if number is None:
        form = code("/budget approve 12")
        raise UsageError(markup("Name the adjustment by its number, such as {}.", form))
    return number
