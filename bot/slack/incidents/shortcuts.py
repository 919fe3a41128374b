"""The shortcuts of incidents: in Slack's menu of shortcuts, and in the menu of each message."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.incident import Incident, Status
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.visibility import Viewer
from bot.slack.arguments import UsageError
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import MOST_OPTIONS, SubmittedModal
from bot.slack.blockkit.mrkdwn import Markup, code, markup, mention
from bot.slack.incidents import modals
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.card import channel_link
from bot.slack.incidents.operations import translate_errors
from bot.slack.incidents.source_message import SourceMessage, permalink, read_message
from bot.slack.interactions import Interaction, Query, Reply, say
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.slack.webapi.pages import page_of

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0

OPEN_ANYWHERE = "incident.open.anywhere"
OPEN_FROM_MESSAGE = "incident.open.message"
ADD_TO_TIMELINE = "incident.timeline.message"

MANIFEST_SHORTCUTS: tuple[Mapping[str, str], ...] = (
    {
        "name": "Open an incident",
        "type": "global",
        "callback_id": OPEN_ANYWHERE,
        "description": "Say what is wrong; Governor makes a channel and invites both teams",
    },
    {
        "name": "Open an incident",
        "type": "message",
        "callback_id": OPEN_FROM_MESSAGE,
        "description": "Open an incident about what this message says",
    },
    {
        "name": "Add to timeline",
        "type": "message",
        "callback_id": ADD_TO_TIMELINE,
        "description": "Add this message to the timeline of an incident",
    },
)
"""The shortcuts as the app's manifest names them."""

_BEGAN_WITHIN = timedelta(days=1)
"""A message may say since when something is wrong, but no old one does."""
_NO_FORM = markup("Slack did not open the form. Type {} instead.", code("/incident open TITLE sev2 SERVICE"))


@dataclass(frozen=True, slots=True)
class ShortcutUse:
    """Somebody chose a shortcut; `message` is the one it was chosen on, None for a global one."""

    interaction: Interaction
    message: Mapping[str, Any] | None

    @classmethod
    def from_body(cls, body: Mapping[str, Any], request: str) -> "ShortcutUse":
        """Read a shortcut's request as Slack sends it."""
        channel, message = body.get("channel") or {}, body.get("message")
        interaction = Interaction(
            Query(str(body.get("callback_id"))),
            user=str((body.get("user") or {}).get("id")),
            channel=str(channel.get("id") or ""),
            channel_name=str(channel.get("name") or ""),
            request=request,
        )
        if message is None:
            return cls(interaction, None)
        return cls(interaction, {"ts": body.get("message_ts"), **message})


class IncidentShortcuts:
    """What the shortcuts do; `client` asks Slack for the addresses of messages."""

    def __init__(self, access: IncidentAccess, lifecycle: IncidentLifecycle, client: AsyncWebClient) -> None:
        self._access = access
        self._lifecycle = lifecycle
        self._client = client

    async def use(self, use: ShortcutUse) -> Reply:
        """Open the form of a shortcut, or do what needs none. Raises `UsageError`."""
        interaction = use.interaction
        await self._access.permit(interaction)
        if interaction.query.command == ADD_TO_TIMELINE and use.message is not None:
            return await self._add(interaction, await self._read(use.message, interaction))
        services, here = sorted(self._access.services), self._access.services_of_channel(interaction)
        if use.message is None:
            form = modals.opening_form(services, here)
        else:
            message = await self._read(use.message, interaction)
            is_recent = self._access.now() - message.sent_at <= _BEGAN_WITHIN
            form = modals.opening_form(
                services,
                here,
                title=message.title,
                since=min(message.sent_at, self._access.now()) if is_recent else None,
                about=message.to_about(),
            )
        return Reply(_NO_FORM, (section(_NO_FORM),), form=form)

    async def opening(self, submitted: SubmittedModal) -> NewIncident:
        """Return the incident that a form describes, with the message it was opened from on its timeline."""
        opening = modals.read_opening(submitted)
        if not submitted.about:
            return opening
        message = SourceMessage.from_about(submitted.about)
        url = await permalink(self._client, message.channel, message.ts)
        return replace(opening, entry=message.entry(submitted.user, self._access.now(), url))

    async def channel_name(self, channel: str) -> str:
        """Return the name of a channel with its `#`; empty where it has none, or Slack does not say."""
        if not channel.startswith(("C", "G")):
            return ""
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                info = page_of(await self._client.conversations_info(channel=channel))["channel"]
        except SlackError as fault:
            # It may then be told twice of the incident, which is better than not at all.
            log.info("channel_name_unknown", channel=channel, error=fault.error)
            return ""
        return f"#{info.get('name') or ''}"

    async def add_to_chosen(self, submitted: SubmittedModal) -> Reply:
        """Add the message that a form is about to the incident that was chosen in it. Raises `UsageError`."""
        here = await self._access.incident_of_channel(submitted.channel)
        id_ = int(submitted.text("incident"))
        incident = (await self._access.by_id(id_, submitted.user, here)).incident
        reply = await self._record(incident, SourceMessage.from_about(submitted.about), submitted.user)
        return await self._access.told_in_own_channel(reply, id_, submitted.channel)

    async def _add(self, interaction: Interaction, message: SourceMessage) -> Reply:
        here = await self._access.incident_of_channel(interaction.channel)
        if here is not None:
            incident = (await self._access.snapshots.of(here)).incident
            return await self._record(incident, message, interaction.user)
        viewer = Viewer(interaction.user)
        snapshots = await self._access.snapshots.list(viewer, limit=MOST_OPTIONS)
        incidents = [
            snapshot.incident
            for snapshot in snapshots
            if _takes_notes(snapshot.incident) and self._access.may_see(snapshot.incident, viewer)
        ]
        if not incidents:
            raise UsageError(
                markup("There is no incident to add it to. Next: {} opens one.", code("/incident"))
            )
        incidents.sort(key=lambda incident: incident.status is Status.RESOLVED)
        form = modals.timeline_form(incidents, message.to_about())
        text = Markup("Slack did not open the form. Choose *Add to timeline* again.")
        return Reply(text, (section(text),), form=form)

    async def _record(self, incident: Incident, message: SourceMessage, by: str) -> Reply:
        """Put a message onto an incident's timeline, once."""
        url = await permalink(self._client, message.channel, message.ts)
        now = self._access.now()
        entry = message.entry(by, now, url)
        with translate_errors():
            is_new = await self._lifecycle.note(
                incident.id, entry.text, by=by, now=now, at=entry.at, mark=entry.mark, url=url
            )
        if not is_new:
            return say(Markup("That message is on the timeline already."))
        told = "{} added a message of {} to the timeline of incident {}: {}"
        where = channel_link(message.channel)
        return say(markup(told, mention(by), where, incident.id, entry.text), seen_by_channel=True)

    async def _read(self, message: Mapping[str, Any], interaction: Interaction) -> SourceMessage:
        return await read_message(self._access.people, message, interaction.channel)


def _takes_notes(incident: Incident) -> bool:
    """Return whether somebody still works on an incident or on its postmortem."""
    return incident.status.counts and incident.finished_at is None
