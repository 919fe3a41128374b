"""`/postmortem`: opens the document of an incident, shows it, lets people write it and takes it away."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from bot.incidents.incident import CauseClass, IncidentChange
from bot.incidents.ports import IncidentSnapshot
from bot.incidents.postmortem import Obstacle, Postmortem, PostmortemPart
from bot.incidents.postmortem_closing import NotClosableError
from bot.incidents.records.steps import ChannelKind
from bot.slack.arguments import UsageError, split
from bot.slack.blockkit.blocks import TEXT, actions, button, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, markup, mention
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.buttons import OPEN_POSTMORTEM
from bot.slack.incidents.card import document_blocks
from bot.slack.incidents.operations import telling
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.postmortem_form import HEADINGS
from bot.slack.webapi.errors import SlackError
from bot.store.addresses import local

log = structlog.get_logger(__name__)

_FENCE = 8
_TOWARDS: Mapping[Obstacle, str] = {
    Obstacle.NOT_OPEN: "/postmortem open {id}",
    Obstacle.NOT_RESOLVED: "/incident status resolved",
    Obstacle.NO_P0_ACTION: "/action add TEXT @owner due friday P0",
}


class Files(Protocol):
    """The port through which a document is handed to a person."""

    async def send(self, person: str, name: str, text: str, comment: str) -> None:
        """Bring a text file to a person's direct channel; raises `SlackError`."""
        ...


class Canvases(Protocol):
    """The port through which a document becomes a channel's canvas."""

    async def write(self, channel_id: str, title: str, markdown: str) -> None:
        """Make the channel's canvas, or put the text in place of what it says; raises `SlackError`."""
        ...


