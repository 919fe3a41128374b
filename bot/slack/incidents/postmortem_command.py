"""The `/postmortem` command: opens, shows, edits, exports and closes the document of an incident."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from bot.incidents.incident import CauseClass, IncidentChange
from bot.incidents.postmortem import Obstacle, Postmortem, PostmortemPart
from bot.incidents.postmortem_closing import EmptySectionsError, NotClosableError
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.arguments import UsageError, did_you_mean, name, split
from bot.slack.blockkit.blocks import TEXT, actions, button, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, markup, mention
from bot.slack.capabilities import IncidentCapabilities
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.buttons import OPEN_POSTMORTEM, unfinished_buttons
from bot.slack.incidents.modals import HEADINGS
from bot.slack.incidents.operations import translate_errors
from bot.slack.incidents.postmortem_view import document_blocks
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.synonyms import meant
from bot.slack.webapi.canvases import FREE_TEAM_HAS_ONE, SlackCanvases
from bot.slack.webapi.errors import SlackError
from bot.slack.webapi.files import SlackFiles
from bot.store.addresses import local

log = structlog.get_logger(__name__)

_FENCE = 8
_SUBCOMMANDS = ("open", "close", "export", "canvas", "help")
_REMEDIES: Mapping[Obstacle, str] = {
    Obstacle.NOT_OPEN: "/postmortem open {id}",
    Obstacle.NOT_RESOLVED: "/incident status resolved",
    Obstacle.NO_P0_ACTION: "/action add TEXT @owner due friday P0",
}


class PostmortemCommand:
    """The `/postmortem` command, its buttons and its modals."""

    def __init__(
        self,
        access: IncidentAccess,
        incidents: IncidentCapabilities,
        files: SlackFiles,
        canvases: SlackCanvases,
    ) -> None:
        self._access = access
        self._snapshots = incidents.snapshots
        self._closing = incidents.closing
        self._files = files
        self._canvases = canvases
        self._lifecycle = incidents.lifecycle

    async def answer(self, interaction: Interaction) -> Reply:
        """Show, open, export or close the document of the channel's incident or a named one.

        Raises `UsageError`.
        """
        arguments = split(interaction.text)
        if arguments and arguments[0].casefold() == "export":
            snapshot = await self._find(interaction, arguments[1:], "/postmortem export ID")
            return await self.export(snapshot, interaction.user)
        if arguments and arguments[0].casefold() == "canvas":
            snapshot = await self._find(interaction, arguments[1:], "/postmortem canvas ID")
            await self._access.permit(interaction)
            return await self.update_canvas(snapshot)
        if arguments and arguments[0].casefold() == "open":
            snapshot = await self._find(interaction, arguments[1:], "/postmortem open ID")
            await self._access.permit(interaction)
            reply = await self.open(snapshot.incident.id, interaction.user)
            return await self._access.told_in_own_channel(reply, snapshot.incident.id, interaction.channel)
        if arguments and arguments[0].casefold() == "close":
            named, is_confirmed = _without_anyway(arguments[1:])
            snapshot = await self._find(interaction, named, "/postmortem close ID")
            await self._access.permit(interaction)
            return await self.close(snapshot.incident.id, interaction.user, confirmed=is_confirmed)
        if arguments and (forms := meant("postmortem", arguments, _SUBCOMMANDS)):
            unknown = markup("I do not know {}.", code(name(arguments[0])))
            raise UsageError(join(" ", [unknown, did_you_mean(forms)]))
        return await self.show(await self._find(interaction, arguments, "/postmortem ID"))

    async def show(self, snapshot: IncidentSnapshot) -> Reply:
        """Show the document with its buttons; where there is none, offer to open one."""
        incident = snapshot.incident
        if incident.postmortem_at is None:
            text = markup("Incident {} has no postmortem yet: {}.", incident.id, bold(incident.title))
            return Reply(
                text,
                (section(text), *actions(button("Open postmortem", OPEN_POSTMORTEM, str(incident.id)))),
            )
        text = markup("The postmortem of incident {}: {}", incident.id, incident.title)
        return Reply(text, tuple(document_blocks(snapshot)))

    async def open(self, id_: int, by: str) -> Reply:
        """Open the postmortem's channel; opening it twice changes nothing."""
        before = await self._snapshots.of(id_)
        if before.incident.postmortem_at is not None and before.incident.finished_at is None:
            return say(markup("Its postmortem is open already{}.", _where(before)))
        with translate_errors():
            await self._lifecycle.request_postmortem(id_, by=by, now=self._access.now())
        text = markup(
            "{} opens the postmortem of incident {}. Both teams are invited to its channel in a moment. "
            "Next: write down what you saw, without blame.",
            mention(by), id_,
        )  # fmt: skip
        return say(text, seen_by_channel=True)

    async def close(self, id_: int, by: str, *, confirmed: bool) -> Reply:
        """Close the document: it is stored, and the incident's channels are archived. Raises `UsageError`.

        Unless it is `confirmed`, empty sections are named first.
        """
        try:
            closed = await self._closing.close(id_, by=by, confirmed=confirmed)
        except EmptySectionsError as error:
            asked = markup(
                "Not closed yet: {}. Closing keeps the document as it is and archives the channels. "
                "Next: fill in what is missing, or {}.",
                str(error), code(f"/postmortem close {id_} anyway"),
            )  # fmt: skip
            return Reply(asked, (section(asked), *unfinished_buttons(id_, error.sections)))
        except NotClosableError as error:
            next_step = code(_REMEDIES[error.obstacle].format(id=id_))
            raise UsageError(markup("Not closed: {}. Next: {}.", str(error), next_step)) from error
        if closed.tried_again:
            return say(Markup("It is closed already. Governor tries again to archive its channels."))
        if not closed.is_new:
            return say(markup("It is closed already. {} shows it.", code(f"/postmortem {id_}")))
        missing = sum(bool(action.missing) and action.done_at is None for action in closed.snapshot.actions)
        lack = f"{missing} action{' lacks' if missing == 1 else 's lack'} an owner or a date"
        left = markup(" {}. Next: {}.", lack, code("/action list")) if missing else NOTHING
        text = "The postmortem of incident {} is closed. Its channels are archived in a moment.{}"
        return say(markup(text, id_, left))

    async def write(self, id_: int, part: PostmortemPart, text: str, by: str) -> Reply:
        """Write a part of the document."""
        with translate_errors():
            await self._lifecycle.write_part(id_, part, text, by=by, now=self._access.now())
        return say(markup("{} is saved. The document shows it.", bold(HEADINGS[part])))

    async def classify(self, id_: int, cause: CauseClass, by: str) -> Reply:
        """Set the class of cause."""
        with translate_errors():
            await self._lifecycle.classify(id_, cause, by=by, now=self._access.now())
        return say(markup("Cause: {}. The document says what work this points to.", bold(cause.value)))

    async def correct(self, id_: int, change: IncidentChange, by: str) -> Reply:
        """Correct when it began and ended."""
        with translate_errors():
            await self._lifecycle.change(id_, change, by=by, now=self._access.now())
        return say(Markup("The times are corrected, and the cost with them."))

    async def export(self, snapshot: IncidentSnapshot, user: str) -> Reply:
        """Send the document to a person as a Markdown file, or in a message where Slack takes no file."""
        document = await self._named(snapshot)
        text, name = document.markdown(), document.file_name
        try:
            await self._files.send(user, name, text, f"Postmortem of incident {snapshot.incident.id}")
        except SlackError as fault:
            log.warning("file_not_sent", error=fault.error)
            return _as_message(snapshot, text, fault.error)
        return say(markup("{} is in your direct messages with Governor.", code(name)))

    async def update_canvas(self, snapshot: IncidentSnapshot) -> Reply:
        """Write the present document into the canvas of the postmortem's channel."""
        channel_id = snapshot.channel_id(ChannelKind.POSTMORTEM)
        if channel_id is None:
            raise UsageError(markup("It has no channel yet. Next: {}.", code("/postmortem open")))
        text = (await self._named(snapshot)).markdown()
        title = f"Postmortem: {snapshot.incident.title}"
        try:
            await self._canvases.write(channel_id, title, text)
        except SlackError as fault:
            log.info("canvas_not_written", error=fault.error)
            return say(_no_canvas(snapshot, channel_id, fault.error))
        return say(markup("The canvas of <#{}> now shows the document.", Markup(local(channel_id))))

    async def _named(self, snapshot: IncidentSnapshot) -> Postmortem:
        document = snapshot.postmortem
        return replace(document, names=await self._access.people.names(document.people))

    async def _find(self, interaction: Interaction, arguments: list[str], form: str) -> IncidentSnapshot:
        if len(arguments) > 1:
            raise UsageError(markup("One incident at a time: {}.", code(form)))
        return await self._access.find(interaction, arguments[0] if arguments else "", form=form)


