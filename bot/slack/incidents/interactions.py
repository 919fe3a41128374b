"""Where everything about incidents arrives: commands, presses of buttons, forms that were filled in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.incident import CauseClass, Incident, IncidentChange, Role, Status
from bot.incidents.postmortem import PostmortemPart
from bot.slack import postmortem_form
from bot.slack.action_form import action_faults, action_form, read_action
from bot.slack.arguments import UsageError
from bot.slack.blockkit.modals import ModalForm, SubmittedModal
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.capabilities import Capabilities
from bot.slack.incidents import buttons
from bot.slack.incidents import modals as incident_form
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.action_command import ActionCommand
from bot.slack.incidents.command import IncidentCommand, asks_with
from bot.slack.incidents.operations import IncidentOperations
from bot.slack.incidents.postmortem_command import PostmortemCommand
from bot.slack.incidents.timeline_pins import TimelinePins
from bot.slack.interactions import Interaction, Query, Reply, say
from bot.slack.permissions import People
from bot.slack.webapi.canvases import SlackCanvases
from bot.slack.webapi.files import SlackFiles
from bot.store.addresses import local

Faults = Callable[[SubmittedModal, datetime], dict[str, str]]
Carry = Callable[[SubmittedModal, int], Awaitable[Reply]]

_NO_FORM = Markup("Slack did not open the form. Press the button again.")
_FAULTS: Mapping[str, Faults] = {
    incident_form.OPEN: incident_form.opening_faults,
    buttons.NOTE: incident_form.note_faults,
    buttons.IMPACT: incident_form.impact_faults,
    buttons.TIMES: postmortem_form.times_faults,
    buttons.ADD_ACTION: action_faults,
}
_FORMS: Mapping[str, Callable[[Incident], ModalForm]] = {
    buttons.NOTE: incident_form.note_form,
    buttons.IMPACT: incident_form.impact_form,
    buttons.CAUSE: postmortem_form.cause_form,
    buttons.TIMES: postmortem_form.times_form,
    buttons.ADD_ACTION: action_form,
}


class IncidentInteractions:
    """Answers whatever people do about incidents. `access` finds them, `pins` follows people's reactions."""

    def __init__(self, capabilities: Capabilities, people: People, client: AsyncWebClient) -> None:
        self.access = IncidentAccess(capabilities, people)
        self._deeds = IncidentOperations(self.access)
        self.incident = IncidentCommand(self.access, self._deeds)
        self.postmortem = PostmortemCommand(self.access, SlackFiles(client), SlackCanvases(client))
        self.action = ActionCommand(self.access)
        self.pins = TimelinePins(self.access, client)
        self._carriers: Mapping[str, Carry] = {
            buttons.NOTE: self._note,
            buttons.IMPACT: self._impact,
            buttons.CAUSE: self._cause,
            buttons.TIMES: self._times,
            buttons.ADD_ACTION: self._add_action,
        }

    async def press(self, interaction: Interaction) -> Reply:
        """Return a press; `ask.question` is the button and the number of what it is about."""
        try:
            if interaction.query.command == buttons.DONE:
                order = Query("action", f"done {_number(interaction.text)}")
                return await self.action.answer(replace(interaction, query=order))
            return await self._press(interaction, interaction.query.command)
        except UsageError as hint:
            return say(hint.text)

    async def channel_of(self, deed: str, about: str) -> str:
        """Return the channel that sees what a button does to an incident, empty where there is none."""
        if deed == buttons.DONE:
            return ""
        view = await self.access.incidents.snapshots.of(_number(about))
        return local(view.channel_id() or "")

    def faults(self, submitted: SubmittedModal) -> dict[str, str]:
        """Return what is wrong with what was filled in, by the name of the input; empty if nothing."""
        find = _FAULTS.get(submitted.callback)
        return find(submitted, self.access.clock.now()) if find else {}

    async def submit(self, submitted: SubmittedModal) -> Reply:
        """Carry out what was filled in, if the person may."""
        try:
            await self.access.permit_person(submitted.user)
            if submitted.callback == incident_form.OPEN:
                return await self._deeds.open(incident_form.read_opening(submitted), submitted.channel)
            id_ = await self._about(submitted)
            if submitted.callback.startswith(buttons.EDIT):
                part = PostmortemPart(submitted.callback.removeprefix(buttons.EDIT))
                return await self.postmortem.write(id_, part, submitted.text("text"), submitted.user)
            return await self._carriers[submitted.callback](submitted, id_)
        except UsageError as hint:
            return say(hint.text)

    async def _press(self, interaction: Interaction, deed: str) -> Reply:
        here = await self.access.here(interaction.channel)
        view = await self.access.by_id(_number(interaction.text), interaction.user, here)
        if deed == buttons.EXPORT:
            return await self.postmortem.export(view, interaction.user)
        if deed == buttons.SHOW_POSTMORTEM:
            return await self.postmortem.show(view)
        await self.access.permit(interaction)
        form = _form(deed, view.incident)
        return (
            asks_with(form, _NO_FORM)
            if form
            else await self._change(deed, view.incident.id, interaction.user)
        )

    async def _change(self, deed: str, id_: int, by: str) -> Reply:
        if deed.startswith(buttons.STATUS):
            return await self._deeds.set_status(id_, Status(deed.removeprefix(buttons.STATUS)), by)
        if deed == buttons.CLAIM:
            return await self._deeds.assign(id_, Role.COMMANDER, by, by)
        if deed == buttons.OPEN_POSTMORTEM:
            return await self.postmortem.open(id_, by)
        if deed == buttons.CLOSE:
            return await self.postmortem.close(id_, by)
        raise ValueError(f"there is no button {deed}")

    async def _about(self, submitted: SubmittedModal) -> int:
        """Return the incident that a form is about, if the person may see it. Raises `UsageError`."""
        here = await self.access.here(submitted.channel)
        return (await self.access.by_id(_number(submitted.about), submitted.user, here)).incident.id

    async def _note(self, submitted: SubmittedModal, id_: int) -> Reply:
        return await self._deeds.note(id_, submitted.text("text"), submitted.user, f"note {submitted.id}")

    async def _impact(self, submitted: SubmittedModal, id_: int) -> Reply:
        impact = incident_form.read_impact(submitted)
        return await self._deeds.state_impact(id_, impact.share, impact, submitted.user)

    async def _cause(self, submitted: SubmittedModal, id_: int) -> Reply:
        return await self.postmortem.classify(id_, CauseClass(submitted.text("cause")), submitted.user)

    async def _times(self, submitted: SubmittedModal, id_: int) -> Reply:
        change = IncidentChange(
            started_at=submitted.moment("started_at"), ended_at=submitted.moment("ended_at")
        )
        return await self.postmortem.correct(id_, change, submitted.user)

    async def _add_action(self, submitted: SubmittedModal, id_: int) -> Reply:
        return await self.action.add(read_action(submitted), id_, submitted.user, f"action {submitted.id}")


def _form(deed: str, incident: Incident) -> ModalForm | None:
    """Return the form that a button opens, if it opens one."""
    if deed.startswith(buttons.EDIT):
        return postmortem_form.part_form(incident, PostmortemPart(deed.removeprefix(buttons.EDIT)))
    make = _FORMS.get(deed)
    return make(incident) if make else None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError("a button carried no incident")
    return int(text)
