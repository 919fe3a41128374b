"""The `/incident` command: opens incidents, lists and shows them, changes them in their channels."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from bot.formatting import listed
from bot.incidents.incident import Severity, Status
from bot.incidents.lifecycle import NewIncident
from bot.incidents.report_reader import ReportReader
from bot.incidents.visibility import ANYBODY, may_see
from bot.slack.arguments import UsageError, did_you_mean, name, split, unquoted
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.modals import MOST_TEXT, ModalForm
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.arguments import (
    ROLES,
    parse_impact,
    parse_opening,
    parse_report,
    person_of,
    split_keeping_people,
)
from bot.slack.incidents.buttons import incident_buttons
from bot.slack.incidents.card import card_blocks
from bot.slack.incidents.causes.command import CauseCommand
from bot.slack.incidents.corrections import IncidentCorrections
from bot.slack.incidents.modals import opening_form
from bot.slack.incidents.operations import IncidentOperations
from bot.slack.incidents.queries.listing import incident_list
from bot.slack.incidents.queries.report import report_reply
from bot.slack.interactions import Interaction, Query, Reply
from bot.slack.synonyms import meant
from bot.slack.typed.lengths import read_length
from bot.slack.typed.severities import read_severity, severity_of_number
from bot.slack.typed.words import plain

_MOST_LISTED = 200

Subcommand = Callable[[Interaction, Sequence[str]], Awaitable[Reply]]


class IncidentCommand:
    """The `/incident` command, a method for each subcommand."""

    def __init__(
        self,
        access: IncidentAccess,
        reports: ReportReader,
        operations: IncidentOperations,
        corrections: IncidentCorrections,
        causes: CauseCommand,
    ) -> None:
        self._access = access
        self._snapshots = access.snapshots
        self._reports = reports
        self._operations = operations
        self._subcommands: Mapping[str, Subcommand] = {
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
            "caused-by": causes.answer,
            "caused": causes.answer,
            **corrections.subcommands,
        }

    async def answer(self, interaction: Interaction) -> Reply:
        """Carry out a subcommand; without one show the incident of this channel or open one.

        Raises `UsageError`.
        """
        arguments = split(interaction.text)
        if not arguments:
            here = await self._access.incident_of_channel(interaction.channel)
            return await self._panel(here) if here is not None else await self.form(interaction)
        subcommand = self._subcommands.get(arguments[0].casefold())
        if subcommand is not None:
            return await subcommand(interaction, arguments[1:])
        suggestion = did_you_mean(meant("incident", arguments, self._subcommands))
        help_ = markup("{} lists the commands.", code("/incident help"))
        unknown = markup("I do not know {}.", code(name(arguments[0])))
        raise UsageError(join(" ", [unknown, suggestion, help_]))

    # -- queries ------------------------------------------------------------------

    async def _panel(self, id_: int) -> Reply:
        snapshot = await self._snapshots.of(id_)
        buttons = incident_buttons(snapshot.incident)
        text = markup(
            "Incident {}, {}: {}", id_, snapshot.incident.status.value, bold(snapshot.incident.title)
        )
        hint = context(markup("Or type it: {} shows how.", code("/incident help")))
        return Reply(text, (section(text), *buttons, hint))

    async def form(self, interaction: Interaction) -> Reply:
        """Open the form for a new incident, if the person may open one. Raises `UsageError`."""
        await self._access.permit(interaction)
        text = markup(
            "Slack did not open the form. Type {} instead.", code("/incident open TITLE sev2 SERVICE")
        )
        form = opening_form(sorted(self._access.services), self._access.services_of_channel(interaction))
        return form_reply(form, text)

    async def _list(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        service = self._access.find_service(name(arguments[0])).name if arguments else None
        viewer = await self._access.viewer(interaction)
        snapshots = await self._snapshots.list(
            viewer, unresolved=service is None, service=service, limit=_MOST_LISTED
        )
        shown = [snapshot for snapshot in snapshots if self._access.may_see(snapshot.incident, viewer)]
        return incident_list(shown, service, interaction.query, private=viewer.here is not None)

    async def _show(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        snapshot = await self._access.find(interaction, arguments[0] if arguments else "")
        blocks = card_blocks(snapshot)
        text = markup(
            "Incident {}, {}: {}",
            snapshot.incident.id,
            snapshot.incident.status.value,
            snapshot.incident.title,
        )
        is_public = may_see(snapshot.incident, ANYBODY)
        query = Query("incident", f"show {snapshot.incident.id}") if is_public else None
        return Reply(text, tuple(blocks), shareable=query)

    async def _report(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        parsed = parse_report(arguments, self._access.services)
        viewer, now = await self._access.viewer(interaction), self._access.now()
        report, counted = await self._reports.report(
            now - parsed.length,
            now,
            parsed.service,
            lambda incident: self._access.may_see(incident, viewer),
        )
        private = sum(not may_see(incident, ANYBODY) for incident in counted)
        return report_reply(report, interaction.query, private=private)

    # -- changes ----------------------------------------------------------------

    async def _open(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        parsed = parse_opening(arguments, self._access.services)
        request = await self._access.permit(interaction)
        opening = NewIncident(
            key=f"slack {request}"[:200],
            title=parsed.title,
            severity=parsed.severity,
            services=parsed.services or self._access.services_of_channel(interaction),
            by=interaction.user,
            is_person=True,
        )
        return await self._operations.open(opening, (f"#{interaction.channel_name}", interaction.channel))

    async def _status(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        status = _one_of(Status, arguments, "status")
        if status == Status.MERGED:
            return await self._subcommands["merge"](interaction, arguments[1:])
        if status == Status.CANCELLED:
            return await self._subcommands["cancel"](interaction, arguments[1:])
        summary = unquoted(" ".join(arguments[1:])) if status == Status.RESOLVED.value else ""
        return await self._operations.set_status(
            await self._permitted(interaction), Status(status), interaction.user, summary[:MOST_TEXT]
        )

    async def _severity(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        read = read_severity(arguments)
        number = severity_of_number(arguments[0]) if arguments else None
        severity = read[0] if read else number or Severity(_one_of(Severity, arguments, "severity"))
        return await self._operations.set_severity(
            await self._permitted(interaction), severity, interaction.user
        )

    async def _role(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        role = ROLES[_one_of(ROLES, arguments, "role")]
        named = split_keeping_people(interaction.text)[2:]
        person = person_of(named[0]) if named else interaction.user
        if person is None:
            unknown = markup("I do not know who {} is.", code(name(named[0])))
            raise UsageError(
                markup("{} Mention a person: {}.", unknown, code("/incident role commander @WHO"))
            )
        id_ = await self._permitted(interaction)
        await self._access.permit_role(person)
        return await self._operations.assign(id_, role, person, interaction.user)

    async def _note(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        text = unquoted(" ".join(arguments))
        id_ = await self._permitted(interaction)
        return await self._operations.note(id_, text, interaction.user, f"note {interaction.request}")

    async def _impact(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        snapshot = await self._access.find(interaction, form="")
        zone = await self._access.people.zone(interaction.user)
        parsed = parse_impact(
            arguments, now=self._access.now(), zone=zone.tz, services=snapshot.incident.services
        )
        id_ = await self._permitted(interaction)
        return await self._operations.state_impact(id_, parsed.share, parsed.impact(), interaction.user)

    async def _private(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        del arguments
        return await self._operations.make_private(await self._permitted(interaction), interaction.user)

    async def _snooze(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        is_for = bool(arguments) and plain(arguments[0]) == "for"
        read = read_length(arguments[1:] if is_for else arguments)
        if read is None:
            raise UsageError(markup("Say for how long: {}.", code("/incident snooze 2h")))
        return await self._operations.snooze(await self._permitted(interaction), read[0], interaction.user)

    async def _permitted(self, interaction: Interaction) -> int:
        """Return the number of the incident of this channel, if the person may change it."""
        snapshot = await self._access.find(interaction, form="")
        await self._access.permit(interaction)
        return snapshot.incident.id


def form_reply(form: ModalForm, otherwise: Markup) -> Reply:
    """Return a reply that opens a modal, and shows a text should Slack not open it."""
    return Reply(otherwise, (section(otherwise),), form=form)


def _one_of(known: Iterable[str], arguments: Sequence[str], subcommand: str) -> str:
    """Return the first argument if it is one of `known`; raises `UsageError` with all of them."""
    names = [str(value) for value in known]
    word = arguments[0].casefold() if arguments else ""
    if word in names:
        return word
    form = Markup(listed([code(name_) for name_ in names], "or"))
    mistake = markup("{} is not a {}. ", code(name(arguments[0])), subcommand) if arguments else Markup("")
    raise UsageError(markup("{}Write {} and {}.", mistake, code(f"/incident {subcommand}"), form))
