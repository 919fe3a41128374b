"""`/incident`: opens incidents, lists and shows them, and says in their channels what has become of them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from bot.formatting import budget_text, listed
from bot.incidents.incident import Severity, Status
from bot.incidents.lifecycle import NewIncident
from bot.incidents.ports import IncidentSnapshot
from bot.slack.arguments import UsageError, did_you_mean, name, read_duration, split, unquoted
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup, when
from bot.slack.incidents import arguments as incident_words
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.arguments import ROLES, person_of, split_keeping_people
from bot.slack.incidents.buttons import incident_buttons
from bot.slack.incidents.card import card_blocks
from bot.slack.incidents.modals import opening_form
from bot.slack.incidents.operations import IncidentOperations
from bot.slack.incidents.report import report_reply
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, show_button
from bot.store.addresses import local
from bot.suggestions import suggest

PAGE = 10
_MOST_LISTED = 200

Work = Callable[[Interaction, Sequence[str]], Awaitable[Reply]]


class IncidentCommand:
    """Answers `/incident`, and carries it out."""

    def __init__(self, access: IncidentAccess, deeds: IncidentOperations) -> None:
        self._access = access
        self._deeds = deeds
        self._known: Mapping[str, Work] = {
            "open": self._open,
            "list": self._list,
            "show": self._show,
            "status": self._status,
            "severity": self._severity,
            "role": self._role,
            "note": self._note,
            "impact": self._impact,
            "private": self._private,
            "snooze": self._snooze,
            "report": self._report,
        }

    async def answer(self, interaction: Interaction) -> Reply:
        """Show the incident of this channel or open one; raises `UsageError`."""
        words = split(interaction.text)
        if not words:
            here = await self._access.here(interaction.channel)
            return await self._panel(here) if here is not None else await self._form(interaction)
        work = self._known.get(words[0].casefold())
        if work is not None:
            return await work(interaction, words[1:])
        meant = did_you_mean([f"/incident {near}" for near in suggest(words[0], self._known)])
        every = markup("{} lists what there is to type.", code("/incident help"))
        raise UsageError(join(" ", [markup("{} is not known here.", code(name(words[0]))), meant, every]))

    # -- asking ------------------------------------------------------------------

    async def _panel(self, id_: int) -> Reply:
        view = await self._access.incidents.snapshots.of(id_)
        buttons = incident_buttons(view.incident)
        text = markup("Incident {}, {}: {}", id_, view.incident.status.value, bold(view.incident.title))
        hint = context(markup("Or type it: {} lists how.", code("/incident help")))
        return Reply(text, (section(text), *buttons, hint))

    async def _form(self, interaction: Interaction) -> Reply:
        await self._access.permit(interaction)
        text = markup(
            "Slack did not open the form. Type {} instead.", code("/incident open TITLE sev2 SERVICE")
        )
        form = opening_form(sorted(self._access.services), self._services_here(interaction))
        return asks_with(form, text)

    async def _list(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        service = self._access.status_reader.find(name(words[0])).name if words else None
        found = await self._access.incidents.snapshots.list(
            unresolved=service is None, service=service, limit=_MOST_LISTED
        )
        here = await self._access.here(interaction.channel)
        shown = [
            view
            for view in found
            if view.incident.id == here or self._access.may_see(view.incident, interaction.user)
        ]
        return incident_list(shown, service, interaction.query, private=here is not None)

    async def _show(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        view = await self._access.meant(interaction, words[0] if words else "")
        blocks = card_blocks(view)
        text = markup(
            "Incident {}, {}: {}", view.incident.id, view.incident.status.value, view.incident.title
        )
        query = None if view.incident.private else Query("incident", f"show {view.incident.id}")
        return Reply(text, tuple(blocks), shareable=query)

    async def _report(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant = incident_words.report(words, self._access.services)
        here, now = await self._access.here(interaction.channel), self._access.clock.now()
        report, counted = await self._access.incidents.reports.report(
            now - meant.length,
            now,
            meant.service,
            lambda incident: incident.id == here or self._access.may_see(incident, interaction.user),
        )
        return report_reply(report, interaction.query, private=sum(one.private for one in counted))

    # -- changing ----------------------------------------------------------------

    async def _open(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant = incident_words.opening(words, self._access.services)
        request = await self._access.permit(interaction)
        opening = NewIncident(
            key=f"slack {request}"[:200],
            title=meant.title,
            severity=meant.severity,
            services=meant.services or self._services_here(interaction),
            by=interaction.user,
            is_person=True,
        )
        return await self._deeds.open(opening, f"#{interaction.channel_name}")

    async def _status(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        status = _one_of(Status, words, "status")
        return await self._deeds.set_status(
            await self._permitted(interaction), Status(status), interaction.user
        )

    async def _severity(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        severity = _one_of(Severity, words, "severity")
        return await self._deeds.set_severity(
            await self._permitted(interaction), Severity(severity), interaction.user
        )

    async def _role(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        role = ROLES[_one_of(ROLES, words, "role")]
        named = split_keeping_people(interaction.text)[2:]
        person = person_of(named[0]) if named else interaction.user
        if person is None:
            said = markup("I do not know who {} is.", code(name(named[0])))
            raise UsageError(markup("{} Mention a person: {}.", said, code("/incident role commander @WHO")))
        return await self._deeds.assign(await self._permitted(interaction), role, person, interaction.user)

    async def _note(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        text = unquoted(" ".join(words))
        id_ = await self._permitted(interaction)
        return await self._deeds.note(id_, text, interaction.user, f"note {interaction.request}")

    async def _impact(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        view = await self._access.meant(interaction, form="")
        zone = await self._access.people.zone(interaction.user)
        meant = incident_words.impact(
            words, now=self._access.clock.now(), zone=zone.tz, services=view.incident.services
        )
        id_ = await self._permitted(interaction)
        return await self._deeds.state_impact(id_, meant.share, meant.impact(), interaction.user)

    async def _private(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        del words
        return await self._deeds.make_private(await self._permitted(interaction), interaction.user)

    async def _snooze(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        length = read_duration(words[0]) if words else None
        if length is None:
            raise UsageError(markup("Say for how long: {}.", code("/incident snooze 2h")))
        return await self._deeds.snooze(await self._permitted(interaction), length, interaction.user)

    async def _permitted(self, interaction: Interaction) -> int:
        """Return the number of the incident of this channel, if the person may change it."""
        view = await self._access.meant(interaction, form="")
        await self._access.permit(interaction)
        return view.incident.id

    def _services_here(self, interaction: Interaction) -> tuple[str, ...]:
        """Return the services whose channel this is: what is told there is most likely about them."""
        here = {interaction.channel, f"#{interaction.channel_name}".casefold()}
        found = self._access.status_reader.catalog.services.values()
        return tuple(one.name for one in found if {local(one.channel), local(one.channel).casefold()} & here)


def asks_with(form: ModalForm, otherwise: Markup) -> Reply:
    """Return with a form, and in words should Slack not open it."""
    return Reply(otherwise, (section(otherwise),), form=form)


def incident_list(
    snapshots: Sequence[IncidentSnapshot], service: str | None, query: Query, *, private: bool = False
) -> Reply:
    """List incidents, newest first: those still open, or all of a service; `private` ones are not shared."""
    if not snapshots:
        nothing = markup("No incident of {} is known.", bold(service)) if service else "No incident is open."
        text = markup("{} Next: {} opens one.", nothing, code("/incident"))
        return Reply(text, (section(text),))
    page, pages = page_of(query.page, len(snapshots), PAGE)
    shown = snapshots[(page - 1) * PAGE : page * PAGE]
    body = [
        section(_row(view), accessory=next(iter(show_button("Details", _details(view))), None))
        for view in shown
    ]
    is_open = sum(view.incident.resolved_at is None for view in snapshots)
    count = f"{is_open} open" if service is None else f"{len(snapshots)} incidents, {is_open} open"
    body.append(context(count if pages == 1 else f"{count} · page {page} of {pages}"))
    asked = Query("incident", f"list {service or ''}".strip(), page)
    hidden = private or any(view.incident.private for view in snapshots)
    text = join("\n", [_row(view) for view in shown])
    return Reply(text, tuple(body), page_buttons(asked, pages), None if hidden else asked)


def _details(view: IncidentSnapshot) -> Query:
    return Query("incident", f"show {view.incident.id}")


def _row(view: IncidentSnapshot) -> Markup:
    incident = view.incident
    worst = max(view.cost.values(), default=0.0)
    spent = markup("{} of a budget spent", budget_text(worst)) if worst > 0 else ""
    where = Markup(f"<#{local(channel)}>") if (channel := view.channel_id()) else ""
    first = markup(
        "{}. {} {} — {}", incident.id, incident.severity.value, incident.status.value, bold(incident.title)
    )
    facts = [listed(incident.services), when(incident.opened_at), spent, where]
    return join("\n", [first, join(" · ", facts)])


def _one_of(known: Iterable[str], words: Sequence[str], subcommand: str) -> str:
    """Read one of the words there are; raises `UsageError` with all of them."""
    names = [str(each) for each in known]
    word = words[0].casefold() if words else ""
    if word in names:
        return word
    form = Markup(listed([code(each) for each in names], "or"))
    said = markup("{} is not a {}. ", code(name(words[0])), subcommand) if words else Markup("")
    raise UsageError(markup("{}Write {} and {}.", said, code(f"/incident {subcommand}"), form))
