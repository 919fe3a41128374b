"""The card of an incident, which is pinned in its channel, and the phrases it is made of. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from bot.formatting import budget_text, duration_text, listed, percent_text
from bot.incidents.downtime import duration as downtime
from bot.incidents.incident import Incident, Role, Status
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot, RecentFlag
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.slack.announcements.budget_phrases import own_action_command
from bot.slack.announcements.cause_phrases import causes_text
from bot.slack.announcements.deployment_phrases import last_deployment_text
from bot.slack.blockkit.blocks import FIELDS, context, fields, fit, header, section
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    cut,
    join,
    link,
    markup,
    mention,
    naming,
    when,
)
from bot.slack.flags.buttons import kill_button
from bot.slack.incidents.buttons import incident_buttons
from bot.store.addresses import local
from bot.store.outbox import Block

LONGEST_ENTRY = 300
LONGEST_SUMMARY = 1_000

_MOST_CHANGES = 5
_EMOJI: Mapping[Status, str] = {
    Status.INVESTIGATING: ":rotating_light:",
    Status.IDENTIFIED: ":rotating_light:",
    Status.MITIGATED: ":hourglass:",
    Status.RESOLVED: ":white_check_mark:",
    Status.CANCELLED: ":no_entry_sign:",
    Status.MERGED: ":no_entry_sign:",
}
_ROLES = {
    Role.COMMANDER: "Commander",
    Role.SCRIBE: "Scribe",
    Role.COMMS: "Communications",
    Role.FACILITATOR_DEVELOPMENT: "Facilitator from development",
    Role.FACILITATOR_RELIABILITY: "Facilitator from reliability",
    Role.SHADOW_DEVELOPMENT: "Shadow from development",
    Role.SHADOW_RELIABILITY: "Shadow from reliability",
}
NEXT_STEPS: Mapping[Status, str] = {
    Status.INVESTIGATING: "Next: find what changed last, and undo it.",
    Status.IDENTIFIED: "Next: stop the impact first; fix the cause afterwards.",
    Status.MITIGATED: "Next: watch that it stays healthy, then resolve it.",
    Status.RESOLVED: "Next: write down what was learned while it is fresh.",
    Status.CANCELLED: "A false alarm: no budget and no statistic counts it. Next: reopen it if it was real.",
    Status.MERGED: "It goes on in the incident that it was merged into.",
}


def card_blocks(snapshot: IncidentSnapshot) -> list[Block]:
    """Return the blocks that show an incident."""
    incident = snapshot.incident
    body = [
        header(incident.title),
        section(_status_line(snapshot)),
        *titled("Summary", cut(naming(incident.summary), LONGEST_SUMMARY)),
        *facts(snapshot),
        *titled("Spent so far" if incident.status.is_active else "Spent", spent(snapshot)),
        *titled("Cause", causes_text(incident, snapshot.causes)),
        *titled("Changed lately", _changes(snapshot)),
        *[_flag_section(incident, flag) for flag in snapshot.flags[:_MOST_CHANGES]],
        *titled("Actions missing", missing_actions(snapshot)),
    ]
    tail = [section(next_step(incident)), *incident_buttons(incident), context(_opened(snapshot))]
    return fit(body, tail)


def headline(snapshot: IncidentSnapshot) -> Markup:
    """Return severity, status, duration and title in a line."""
    return markup("{}: {}", _status_line(snapshot), bold(snapshot.incident.title))


def next_step(incident: Incident) -> Markup:
    """Return what to do next about an incident."""
    if incident.merged_into is not None:
        how = code(f"/incident show {incident.merged_into}")
        return markup("Merged into incident {}, which counts for both. Next: {}.", incident.merged_into, how)
    if incident.finished_at is None:
        return Markup(NEXT_STEPS[incident.status])
    return markup("Its postmortem is closed. Next: {} shows it.", code(f"/postmortem {incident.id}"))


def channel_link(channel_id: str) -> Markup:
    """Return a link to a channel."""
    return Markup(f"<#{local(channel_id)}>")


def facts(snapshot: IncidentSnapshot) -> list[Block]:
    """Return the services, the impact, the times and the roles, a field each, in sections of ten."""
    incident = snapshot.incident
    roles = [
        markup("{} {}", bold(_ROLES[role]), mention(person))
        for role, person in sorted(incident.roles.items())
    ]
    commander = [] if Role.COMMANDER in incident.roles else [markup("{} nobody yet", bold("Commander"))]
    end = when(incident.ended_at) if incident.ended_at else "lasts"
    texts = [
        markup("{} {}", bold("Services"), listed(incident.services) or "none named"),
        markup("{} {}", bold("Impact"), impact(incident)),
        markup("{} {}", bold("Started"), when(incident.started_at)),
        markup("{} {}", bold("Ended"), end),
        *commander,
        *roles,
    ]
    return [fields(texts[start : start + FIELDS]) for start in range(0, len(texts), FIELDS)]


def impact(incident: Incident) -> Markup:
    """Return the share of requests that failed, and of which services."""
    services = listed(incident.services) or "users"
    assumed = ", assumed until somebody states it" if incident.is_assumed else ""
    return markup("{} of the requests to {} failed{}", percent_text(incident.share), services, assumed)


def spent(snapshot: IncidentSnapshot) -> Markup:
    """Return what it cost of each budget, the most first; empty where nothing was measured."""
    lines = [
        markup("{} of the {} budget", budget_text(fraction), key)
        for key, fraction in sorted(snapshot.cost.items(), key=lambda item: -item[1])
        if fraction > 0
    ]
    return join("\n", lines)


def timeline_line(entry: TimelineEntry) -> Markup:
    """Return a timeline entry in a line."""
    details = markup(", {}", link(entry.url, "details")) if entry.url else NOTHING
    text = cut(naming(entry.text), LONGEST_ENTRY)
    if entry.given is not None:
        role, person = entry.given
        text = markup("{}: {}", role, mention(person))
    return markup("{} {} — {}{}", when(entry.at), text, mention(entry.by), details)


def missing_actions(snapshot: IncidentSnapshot) -> Markup:
    """Return the P0 actions that are not owned, and whether a policy asks for one; else empty."""
    lines = [
        markup(
            "• {}. {} — needs {}: {}",
            action.id, cut(naming(action.text), LONGEST_ENTRY), listed(action.missing),
            code(own_action_command(action.id, action.missing)),
        )
        for action in snapshot.not_owned
    ]  # fmt: skip
    if snapshot.lacks_p0 and not snapshot.incident.status.is_active:
        how = code("/action add TEXT @OWNER due friday P0")
        lines.append(markup("• It cost so much that the policy asks for a P0 action: {}", how))
    if lines and snapshot.held_until_owned:
        services = listed(snapshot.held_until_owned)
        lines.append(
            markup(
                "{} held by {} until its P0 actions have an owner and a date.",
                f"{services} stays" if len(snapshot.held_until_owned) == 1 else f"{services} stay",
                "its budget" if len(snapshot.held_until_owned) == 1 else "their budgets",
            )
        )
    return join("\n", lines)


def titled(heading: str, text: str) -> list[Block]:
    """Return a section under a heading; nothing where the text is empty."""
    return [section(markup("{}\n{}", bold(heading), text))] if text else []


def _status_line(snapshot: IncidentSnapshot) -> Markup:
    incident = snapshot.incident
    return markup(
        "{} {} {}, {}",
        Markup(_EMOJI[incident.status]), incident.severity.value, incident.status.value,
        _duration(snapshot),
    )  # fmt: skip


def _duration(snapshot: IncidentSnapshot) -> str:
    """Return how long it took; while it lasts in steps of 1 minute, then of 5, to rewrite the card less."""
    incident = snapshot.incident
    length = downtime(incident.impacts, snapshot.now)
    if incident.ended_at is None:
        step = timedelta(minutes=1 if length < timedelta(hours=1) else 5)
        length = step * (length // step)
        return f"{duration_text(length)} so far" if length else "just started"
    return f"{duration_text(length)} in all"


def _changes(snapshot: IncidentSnapshot) -> Markup:
    """Return the last changes, and what was deployed last before it began, where that is not among them."""
    changes = [entry for entry in snapshot.timeline if entry.kind in {EntryKind.FLAG, EntryKind.DEPLOY}]
    shown, deployed = changes[-_MOST_CHANGES:], snapshot.deployed
    ends = {entry.at for entry in shown if entry.kind is EntryKind.DEPLOY}
    is_told = deployed is not None and deployed.finished_at in ends
    before = NOTHING if is_told else last_deployment_text(deployed, snapshot.incident.started_at)
    return join("\n", [before, *(timeline_line(entry) for entry in shown)])


def _flag_section(incident: Incident, flag: RecentFlag) -> Block:
    text = markup(
        "{} in {} — {}, changed {} by {}",
        bold(flag.flag), flag.environment, flag.shown, when(flag.at), mention(flag.by),
    )  # fmt: skip
    return section(text, accessory=kill_button(flag.flag, flag.environment, f"incident {incident.id}"))


def _opened(snapshot: IncidentSnapshot) -> Markup:
    incident, channel = snapshot.incident, snapshot.channels.get(ChannelKind.INCIDENT)
    earlier_id = channel.earlier_channel_id if channel else None
    earlier = markup(" · before it came back: {}", channel_link(earlier_id)) if earlier_id else NOTHING
    opened_at, opened_by = when(incident.opened_at), mention(incident.opened_by)
    return markup("Incident {}, opened {} by {}{}", incident.id, opened_at, opened_by, earlier)
