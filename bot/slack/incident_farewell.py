"""What is told when a postmortem is closed, in words. Pure."""

from collections.abc import Sequence

from bot.formatting import budget_text
from bot.incidents.incident import Incident
from bot.incidents.ports import IncidentSnapshot
from bot.incidents.records.steps import ChannelKind
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention
from bot.store.outbox import OutboxMessage

POSTMORTEM_CLOSED = "postmortem_closed"
NOT_ARCHIVED = "channel_not_archived"


def closed(view: IncidentSnapshot, by: str, elsewhere: str) -> Sequence[OutboxMessage]:
    """Tell both rooms that they end, and the channel `elsewhere` what came of it, unless it is private."""
    incident = view.incident
    postmortem = view.channel_id(ChannelKind.POSTMORTEM)
    kept = markup("Next: {} shows it anywhere.", code(f"/postmortem {incident.id}"))
    said = markup("The postmortem is closed by {}.", mention(by))
    found = [
        _message(
            postmortem, markup("{} The document is kept here, and the channel archived. {}", said, kept)
        ),
        _message(view.channel_id(), markup("{} This channel is archived. {}", said, kept)),
    ]
    if not incident.private:
        found.append(_message(elsewhere, markup("{} {}", _learned(view, by), kept)))
    return [message for message in found if message is not None]


def not_archived(channel_id: str | None, incident: Incident, error: str) -> OutboxMessage | None:
    """Tell a room that Slack refused to archive it."""
    text = markup(
        "Slack does not let Governor archive this channel ({}). Next: archive it by hand, or allow it and "
        "type {} again.",
        code(error),
        code(f"/postmortem close {incident.id}"),
    )
    return _message(channel_id, text, NOT_ARCHIVED)


def _learned(view: IncidentSnapshot, by: str) -> Markup:
    incident = view.incident
    key, worst = max(view.cost.items(), key=lambda item: item[1], default=("", 0.0))
    spent = markup("{} of the {} budget spent", budget_text(worst), key) if worst > 0 else NOTHING
    cause = markup("cause: {}", incident.cause.value) if incident.cause else NOTHING
    left = sum(action.done_at is None for action in view.actions)
    actions = f"{left} action{'' if left == 1 else 's'} to do" if left else NOTHING
    facts = join(", ", [spent, cause, actions])
    name = markup("incident {}, {}", incident.id, bold(incident.title))
    told = markup("The postmortem of {} is closed by {}", name, mention(by))
    return markup("{}: {}.", told, facts) if facts else markup("{}.", told)


def _message(channel_id: str | None, text: Markup, kind: str = POSTMORTEM_CLOSED) -> OutboxMessage | None:
    return OutboxMessage(channel_id, kind, text, [section(text)]) if channel_id else None
