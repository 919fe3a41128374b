"""`/freeze`: what is frozen and why; placing and lifting holds, and exempting one change."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import UnmetRequirement
from bot.freezes.exemptions.listing import ExemptionListing, read_listing
from bot.freezes.exemptions.requests import USUAL_LENGTH
from bot.freezes.hold import Hold, HoldKind, holds_in_force, observed_holds
from bot.freezes.hold_registry import AlreadyRequestedError, NothingToLiftError, OwnHoldError
from bot.freezes.status import UnknownServiceError
from bot.freezes.transition import HoldPlaced
from bot.slack.announcements.budget_phrases import hold_text, unmet_requirements_text
from bot.slack.announcements.freeze_buttons import replace_buttons
from bot.slack.announcements.freezes import lifted_text
from bot.slack.announcements.observed import would_be_frozen_text
from bot.slack.arguments import UsageError, name, reason, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, when
from bot.slack.blockkit.tables import MANY, ROWS, table, text_cell, time_cell
from bot.slack.capabilities import Capabilities
from bot.slack.commands.cells import owners_cell
from bot.slack.exemptions.forms import MOST_CHANGE
from bot.slack.exemptions.listing import exempt_changes, exempt_lines
from bot.slack.freezes.bulk import BulkFreezes
from bot.slack.freezes.permission import require_permission
from bot.slack.freezes.schedules import FreezeScheduleForms
from bot.slack.interactions import Interaction, Query, Reply, changed, page_buttons, page_of, say, show_menu
from bot.slack.permissions import People
from bot.slack.typed.ends import EndTime
from bot.slack.typed.words import take_name
from bot.slack.typed.zones import end_reader

_HEADINGS = ("Service", "Frozen by", "Since", "Until", "Reason", "Exempt")


class FreezeCommand:
    """The `/freeze` command."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._hold_registry = capabilities.hold_registry
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._people = people
        self._bulk = BulkFreezes(capabilities, people)
        self._schedules = FreezeScheduleForms(capabilities, people)

    async def answer(self, interaction: Interaction) -> Reply:  # noqa: PLR0911 - one return a form
        """Return the holds, or change them; raises `UsageError`, `UnknownServiceError`."""
        words = split(interaction.text)
        if [word.casefold() for word in words] == ["list"]:
            words = []
        match [word.casefold() for word in words[:1]]:
            case []:
                return await self._list(interaction.query)
            case ["schedule" | "schedules"]:
                return await self._schedules.answer(interaction, words[1:])
            case ["all" | "label" | "labels"]:
                return await self._bulk.place(interaction, words)
            case ["lift"] if [word.casefold() for word in words[1:2]] in (["all"], ["label"], ["labels"]):
                return await self._bulk.lift(interaction, words[1:])
            case ["replace"]:
                return await self._place(interaction, words[1:], replacing=True)
            case ["lift"]:
                return await self._lift(interaction, words[1:])
            case ["exempt"]:
                return await self._exempt(interaction, words[1:])
            case _:
                return await self._place(interaction, words)

    async def _list(self, query: Query) -> Reply:
        now, catalog = self._clock.now(), self._status_reader.catalog
        current = [hold for hold in await self._hold_registry.current(now) if catalog.shows(hold.service)]
        holds = holds_in_force(current, now)
        missing = await self._hold_registry.missing(catalog.services.values(), holds)
        async with self._database.reading() as connection:
            exempt = await read_listing(connection, {hold.service for hold in holds}, now)
        return all_holds(holds, query, missing, exempt, observed_holds(current, now))

    async def _place(
        self, interaction: Interaction, words: Sequence[str], *, replacing: bool = False
    ) -> Reply:
        if not words:
            raise UsageError(markup("Name the service: {}.", code("/freeze replace SERVICE REASON")))
        service = self._status_reader.find(name(words[0]))
        until, rest = await self._end(interaction, words[1:])
        why = reason(rest)
        if not why:
            raise UsageError(
                markup("Say why, so that everyone knows: {}.", code(f"/freeze {service.name} for 4h REASON"))
            )
        request = await require_permission(
            self._people,
            interaction,
            self._status_reader.catalog.workspace.permissions.freeze,
            "freeze a service",
        )
        try:
            placed = await self._hold_registry.place(
                service,
                by=interaction.user,
                reason=why,
                until=until.at if until else None,
                request=request,
                now=self._clock.now(),
                replacing=replacing,
            )
        except AlreadyRequestedError:
            return say(markup("{} was frozen by this request already.", bold(service.name)))
        except OwnHoldError as error:
            return _offer_to_replace(service, error.holds, " ".join(words))
        return self._changed(interaction, service, _placed(placed), _end_note(until))

    async def _lift(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if not words:
            raise UsageError(markup("Name the service: {}.", code("/freeze lift SERVICE")))
        service = await self._find_held(name(words[0]))
        why = reason(words[1:])
        request = await require_permission(
            self._people,
            interaction,
            self._status_reader.catalog.workspace.permissions.freeze,
            "lift a freeze",
        )
        now = self._clock.now()
        try:
            lifted = await self._hold_registry.lift(
                service, by=interaction.user, reason=why, now=now, request=request
            )
        except AlreadyRequestedError:
            return say(markup("{} was lifted by this request already.", bold(service.name)))
        except NothingToLiftError as error:
            return say(_nothing_to_lift(service, error.holds))
        others = await self._hold_registry.holds(now, service.name)
        done = _lifted(service, lifted_text(interaction.user, why, len(lifted)), others)
        return self._changed(interaction, service, done)

    async def _find_held(self, name_: str) -> Service:
        """Return the service, also one that left the policies and is held; raises `UnknownServiceError`."""
        try:
            return self._status_reader.find(name_)
        except UnknownServiceError:
            key, catalog = name_.strip().casefold(), self._status_reader.catalog
            if not catalog.shows(key) or not await self._hold_registry.holds(self._clock.now(), key):
                raise
            return catalog.service_or_stand_in(key)

    async def _exempt(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        form = code("/freeze exempt SERVICE CHANGE REASON")
        if len(words) < 2:
            raise UsageError(markup("Name the service and the change: {}.", form))
        service = self._status_reader.find(name(words[0]))
        change, rest = take_name(words[1:])
        if not 0 < len(change) <= MOST_CHANGE:
            raise UsageError(markup("Give the change a short name, such as PR-12: {}.", form))
        until, rest = await self._end(interaction, rest)
        why = reason(rest)
        if not why:
            raise UsageError(markup("Say why, so that everyone knows: {}.", form))
        request = await require_permission(
            self._people,
            interaction,
            self._status_reader.catalog.workspace.permissions.exempt,
            "exempt a change",
        )
        try:
            await self._hold_registry.exempt(
                service,
                change=change,
                by=interaction.user,
                reason=why,
                until=until.at if until else self._clock.now() + USUAL_LENGTH,
                request=request,
                now=self._clock.now(),
            )
        except AlreadyRequestedError:
            return say(markup("{} was exempted by this request already.", code(change)))
        length = _until_text(until) or Markup(" for a day")
        done = markup("{} may ship once to {}{}: {}", code(change), bold(service.name), length, why)
        return self._changed(interaction, service, done, _end_note(until))

    async def _end(self, interaction: Interaction, words: Sequence[str]) -> tuple[EndTime | None, list[str]]:
        return (await end_reader(self._people, interaction.user, words, self._clock.now())).read(words)

    def _changed(
        self, interaction: Interaction, service: Service, done: Markup, note: Markup = NOTHING
    ) -> Reply:
        """Return the reply: private where the announcement appears anyway, else for the channel."""
        announced_in = (self._status_reader.catalog.workspace.announcements, service.channel)
        return changed(interaction, announced_in, done, note)


def all_holds(
    holds: Sequence[Hold],
    query: Query,
    missing: Mapping[str, Sequence[UnmetRequirement]] | None = None,
    exempt: Mapping[str, ExemptionListing] | None = None,
    observed: Sequence[Hold] = (),
) -> Reply:
    """Return what is frozen and by service what is exempt, then what would be frozen but for its policy.

    `missing` are the unmet requirements, by service, that keep a budget's hold.
    """
    missing, exempt = missing or {}, exempt or {}
    frozen = list(dict.fromkeys(hold.service for hold in holds))
    services = list(dict.fromkeys([*frozen, *(hold.service for hold in observed)]))
    would_be = len(services) - len(frozen)
    count = f"{len(frozen)} frozen{f', {would_be} would be' if would_be else ''}"
    if len(services) > MANY:
        together = sorted([*holds, *observed], key=lambda hold: services.index(hold.service))
        return _many_holds(together, count, exempt, query)
    paragraphs = [] if frozen else [Markup("Nothing is frozen.")]
    paragraphs += [
        _held(
            service,
            [hold for hold in holds if hold.service == service],
            missing.get(service, ()),
            exempt.get(service, ExemptionListing()),
            [hold for hold in observed if hold.service == service],
        )
        for service in services
    ]
    body = [section(paragraph) for paragraph in paragraphs]
    if services:
        body.append(context(count))
    return Reply(join("\n", paragraphs), tuple(body), shareable=replace(query, text="", page=1))


def _many_holds(
    holds: Sequence[Hold], count: str, exempt: Mapping[str, ExemptionListing], query: Query
) -> Reply:
    """Return a page of a table of holds, those of one service together."""
    page, pages = page_of(query.page, len(holds), ROWS)
    query = replace(query, text="", page=page)
    shown = holds[(page - 1) * ROWS : page * ROWS]
    rows = [
        [
            text_cell(hold.service),
            owners_cell([hold]),
            time_cell(hold.since),
            time_cell(hold.until),
            text_cell(_reason(hold)),
            text_cell(exempt_changes(exempt.get(hold.service, ExemptionListing()))),
        ]
        for hold in shown
    ]
    names = dict.fromkeys(hold.service for hold in shown)
    body = [
        *table("What is frozen", _HEADINGS, rows),
        context(count if pages == 1 else f"{count} · page {page} of {pages}"),
        *show_menu("What does it take to open…", [(each, Query("ship", each)) for each in names]),
    ]
    lines = [
        markup(
            "{} — {}", bold(hold.service), would_be_frozen_text([hold]) if hold.observed else hold_text(hold)
        )
        for hold in shown
    ]
    return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)


def _reason(hold: Hold) -> str:
    return f"would be frozen: {hold.reason}" if hold.observed else hold.reason


def _held(
    service: str,
    holds: Sequence[Hold],
    missing: Sequence[UnmetRequirement],
    exempt: ExemptionListing,
    observed: Sequence[Hold],
) -> Markup:
    lines = [markup("• {}", hold_text(hold)) for hold in holds[:5]]
    more = f"and {len(holds) - 5} more" if len(holds) > 5 else ""
    name = markup("{}{}", Markup(":snowflake: ") if holds else "", bold(service))
    needs = unmet_requirements_text(missing, service)
    return join("\n", [name, *lines, more, needs, *exempt_lines(exempt), would_be_frozen_text(observed)])


def _placed(placed: HoldPlaced) -> Markup:
    hold = placed.hold
    until = markup("until {}", when(hold.until)) if hold.until else Markup("until somebody lifts it")
    done = markup(
        ":snowflake: {} is frozen — by {} {}: {}", bold(hold.service), mention(hold.by), until, hold.reason
    )
    return join("\n", [done, *(markup("In place of: {}", each.reason) for each in placed.replaced)])


def _offer_to_replace(service: Service, own: Sequence[Hold], arguments: str) -> Reply:
    """Return the question whether a new hold replaces the person's own, with a button for yes."""
    lines = [markup("• {}", hold_text(hold)) for hold in own[:5]]
    text = join(
        "\n",
        [
            markup("You hold {} already, so nothing was changed:", bold(service.name)),
            *lines,
            markup("Next: replace that with the new hold, or type {}.", code(f"/freeze replace {arguments}")),
        ],
    )
    return Reply(text, (section(text),), replace_buttons(arguments))


def _lifted(service: Service, done: Markup, others: Sequence[Hold]) -> Markup:
    if not others:
        return markup(":white_check_mark: {} is open again — {}", bold(service.name), done)
    still = [markup("• {}", hold_text(hold)) for hold in others[:5]]
    return join("\n", [markup("{} still may not ship — {}", bold(service.name), done), *still])


def _nothing_to_lift(service: Service, holds: Sequence[Hold]) -> Markup:
    if not holds:
        return markup("{} is open: there is nothing to lift.", bold(service.name))
    lines = [markup("• {}", hold_text(hold)) for hold in holds[:5]]
    by_budget = any(hold.kind is HoldKind.BUDGET for hold in holds)
    how = (
        markup(
            "Governor lifts its own once the budget has recovered. One change can pass: {}.",
            code(f"/freeze exempt {service.name} CHANGE REASON"),
        )
        if by_budget
        else Markup("Each ends when its cause does.")
    )
    return join(
        "\n",
        [
            markup("No person holds {}, so there is nothing to lift. It is held by:", bold(service.name)),
            *lines,
            how,
        ],
    )


def _until_text(until: EndTime | None) -> Markup:
    return markup(" until {}", when(until.at)) if until else Markup("")


def _end_note(until: EndTime | None) -> Markup:
    if until is None or until.zone is None:
        return Markup("")
    return markup("Ends {}; times are read in the zone {}.", when(until.at), until.zone)