def _without_anyway(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the arguments without `anyway`, which leaves sections empty, and whether it was there."""
    named = [word for word in arguments if word.casefold() != "anyway"]
    return named, len(named) < len(arguments)


def _no_canvas(snapshot: IncidentSnapshot, channel_id: str, error: str) -> Markup:
    """Return why there is no canvas, and what to do."""
    export = code(f"/postmortem export {snapshot.incident.id}")
    if error == FREE_TEAM_HAS_ONE:
        text = (
            "On Slack's free plan a channel has one canvas, and <#{}> has one that Governor cannot write "
            "({}). Next: delete that canvas and try again, or {}."
        )
        return markup(text, Markup(local(channel_id)), code(error), export)
    return markup("Slack does not accept a canvas here ({}). Next: {}.", code(error), export)


def _as_message(snapshot: IncidentSnapshot, text: str, error: str) -> Reply:
    path = f"/api/v1/incidents/{snapshot.incident.id}/postmortem.md"
    explanation = markup(
        "Slack does not accept a file from Governor ({}), so here it is. The whole text: {}.",
        code(error),
        code(f"GET {path}"),
    )
    excerpt = cut(text.replace("`", "'"), TEXT - _FENCE)
    return Reply(explanation, (section(explanation), section(Markup(f"```\n{excerpt}\n```"))))


def _where(snapshot: IncidentSnapshot) -> Markup:
    channel_id = snapshot.channel_id(ChannelKind.POSTMORTEM)
    return Markup(f", in <#{local(channel_id)}>") if channel_id else NOTHING
