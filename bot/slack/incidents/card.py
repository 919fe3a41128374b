"""An incident in words: the pinned card, the notice of it, the postmortem's document, reminders. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from bot.catalog.current import CurrentCatalog
from bot.formatting import budget_text, duration_text, listed, percent_text
from bot.incidents.action import Action
from bot.incidents.downtime import duration as downtime
from bot.incidents.incident import Incident, Role, Status, times
from bot.incidents.ports import IncidentSnapshot, RecentFlag
from bot.incidents.postmortem import POINTS_TO, PROMPTS, PostmortemPart
from bot.incidents.records.steps import ChannelKind
from bot.incidents.reminders import Reminder
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.slack import incident_farewell
from bot.slack.announcements.budget_phrases import own_action_command
from bot.slack.blockkit.blocks import context, divider, fields, fit, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, link, markup, mention, when
from bot.slack.flags.buttons import kill_button
from bot.slack.incidents.buttons import document_buttons, incident_buttons
from bot.store.addresses import local, qualified
from bot.store.outbox import Block, OutboxMessage

CARD = "incident_card"
NOTICE = "incident_opened"
DOCUMENT = "postmortem_document"
POSTMORTEM_OPENED = "postmortem_opened"
REMINDER = "incident_reminder"
ACTION_DUE = "action_due"

_MOST_CHANGES = 5
_MOST_ENTRIES = 25
_LONGEST_ENTRY = 300
_LONGEST_PART = 2_500
_MARKS: Mapping[Status, str] = {
    Status.INVESTIGATING: ":rotating_light:",
    Status.IDENTIFIED: ":rotating_light:",
    Status.MITIGATED: ":hourglass:",
    Status.RESOLVED: ":white_check_mark:",
}
_PARTS = {
    PostmortemPart.SUMMARY: "What happened",
    PostmortemPart.FACTORS: "Contributing factors",
    PostmortemPart.WENT_WELL: "What went well",
}
_ROLES = {
    Role.COMMANDER: "Commander",
    Role.SCRIBE: "Scribe",
    Role.COMMS: "Communications",
    Role.FACILITATOR_DEVELOPMENT: "Facilitator from development",
    Role.FACILITATOR_RELIABILITY: "Facilitator from reliability",
}
_NEXT: Mapping[Status, str] = {
    Status.INVESTIGATING: "Next: find what changed last, and undo it.",
    Status.IDENTIFIED: "Next: stop the impact first; repair the cause after.",
    Status.MITIGATED: "Next: watch that it stays well, then resolve.",
    Status.RESOLVED: "Next: write down what was learned while it is fresh.",
}


class IncidentMessages:
    """Writes all messages about incidents; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def card(self, view: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage:
        """Write the message that is pinned in a room: the incident's card, or the postmortem's document."""
        channel = view.channel_id(kind) or ""
        if kind is ChannelKind.POSTMORTEM:
            return OutboxMessage(channel, DOCUMENT, headline(view), document_blocks(view))
        return OutboxMessage(channel, CARD, headline(view), card_blocks(view))

    def notice(self, view: IncidentSnapshot, kind: ChannelKind) -> OutboxMessage | None:
        """Write what is told of a room elsewhere.

        Of an incident's room in the incidents channel, unless it is private; of a postmortem's in the
        incident's own channel.
        """
        if kind is ChannelKind.POSTMORTEM:
            return self._postmortem_opened(view)
        if view.incident.private:
            return None
        workspace = self._current.workspace.of(next(iter(view.incident.services), None))
        text = join(" ", [headline(view), _where(view)])
        facts = join("\n", [_impact(view), spent(view)])
        body = [section(part) for part in (text, facts) if part]
        return OutboxMessage(workspace.incidents or workspace.announcements, NOTICE, _plain(text), body)

    def reminder(self, view: IncidentSnapshot, what: Reminder) -> OutboxMessage | None:
        """Write a reminder for the incident's channel."""
        channel = view.channel_id()
        if channel is None:
            return None
        open_for = duration_text(view.now - view.incident.opened_at)
        words = {
            Reminder.NO_COMMANDER: markup(
                "{} without a commander. Next: {} takes the role.",
                open_for, code("/incident role commander"),
            ),
            Reminder.NO_UPDATE: markup(
                "No update for a while, and it is still {}. Next: {} tells people where it stands.",
                view.incident.status.value, code("/incident note TEXT"),
            ),
            Reminder.STILL_OPEN: markup(
                "Open for {}. Next: {} if it is over.", open_for, code("/incident status resolved")
            ),
        }[what]  # fmt: skip
        return OutboxMessage(channel, REMINDER, _plain(words), [section(words)])

    def action_due(self, action: Action) -> OutboxMessage:
        """Write to the owner of an action that is due."""
        due = f"{action.due:%Y-%m-%d}" if action.due else "now"
        text = markup(
            "Due {}: {}{}. Next: {} once it is.",
            due, "P0 — " if action.is_p0 else "", action.text, code(f"/action done {action.id}"),
        )  # fmt: skip
        owner = qualified(self._current.workspace.of(action.service).elsewhere, action.owner or "")
        return OutboxMessage(owner, ACTION_DUE, _plain(text), [section(text)])

    def closed(self, view: IncidentSnapshot, by: str) -> Sequence[OutboxMessage]:
        """Write what is told when the postmortem is closed."""
        workspace = self._current.workspace.of(next(iter(view.incident.services), None))
        return incident_farewell.closed(view, by, workspace.incidents or workspace.announcements)

    def not_archived(self, view: IncidentSnapshot, kind: ChannelKind, error: str) -> OutboxMessage | None:
        """Write into a room that Slack refused to archive it."""
        return incident_farewell.not_archived(view.channel_id(kind), view.incident, error)

    def topic(self, view: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write a room's topic."""
        about = "Postmortem" if kind is ChannelKind.POSTMORTEM else view.incident.severity.value
        return join(" · ", [about, view.incident.title, *view.incident.services])

    def purpose(self, view: IncidentSnapshot, kind: ChannelKind) -> str:
        """Write what a room is for; the marker comes first, so that no cut takes it away."""
        what = "What we learn from" if kind is ChannelKind.POSTMORTEM else "Working on"
        return f"{view.incident.marker} · {what} incident {view.incident.id}"

    def _postmortem_opened(self, view: IncidentSnapshot) -> OutboxMessage | None:
        channel, other = view.channel_id(), view.channel_id(ChannelKind.POSTMORTEM)
        if channel is None or other is None:
            return None
        text = markup("The postmortem is in {}. Next: write down what you saw, without blame.", _link(other))
        return OutboxMessage(channel, POSTMORTEM_OPENED, _plain(text), [section(text)])


def card_blocks(view: IncidentSnapshot) -> list[Block]:
    """Draw an incident as it stands."""
    incident = view.incident
    body = [
        header(incident.title),
        section(_standing(view)),
        fields(_facts(view)),
        *_part("Spent so far" if incident.status.is_active else "Spent", spent(view)),
        *_part("Changed lately", _changes(view.timeline)),
        *[_killable(incident, flag) for flag in view.flags[:_MOST_CHANGES]],
        *_part("Actions missing", missing_actions(view)),
    ]
    tail = [section(_next(incident)), *incident_buttons(incident), context(_opened(view))]
    return fit(body, tail)


def document_blocks(view: IncidentSnapshot) -> list[Block]:
    """Draw the postmortem's document; the whole of it is exported as Markdown."""
    incident = view.incident
    cause = incident.cause
    classified = f"{cause.value}. {POINTS_TO[cause]}" if cause else "not classified yet"
    body = [
        header(f"Postmortem: {incident.title}"),
        fields(_facts(view)),
        *_part("Took", _times(incident)),
        *_part("Spent", spent(view) or Markup("nothing that was measured")),
        *_part(_PARTS[PostmortemPart.SUMMARY], _written(incident, PostmortemPart.SUMMARY)),
        *_part("Timeline", _timeline(view.timeline)),
        *_part("Cause", classified),
        *_part(_PARTS[PostmortemPart.FACTORS], _written(incident, PostmortemPart.FACTORS)),
        *_part(_PARTS[PostmortemPart.WENT_WELL], _written(incident, PostmortemPart.WENT_WELL)),
        *_part("Actions", _actions(view.actions)),
        *_part("Actions missing", missing_actions(view)),
        divider(),
    ]
    closed = "Closed. " if incident.finished_at else ""
    small = context(f"{closed}Blameless: look for what to change in the system, not for who to change.")
    return fit(body, [*document_buttons(incident), small])


def headline(view: IncidentSnapshot) -> Markup:
    """Say in a line how bad it is, how far it has come, how long it takes, and what it is."""
    return markup("{}: {}", _standing(view), bold(view.incident.title))


def _standing(view: IncidentSnapshot) -> Markup:
    incident = view.incident
    return markup(
        "{} {} {}, {}",
        Markup(_MARKS[incident.status]), incident.severity.value, incident.status.value,
        _lasted(incident, view),
    )  # fmt: skip


def _lasted(incident: Incident, view: IncidentSnapshot) -> str:
    """Return how long it took; while it lasts in whole minutes, then in fives, to rewrite less."""
    taken = downtime(incident.impacts, view.now)
    if incident.ended_at is None:
        step = timedelta(minutes=1 if taken < timedelta(hours=1) else 5)
        taken = step * (taken // step)
        return f"{duration_text(taken)} so far" if taken else "just begun"
    return f"{duration_text(taken)} in all"


def _next(incident: Incident) -> Markup:
    if incident.finished_at is None:
        return Markup(_NEXT[incident.status])
    return markup("Its postmortem is closed. Next: {} shows it.", code(f"/postmortem {incident.id}"))


def _where(view: IncidentSnapshot) -> Markup:
    room = view.rooms[ChannelKind.INCIDENT]
    if view.incident.finished_at is not None:
        return _next(view.incident)
    if room.channel_id is not None:
        return markup("Next: join {}.", _link(room.channel_id))
    if room.problem is not None:
        return markup("Its channel could not be made — Slack says {}. Next: allow it.", code(room.problem))
    return NOTHING


def _link(channel_id: str) -> Markup:
    return Markup(f"<#{local(channel_id)}>")


def _facts(view: IncidentSnapshot) -> list[Markup]:
    incident = view.incident
    roles = [
        markup("{} {}", bold(_ROLES[role]), mention(person))
        for role, person in sorted(incident.roles.items())
    ]
    commander = [] if Role.COMMANDER in incident.roles else [markup("{} nobody yet", bold("Commander"))]
    end = when(incident.ended_at) if incident.ended_at else "lasts"
    return [
        markup("{} {}", bold("Services"), listed(incident.services) or "none named"),
        markup("{} {}", bold("Impact"), _impact(view)),
        markup("{} {}", bold("Started"), when(incident.started_at)),
        markup("{} {}", bold("Ended"), end),
        *commander,
        *roles,
    ]


def _impact(view: IncidentSnapshot) -> Markup:
    incident = view.incident
    assumed = any(impact.assumed for impact in incident.impacts)
    of = listed(incident.services) or "users"
    said = ", assumed" if assumed else ""
    return markup("{} of the requests to {} failed{}", percent_text(incident.share), of, said)


def spent(view: IncidentSnapshot) -> Markup:
    """Say what it cost of each budget, the most first; empty where nothing was measured."""
    lines = [
        markup("{} of the {} budget", budget_text(fraction), key)
        for key, fraction in sorted(view.cost.items(), key=lambda item: -item[1])
        if fraction > 0
    ]
    return join("\n", lines)


def _changes(timeline: Sequence[TimelineEntry]) -> Markup:
    changes = [entry for entry in timeline if entry.kind in {EntryKind.FLAG, EntryKind.DEPLOY}]
    return join("\n", [_entry(entry) for entry in changes[-_MOST_CHANGES:]])


def _killable(incident: Incident, flag: RecentFlag) -> Block:
    text = markup(
        "{} in {} — {}, changed {} by {}",
        bold(flag.flag), flag.environment, flag.shown, when(flag.at), mention(flag.by),
    )  # fmt: skip
    return section(text, accessory=kill_button(flag.flag, flag.environment, f"incident {incident.id}"))


def _timeline(timeline: Sequence[TimelineEntry]) -> Markup:
    lines = [_entry(entry) for entry in timeline[-_MOST_ENTRIES:]]
    left_out = len(timeline) - len(lines)
    return join("\n", [*([f"{left_out} earlier"] if left_out else []), *lines])


def _entry(entry: TimelineEntry) -> Markup:
    details = markup(", {}", link(entry.url, "details")) if entry.url else NOTHING
    text = cut(entry.text, _LONGEST_ENTRY)
    if entry.given is not None:
        role, person = entry.given
        text = markup("{}: {}", role, mention(person))
    return markup("{} {} — {}{}", when(entry.at), text, mention(entry.by), details)


def _actions(actions: Sequence[Action]) -> Markup:
    if not actions:
        return Markup("None yet. Next: agree on at least one P0 action.")
    return join("\n", [_action(action) for action in actions])


def missing_actions(view: IncidentSnapshot) -> Markup:
    """Say which P0 actions are not owned, or that a policy asks for one; empty where nothing is missing."""
    lines = [
        markup(
            "• {}. {} — needs {}: {}", one.id, cut(one.text, _LONGEST_ENTRY), listed(one.missing), code(how)
        )
        for one in view.not_owned
        for how in [own_action_command(one.id, one.missing)]
    ]
    if view.lacks_p0 and not view.incident.status.is_active:
        how = code("/action add TEXT @OWNER due friday P0")
        lines.append(markup("• It cost so much that the policy asks for a P0 action: {}", how))
    if lines and view.kept:
        lines.append(markup("{} stays held by its budget until P0 actions are owned.", listed(view.kept)))
    return join("\n", lines)


def _action(action: Action) -> Markup:
    done = ":white_check_mark: " if action.done_at else ""
    missing = markup(" — needs {}", listed(action.missing)) if action.missing else NOTHING
    owner = markup(" — {}", mention(action.owner)) if action.owner else NOTHING
    due = f", due {action.due:%Y-%m-%d}" if action.due else ""
    urgent = "P0 " if action.is_p0 else ""
    return markup("{}{}. {}{}{}{}{}", Markup(done), action.id, urgent, action.text, owner, due, missing)


def _times(incident: Incident) -> Markup:
    taken = times(incident)
    known = (
        ("to detect", taken.detect),
        ("to acknowledge", taken.acknowledge),
        ("to restore", taken.restore),
    )
    return join(", ", [f"{duration_text(length)} {what}" for what, length in known if length is not None])


def _written(incident: Incident, part: PostmortemPart) -> Markup:
    text = incident.document.get(part, "").strip()
    return cut(text, _LONGEST_PART) if text else markup("_{}_", PROMPTS[part])


def _opened(view: IncidentSnapshot) -> Markup:
    incident = view.incident
    earlier = (
        view.rooms[ChannelKind.INCIDENT].earlier_channel_id if ChannelKind.INCIDENT in view.rooms else None
    )
    opened = when(incident.opened_at), mention(incident.opened_by)
    before = markup(" · before it came back: {}", _link(earlier)) if earlier else NOTHING
    return markup("Incident {}, opened {} by {}{}", incident.id, *opened, before)


def _part(heading: str, text: str) -> list[Block]:
    return [section(markup("{}\n{}", bold(heading), text))] if text else []


def _plain(text: Markup) -> Markup:
    return cut(text, 3_000)