class PostmortemCommand:
    """Answers `/postmortem`, and carries it out."""

    def __init__(self, access: IncidentAccess, files: Files, canvases: Canvases) -> None:
        self._access = access
        self._files = files
        self._canvases = canvases
        self._lifecycle = access.incidents.lifecycle

    async def answer(self, interaction: Interaction) -> Reply:
        """Show, open or export the document of the channel's incident or a named one; raises `UsageError`."""
        words = split(interaction.text)
        if words and words[0].casefold() == "export":
            view = await self._meant(interaction, words[1:], "/postmortem export ID")
            return await self.export(view, interaction.user)
        if words and words[0].casefold() == "canvas":
            view = await self._meant(interaction, words[1:], "/postmortem canvas ID")
            await self._access.permit(interaction)
            return await self.draw(view)
        if words and words[0].casefold() == "open":
            view = await self._meant(interaction, words[1:], "/postmortem open ID")
            await self._access.permit(interaction)
            return await self.open(view.incident.id, interaction.user)
        if words and words[0].casefold() == "close":
            view = await self._meant(interaction, words[1:], "/postmortem close ID")
            await self._access.permit(interaction)
            return await self.close(view.incident.id, interaction.user)
        return await self.show(await self._meant(interaction, words, "/postmortem ID"))

    async def show(self, view: IncidentSnapshot) -> Reply:
        """Show the document with the buttons to write it; ask first whether there is to be one."""
        incident = view.incident
        if incident.postmortem_at is None:
            text = markup("Incident {} has no postmortem yet: {}.", incident.id, bold(incident.title))
            return Reply(
                text,
                (section(text), *actions(button("Open postmortem", OPEN_POSTMORTEM, str(incident.id)))),
            )
        text = markup("The postmortem of incident {}: {}", incident.id, incident.title)
        return Reply(text, tuple(document_blocks(view)))

    async def open(self, id_: int, by: str) -> Reply:
        """Ask for the postmortem's channel; asking twice changes nothing."""
        before = await self._access.incidents.snapshots.of(id_)
        if before.incident.postmortem_at is not None and before.incident.finished_at is None:
            return say(markup("Its postmortem is open already{}.", _where(before)))
        with telling():
            await self._lifecycle.request_postmortem(id_, by=by, now=self._access.clock.now())
        text = markup(
            "{} opens the postmortem of incident {}. Both teams are invited to its channel in a moment. "
            "Next: write down what you saw, without blame.",
            mention(by), id_,
        )  # fmt: skip
        return say(text, seen_by_channel=True)

    async def close(self, id_: int, by: str) -> Reply:
        """Close the document: it is kept, and the incident's channels are archived. Raises `UsageError`."""
        try:
            closed = await self._access.incidents.closing.close(id_, by=by)
        except NotClosableError as error:
            next_step = code(_TOWARDS[error.obstacle].format(id=id_))
            raise UsageError(markup("Not closed: {}. Next: {}.", str(error), next_step)) from error
        if closed.tried_again:
            return say(Markup("It is closed already. Archiving its channels is tried again."))
        if not closed.is_new:
            return say(markup("It is closed already. {} shows it.", code(f"/postmortem {id_}")))
        missing = sum(bool(action.missing) and action.done_at is None for action in closed.view.actions)
        lack = f"{missing} action{' lacks' if missing == 1 else 's lack'} an owner or a date"
        left = markup(" {}. Next: {}.", lack, code("/action list")) if missing else NOTHING
        text = "The postmortem of incident {} is closed. Its channels are archived in a moment.{}"
        return say(markup(text, id_, left))

    async def write(self, id_: int, part: PostmortemPart, text: str, by: str) -> Reply:
        """Write a part of the document."""
        with telling():
            await self._lifecycle.write_part(id_, part, text, by=by, now=self._access.clock.now())
        return say(markup("{} is written down. The document shows it.", bold(HEADINGS[part])))

    async def classify(self, id_: int, cause: CauseClass, by: str) -> Reply:
        """Say what class of cause it had."""
        with telling():
            await self._lifecycle.classify(id_, cause, by=by, now=self._access.clock.now())
        return say(markup("Cause: {}. The document says what work this points to.", bold(cause.value)))

    async def correct(self, id_: int, change: IncidentChange, by: str) -> Reply:
        """Correct when it began and ended."""
        with telling():
            await self._lifecycle.change(id_, change, by=by, now=self._access.clock.now())
        return say(Markup("The times are corrected, and the cost with them."))

    async def export(self, view: IncidentSnapshot, user: str) -> Reply:
        """Hand the document to a person as Markdown: as a file, or in a message where Slack takes none."""
        document = await self._named(view)
        text, name = document.markdown(), document.file_name
        try:
            await self._files.send(user, name, text, f"Postmortem of incident {view.incident.id}")
        except SlackError as fault:
            log.warning("file_not_sent", error=fault.error)
            return _as_message(view, text, fault.error)
        return say(markup("{} is in your direct messages with Governor.", code(name)))

    async def draw(self, view: IncidentSnapshot) -> Reply:
        """Put the document as it stands into the canvas of the postmortem's channel, if Slack has one."""
        channel_id = view.channel_id(ChannelKind.POSTMORTEM)
        if channel_id is None:
            raise UsageError(markup("It has no channel yet. Next: {}.", code("/postmortem open")))
        text = (await self._named(view)).markdown()
        title = f"Postmortem: {view.incident.title}"
        try:
            await self._canvases.write(channel_id, title, text)
        except SlackError as fault:
            log.info("canvas_not_written", error=fault.error)
            export = code(f"/postmortem export {view.incident.id}")
            return say(markup("Slack takes no canvas here ({}). Next: {}.", code(fault.error), export))
        return say(markup("The canvas of <#{}> shows the document as it stands.", Markup(local(channel_id))))

    async def _named(self, view: IncidentSnapshot) -> Postmortem:
        document = view.postmortem
        return replace(document, names=await self._access.people.names(document.people))

    async def _meant(self, interaction: Interaction, words: list[str], form: str) -> IncidentSnapshot:
        if len(words) > 1:
            raise UsageError(markup("One incident at a time: {}.", code(form)))
        return await self._access.meant(interaction, words[0] if words else "", form=form)


def _as_message(view: IncidentSnapshot, text: str, error: str) -> Reply:
    where = f"/api/v1/incidents/{view.incident.id}/postmortem.md"
    first = markup(
        "Slack takes no file from Governor ({}), so here it is. All of it: {}.",
        code(error),
        code(f"GET {where}"),
    )
    shown = cut(text.replace("`", "'"), TEXT - _FENCE)
    return Reply(first, (section(first), section(Markup(f"```\n{shown}\n```"))))


def _where(view: IncidentSnapshot) -> Markup:
    channel_id = view.channel_id(ChannelKind.POSTMORTEM)
    return Markup(f", in <#{local(channel_id)}>") if channel_id else NOTHING
