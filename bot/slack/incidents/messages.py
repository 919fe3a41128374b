"""The messages about incidents that the outbox sends: cards, notices, reminders and the like. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from bot.catalog.current import CurrentCatalog
from bot.formatting import budget_text, duration_text
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.records.channels import ChannelKind, IncidentChannel
from bot.incidents.reminders import Reminder
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import ANYBODY, may_see
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, markup, mention, naming, when
from bot.slack.incidents.buttons import DONE_HERE, done_button
from bot.slack.incidents.card import (
    LONGEST_SUMMARY,
    card_blocks,
    channel_link,
    headline,
    impact,
    next_step,
    spent,
)
from bot.slack.incidents.postmortem_view import document_blocks
from bot.slack.incidents.private_text import PrivateText, numbered_name
from bot.store.addresses import qualified
from bot.store.outbox import OutboxMessage

CARD = "incident_card"
NOTICE = "incident_opened"
MERGED = "incident_merged"
DOCUMENT = "postmortem_document"
POSTMORTEM_OPENED = "postmortem_opened"
POSTMORTEM_CLOSED = "postmortem_closed"
ARCHIVED_SOON = "channel_archived_soon"
NOT_ARCHIVED = "channel_not_archived"
REMINDER = "incident_reminder"
ACTION_DUE = "action_due"

_LONGEST_TEXT = 3_000


class IncidentMessages:
    """Writes all messages about incidents; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def card(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage:
        """Write the message that is pinned in a channel: the incident's card, or the document."""
        channel_id = snapshot.channel_id(kind) or ""
        if kind is ChannelKind.POSTMORTEM:
            return OutboxMessage(channel_id, DOCUMENT, headline(snapshot), document_blocks(snapshot))
        return OutboxMessage(channel_id, CARD, headline(snapshot), card_blocks(snapshot))

    def notice(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage | None:
        """Write the message that announces a channel elsewhere.

        An incident's channel is announced in the channel for incidents, unless it is private; a
        postmortem's in the incident's own channel. A notice of what became private later says only that.
        """
        if kind is ChannelKind.POSTMORTEM:
            return _postmortem_opened(snapshot)
        incident = snapshot.incident
        if not may_see(incident, ANYBODY):
            is_told = snapshot.channels[kind].notice_key is not None
            return self._taken_back(incident, NOTICE) if is_told else None
        text = join(" ", [headline(snapshot), _where(snapshot)])
        summary = cut(naming(incident.summary), LONGEST_SUMMARY)
        facts = join("\n", [impact(incident), spent(snapshot)])
        body = [section(part) for part in (text, summary, facts) if part]
        return OutboxMessage(self._incidents_channel(incident), NOTICE, cut(text, _LONGEST_TEXT), body)

    def traces(self, snapshot: IncidentSnapshot) -> Collection[str]:
        """Return the texts by which messages elsewhere that tell of an incident are found."""
        return PrivateText(snapshot).traces

    def without_private(self, message: OutboxMessage, snapshot: IncidentSnapshot) -> OutboxMessage | None:
        """Return a message elsewhere without what it tells of an incident; None where it tells nothing."""
        private = PrivateText(snapshot)
        if message.event_type == POSTMORTEM_CLOSED:
            is_told = private.is_named_in(message.text)
            return self._taken_back(snapshot.incident, POSTMORTEM_CLOSED) if is_told else None
        return private.removed_from(message)

    def _taken_back(self, incident: Incident, event_type: str) -> OutboxMessage:
        """Return what a message says instead once its incident is private: nothing that changes."""
        text = markup("Incident {} is private now: what was posted about it here is removed.", incident.id)
        return OutboxMessage(self._incidents_channel(incident), event_type, text, [section(text)])

    def reminder(self, snapshot: IncidentSnapshot, reminder: Reminder) -> OutboxMessage | None:
        """Write a reminder for the incident's channel; None while there is no channel."""
        open_for = duration_text(snapshot.now - snapshot.incident.opened_at)
        text = {
            Reminder.NO_COMMANDER: markup(
                "{} without a commander. Next: {} takes the role.",
                open_for, code("/incident role commander"),
            ),
            Reminder.NO_UPDATE: markup(
                "No update for a while, and it is still {}. Next: {} posts one.",
                snapshot.incident.status.value, code("/incident note TEXT"),
            ),
            Reminder.STILL_OPEN: markup(
                "Open for {}. Next: {} if it is over.", open_for, code("/incident status resolved")
            ),
        }[reminder]  # fmt: skip
        return _message(snapshot.channel_id(), REMINDER, text)

    def action_due(self, action: Action) -> OutboxMessage:
        """Write to the owner of an action that is due or overdue."""
        due = f"{action.due:%Y-%m-%d}" if action.due else "now"
        text = markup(
            "Due {}: {}{}. Next: {} once it is.",
            due, "P0 — " if action.is_p0 else "", naming(action.text), code(f"/action done {action.id}"),
        )  # fmt: skip
        owner = qualified(self._current.workspace.of(action.service).elsewhere, action.owner or "")
        body = section(text, accessory=done_button(action, DONE_HERE))
        return OutboxMessage(owner, ACTION_DUE, cut(text, _LONGEST_TEXT), [body])

    def merged(self, channel_id: str, duplicate: Incident, by: str) -> OutboxMessage:
        """Write into an incident's channel that a duplicate was merged into it."""
        text = markup(
            "Incident {}, {}, was merged into this one by {}: its services, timeline, alerts and actions are "
            "part of it now.",
            duplicate.id, bold(duplicate.title), mention(by),
        )  # fmt: skip
        return OutboxMessage(channel_id, MERGED, cut(text, _LONGEST_TEXT), [section(text)])

    def closed(self, snapshot: IncidentSnapshot, by: str) -> Sequence[OutboxMessage]:
        """Write that the postmortem is closed: to both channels, and elsewhere unless it is private."""
        incident = snapshot.incident
        next_ = markup("Next: {} shows it anywhere.", code(f"/postmortem {incident.id}"))
        closed = markup("The postmortem is closed by {}.", mention(by))
        texts = [
            (
                snapshot.channel_id(ChannelKind.POSTMORTEM),
                markup("{} The document is kept here, and the channel archived. {}", closed, next_),
            ),
            (snapshot.open_channel_id, markup("{} This channel is archived. {}", closed, next_)),
        ]
        if may_see(incident, ANYBODY):
            summary = markup("{} {}", _closed_summary(snapshot, by), next_)
            texts.append((self._incidents_channel(incident), summary))
        messages = [_message(channel_id, POSTMORTEM_CLOSED, text) for channel_id, text in texts]
        return [message for message in messages if message is not None]

    def archived_soon(self, channel: IncidentChannel, at: datetime, quiet_for: timedelta) -> OutboxMessage:
        """Write into a finished incident's channel when it is archived unless somebody writes there."""
        text = markup(
            "Incident {} is over, so this channel is archived {}. Next: if you still need it, write "
            "something here, and it stays for another {}.",
            channel.incident_id, when(at), duration_text(quiet_for),
        )  # fmt: skip
        return OutboxMessage(channel.channel_id or "", ARCHIVED_SOON, text, [section(text)])

    def not_archived(self, snapshot: IncidentSnapshot, kind: ChannelKind, error: str) -> OutboxMessage | None:
        """Write into a channel that Slack refused to archive it; None while there is no channel."""
        again = markup(", or allow it and type {} again", code(f"/postmortem close {snapshot.incident.id}"))
        text = markup(
            "Slack does not let Governor archive this channel ({}). Next: archive it by hand{}.",
            code(error), NOTHING if snapshot.incident.finished_at is None else again,
        )  # fmt: skip
        return _message(snapshot.channel_id(kind), NOT_ARCHIVED, text)

    def topic(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a channel's topic."""
        incident = snapshot.incident
        about = "Postmortem" if kind is ChannelKind.POSTMORTEM else incident.severity.value
        return join(" · ", [about, incident.title, *incident.services])

    def purpose(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a channel's purpose; what identifies the incident comes first, so it is never cut off."""
        about = "what we learn from it" if kind is ChannelKind.POSTMORTEM else "what we do about it"
        return f"{snapshot.incident.reference}: {about}"

    def _incidents_channel(self, incident: Incident) -> str:
        """Return the channel in which the incidents of the incident's first service are announced."""
        workspace = self._current.workspace.of(next(iter(incident.services), None))
        return workspace.incidents or workspace.announcements


def _postmortem_opened(snapshot: IncidentSnapshot) -> OutboxMessage | None:
    postmortem_id = snapshot.channel_id(ChannelKind.POSTMORTEM)
    if postmortem_id is None or snapshot.open_channel_id is None:
        return None
    link = channel_link(postmortem_id)
    text = markup("The postmortem is in {}. Next: write down what you saw, without blame.", link)
    return _message(snapshot.channel_id(), POSTMORTEM_OPENED, text)


def _where(snapshot: IncidentSnapshot) -> Markup:
    """Return where to join in, or why that is not possible."""
    channel = snapshot.channels[ChannelKind.INCIDENT]
    if snapshot.incident.finished_at is not None or not snapshot.incident.status.counts:
        return next_step(snapshot.incident)
    if channel.channel_id is not None:
        return markup("Next: join {}.", channel_link(channel.channel_id))
    if channel.problem is not None:
        problem = code(channel.problem)
        return markup("Its channel could not be created — Slack says {}. Next: allow it.", problem)
    return NOTHING


def _closed_summary(snapshot: IncidentSnapshot, by: str) -> Markup:
    """Return in a line what the incident cost, its cause, and how many actions are to be done."""
    incident = snapshot.incident
    key, highest = max(snapshot.cost.items(), key=lambda item: item[1], default=("", 0.0))
    cost = markup("{} of the {} budget spent", budget_text(highest), key) if highest > 0 else NOTHING
    cause = markup("cause: {}", incident.cause.value) if incident.cause else NOTHING
    count = sum(action.done_at is None for action in snapshot.actions)
    actions = f"{count} action{'' if count == 1 else 's'} to do" if count else NOTHING
    facts = join(", ", [cost, cause, actions])
    closed = markup("The postmortem of {}, is closed by {}", numbered_name(incident), mention(by))
    return markup("{}: {}.", closed, facts) if facts else markup("{}.", closed)


def _message(channel_id: str | None, event_type: str, text: Markup) -> OutboxMessage | None:
    if not channel_id:
        return None
    return OutboxMessage(channel_id, event_type, cut(text, _LONGEST_TEXT), [section(text)])
