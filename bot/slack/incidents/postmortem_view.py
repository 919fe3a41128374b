"""The postmortem's document as Slack blocks, as it is pinned in its channel. Pure."""

from collections.abc import Sequence

from bot.formatting import duration_text, listed
from bot.incidents.action import Action
from bot.incidents.incident import Incident, times
from bot.incidents.postmortem import HEADINGS, POINTS_TO, PROMPTS, PostmortemPart
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.timeline import TimelineEntry
from bot.slack.announcements.cause_phrases import confirmed_text
from bot.slack.blockkit.blocks import context, divider, fit, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, cut, join, markup, mention, naming, size
from bot.slack.incidents.buttons import document_buttons, done_button
from bot.slack.incidents.card import facts, missing_actions, spent, timeline_line, titled
from bot.store.outbox import Block

_MOST_ENTRIES = 25
_MOST_ACTIONS = 15
_LONGEST_PART = 2_500
_LONGEST_TIMELINE = 2_900


def document_blocks(snapshot: IncidentSnapshot) -> list[Block]:
    """Return the blocks that show the document; long parts are cut, the Markdown export has all of them."""
    incident = snapshot.incident
    body = [
        header(f"Postmortem: {incident.title}"),
        *facts(snapshot),
        *titled("Took", _times(incident)),
        *titled("Spent", spent(snapshot) or Markup("nothing that was measured")),
        *_part(incident, PostmortemPart.SUMMARY),
        *titled("Timeline", _timeline(snapshot.timeline)),
        *titled("Cause", _cause(snapshot)),
        *_part(incident, PostmortemPart.FACTORS),
        *_part(incident, PostmortemPart.WENT_WELL),
        *_actions(snapshot.actions),
        *titled("Actions missing", missing_actions(snapshot)),
        divider(),
    ]
    closed = "Closed. " if incident.finished_at else ""
    blameless = context(f"{closed}Blameless: look for what to change in the system, not for who to change.")
    return fit(body, [*document_buttons(incident, snapshot.actions), blameless])


def _cause(snapshot: IncidentSnapshot) -> Markup:
    cause = snapshot.incident.cause
    classified = markup("{}. {}", cause.value, POINTS_TO[cause]) if cause else Markup("not classified yet")
    return join("\n", [classified, confirmed_text(snapshot.incident, snapshot.causes)])


def _times(incident: Incident) -> Markup:
    taken = times(incident)
    lengths = (
        ("to detect", taken.detect),
        ("to acknowledge", taken.acknowledge),
        ("to restore", taken.restore),
    )
    return join(", ", [f"{duration_text(length)} {name}" for name, length in lengths if length is not None])


def _part(incident: Incident, part: PostmortemPart) -> list[Block]:
    """Return a part that people write, or the question that it answers."""
    text = incident.document.get(part, "").strip()
    return titled(HEADINGS[part], cut(naming(text), _LONGEST_PART) if text else markup("_{}_", PROMPTS[part]))


def _timeline(timeline: Sequence[TimelineEntry]) -> Markup:
    """Return the newest entries, as many as a section holds, below the number of those left out."""
    lines = [timeline_line(entry) for entry in timeline[-_MOST_ENTRIES:]]
    while size("\n".join(lines)) > _LONGEST_TIMELINE:
        del lines[0]
    left_out = len(timeline) - len(lines)
    return join("\n", [*([f"{left_out} earlier"] if left_out else []), *lines])


def _actions(actions: Sequence[Action]) -> list[Block]:
    """Return the actions: a button beside each that is to be done, the others and the rest as lines."""
    if not actions:
        return titled("Actions", "None yet. Next: agree on at least one P0 action.")
    to_do = [action for action in actions if action.done_at is None][:_MOST_ACTIONS]
    lines = [_action(action) for action in actions if action not in to_do]
    heading = bold("Actions")
    return [
        section(join("\n", [heading, *lines])),
        *(section(_action(action), accessory=done_button(action)) for action in to_do),
    ]


def _action(action: Action) -> Markup:
    done = ":white_check_mark: " if action.done_at else ""
    missing = markup(" — needs {}", listed(action.missing)) if action.missing else NOTHING
    owner = markup(" — {}", mention(action.owner)) if action.owner else NOTHING
    due = f", due {action.due:%Y-%m-%d}" if action.due else ""
    urgent = "P0 " if action.is_p0 else ""
    return markup(
        "{}{}. {}{}{}{}{}", Markup(done), action.id, urgent, naming(action.text), owner, due, missing
    )
