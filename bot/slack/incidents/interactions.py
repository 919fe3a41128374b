"""The interactions about incidents: commands, pressed buttons, submitted modals, reactions."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.incident import CauseClass, Incident, IncidentChange, Role, Status
from bot.incidents.postmortem import PostmortemPart
from bot.slack.arguments import UsageError
from bot.slack.blockkit.modals import ModalForm, SubmittedModal
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.capabilities import Capabilities
from bot.slack.incidents import buttons, modals
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.action_command import ActionCommand
from bot.slack.incidents.causes.command import CauseCommand
from bot.slack.incidents.command import IncidentCommand, form_reply
from bot.slack.incidents.correction_forms import rename_faults
from bot.slack.incidents.corrections import IncidentCorrections
from bot.slack.incidents.operations import IncidentOperations
from bot.slack.incidents.postmortem_command import PostmortemCommand
from bot.slack.incidents.shortcuts import IncidentShortcuts, ShortcutUse
from bot.slack.incidents.timeline_pins import TimelinePins
from bot.slack.interactions import Interaction, Query, Reply, say
from bot.slack.permissions import People
from bot.slack.typed.numbers import read_number
from bot.slack.webapi.canvases import SlackCanvases
from bot.slack.webapi.files import SlackFiles

Validation = Callable[[SubmittedModal, datetime], dict[str, str]]
Submission = Callable[[SubmittedModal, int], Awaitable[Reply]]

_NO_FORM = Markup("Slack did not open the form. Press the button again.")
_VALIDATIONS: Mapping[str, Validation] = {
    modals.OPEN: modals.opening_faults,
    buttons.NOTE: modals.note_faults,
    buttons.IMPACT: modals.impact_faults,
    buttons.TIMES: modals.times_faults,
    buttons.ADD_ACTION: modals.action_faults,
    buttons.RENAME: rename_faults,
}
_FORMS: Mapping[str, Callable[[Incident], ModalForm]] = {
    buttons.NOTE: modals.note_form,
    buttons.IMPACT: modals.impact_form,
    buttons.RESOLVE: modals.resolve_form,
    buttons.CAUSE: modals.cause_form,
    buttons.TIMES: modals.times_form,
    buttons.ADD_ACTION: modals.action_form,
}


class IncidentInteractions:
    """All that people of a workspace do with incidents. `access` finds them, `pins` follows reactions."""

    def __init__(self, capabilities: Capabilities, people: People, client: AsyncWebClient) -> None:
        incidents = capabilities.incidents
        self.access = access = IncidentAccess(capabilities, people)
        self._operations = IncidentOperations(access, incidents)
        self._corrections = IncidentCorrections(access, incidents.lifecycle, incidents.merging)
        self._causes = CauseCommand(access, incidents.lifecycle.causes)
        self.incident = IncidentCommand(
            access, incidents.reports, self._operations, self._corrections, self._causes
        )
        self.postmortem = PostmortemCommand(access, incidents, SlackFiles(client), SlackCanvases(client))
        self.action = ActionCommand(access)
        self.pins = TimelinePins(access, incidents.lifecycle, client)
        self.shortcuts = IncidentShortcuts(access, incidents.lifecycle, client)
        self._submissions: Mapping[str, Submission] = {
            buttons.NOTE: self._note,
            buttons.IMPACT: self._impact,
            buttons.RESOLVE: self._resolve,
            buttons.CAUSE: self._cause,
            buttons.TIMES: self._times,
            buttons.ADD_ACTION: self._add_action,
            buttons.RENAME: self._corrections.save,
            buttons.CANCEL: self._corrections.submit_cancel,
            buttons.MERGE: self._corrections.submit_merge,
            buttons.CAUSED_BY: self._causes.submit,
        }

    async def press(self, interaction: Interaction) -> Reply:
        """Carry out a press; its `query` is the button and the number of the incident or action."""
        try:
            if interaction.query.command == buttons.OPEN_FORM:
                return await self.incident.form(interaction)
            if interaction.query.command in buttons.DONE_BUTTONS:
                return await self._done(interaction)
            return await self._press(interaction, interaction.query.command)
        except UsageError as hint:
            return say(hint.text)

    async def use_shortcut(self, use: ShortcutUse) -> Reply:
        """Carry out a shortcut."""
        try:
            return await self.shortcuts.use(use)
        except UsageError as hint:
            return say(hint.text)

    def faults(self, submitted: SubmittedModal) -> dict[str, str]:
        """Return what is wrong with a submitted modal, by the name of the input; empty if nothing."""
        validate = _VALIDATIONS.get(submitted.callback)
        return validate(submitted, self.access.now()) if validate else {}

    async def submit(self, submitted: SubmittedModal) -> Reply:
        """Carry out a submitted modal, if the person may."""
        try:
            await self.access.permit_person(submitted.user)
            if submitted.callback == modals.OPEN:
                opening = await self.shortcuts.opening(submitted)
                here = (submitted.channel, await self.shortcuts.channel_name(submitted.channel))
                return await self._operations.open(opening, here)
            if submitted.callback == modals.ADD_MESSAGE:
                return await self.shortcuts.add_to_chosen(submitted)
            id_ = await self._incident_id(submitted)
            if submitted.callback.startswith(buttons.EDIT):
                part = PostmortemPart(submitted.callback.removeprefix(buttons.EDIT))
                return await self.postmortem.write(id_, part, submitted.text("text"), submitted.user)
            reply = await self._submissions[submitted.callback](submitted, id_)
            return await self.access.told_in_own_channel(reply, id_, submitted.channel)
        except UsageError as hint:
            return say(hint.text)

    async def _done(self, interaction: Interaction) -> Reply:
        """Mark an action as done by one of its buttons."""
        number, _, place = interaction.text.partition("/")
        query = Query("action", f"done {_number(number)}")
        reply = await self.action.answer(replace(interaction, query=query))
        match interaction.query.command:
            case buttons.DONE_HERE:
                return replace(reply, replaces=True)
            case buttons.DONE_LISTED:
                page, _, service = place.partition("/")
                listed = Query("action", f"list {service}".strip(), _number(page))
                return replace(reply, redrawn=listed)
            case _:
                return reply

    async def _press(self, interaction: Interaction, button: str) -> Reply:
        here = await self.access.incident_of_channel(interaction.channel)
        snapshot = await self.access.by_id(_number(interaction.text), interaction.user, here)
        if button == buttons.EXPORT:
            return await self.postmortem.export(snapshot, interaction.user)
        if button == buttons.SHOW_POSTMORTEM:
            return await self.postmortem.show(snapshot)
        await self.access.permit(interaction)
        form = _form(button, snapshot.incident)
        form = form or self._corrections.form(button, snapshot.incident)
        if form is not None:
            return form_reply(form, _NO_FORM)
        if button == buttons.MERGE:
            return await self._corrections.ask_target(snapshot.incident, interaction.user)
        if button == buttons.CAUSED_BY:
            return await self._causes.ask(snapshot)
        reply = await self._change(button, snapshot.incident.id, interaction.user)
        return await self.access.told_in_own_channel(reply, snapshot.incident.id, interaction.channel)

    async def _change(self, button: str, id_: int, by: str) -> Reply:
        if button.startswith(buttons.STATUS):
            return await self._operations.set_status(id_, Status(button.removeprefix(buttons.STATUS)), by)
        if button == buttons.REOPEN:
            return await self._corrections.reopen(id_, by)
        if button == buttons.CLAIM:
            return await self._operations.assign(id_, Role.COMMANDER, by, by)
        if button == buttons.OPEN_POSTMORTEM:
            return await self.postmortem.open(id_, by)
        if button == buttons.CLOSE:
            return await self.postmortem.close(id_, by, confirmed=True)
        raise ValueError(f"there is no button {button}")

    async def _incident_id(self, submitted: SubmittedModal) -> int:
        """Return the incident that a modal is about, if the person may see it. Raises `UsageError`."""
        here = await self.access.incident_of_channel(submitted.channel)
        return (await self.access.by_id(_number(submitted.about), submitted.user, here)).incident.id

    async def _note(self, submitted: SubmittedModal, id_: int) -> Reply:
        request = f"note {submitted.id}"
        return await self._operations.note(id_, submitted.text("text"), submitted.user, request)

    async def _impact(self, submitted: SubmittedModal, id_: int) -> Reply:
        impact = modals.read_impact(submitted)
        return await self._operations.state_impact(id_, impact.share, impact, submitted.user)

    async def _resolve(self, submitted: SubmittedModal, id_: int) -> Reply:
        summary = submitted.text("summary")
        return await self._operations.set_status(id_, Status.RESOLVED, submitted.user, summary)

    async def _cause(self, submitted: SubmittedModal, id_: int) -> Reply:
        return await self.postmortem.classify(id_, CauseClass(submitted.text("cause")), submitted.user)

    async def _times(self, submitted: SubmittedModal, id_: int) -> Reply:
        change = IncidentChange(
            started_at=submitted.moment("started_at"), ended_at=submitted.moment("ended_at")
        )
        return await self.postmortem.correct(id_, change, submitted.user)

    async def _add_action(self, submitted: SubmittedModal, id_: int) -> Reply:
        action, request = modals.read_action(submitted), f"action {submitted.id}"
        return await self.action.add(action, id_, submitted.user, request)


def _form(button: str, incident: Incident) -> ModalForm | None:
    """Return the modal that a button opens, if it opens one."""
    if button.startswith(buttons.EDIT):
        return modals.part_form(incident, PostmortemPart(button.removeprefix(buttons.EDIT)))
    if button == buttons.RESOLVE and incident.status.is_over:
        return None
    form_of = _FORMS.get(button)
    return form_of(incident) if form_of else None


def _number(text: str) -> int:
    number = read_number(text)
    if number is None:
        raise ValueError("a button carried no incident")
    return number
