"""What is said of canaries: the list, one canary with its buttons, and announcements. Pure."""

from collections.abc import Sequence

from bot.canaries.canary import Canary, CanaryAction, CanaryFrozenError, CanaryPhase, change_name
from bot.canaries.control import CanaryReading, CanarySteered
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.announcements.freeze_buttons import request_buttons
from bot.slack.blockkit.blocks import button, confirmation, context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, escape, join, markup, mention, sentence
from bot.slack.interactions import Query, Reply
from bot.store.outbox import Block, OutboxMessage

_PREFIX = "canary.shown."
_ACTIONS = {
    CanaryAction.PAUSE: ("Pause", "It gets no more traffic until somebody promotes it.", "Pause it"),
    CanaryAction.PROMOTE: ("Promote", "It goes on to its next step.", "Promote it"),
    CanaryAction.ABORT: ("Abort", "All traffic goes back to the version before.", "Abort it"),
}
CANARY_BUTTONS = frozenset(f"{_PREFIX}{action}" for action in _ACTIONS)
"""The action ids of the buttons beside a canary; the value of each is the service and the name."""
_VERBS = {
    CanaryAction.PAUSE: "paused",
    CanaryAction.ABORT: "aborted",
    CanaryAction.PROMOTE: "promoted to its next step",
    CanaryAction.PROMOTE_FULLY: "promoted to all traffic",
}


def canary_command_of(action_id: str, value: str) -> Query:
    """Return the command that a button stands for."""
    service, _, name = value.partition(" ")
    return Query("canary", f"{service} {action_id.removeprefix(_PREFIX)} {name}")


def shown_canary_of(value: str) -> Query:
    """Return the query that shows the canaries of a button's service."""
    return Query("canary", value.partition(" ")[0])


def canary_list(readings: Sequence[CanaryReading], query: Query) -> Reply:
    """Return the canaries, a line each."""
    lines = [_line(reading, with_service=True) for reading in readings]
    under_way = sum(each.canary is not None and each.canary.is_under_way for each in readings)
    small = context(f"{under_way} of {len(readings)} under way")
    text = join("\n", lines)
    return Reply(text, (*_paragraphs(lines), small), (), query)


def service_canaries(service: str, readings: Sequence[CanaryReading], query: Query) -> Reply:
    """Return the canaries of one service, with buttons where there is but one under way."""
    lines = [_line(reading, with_service=False) for reading in readings]
    text = join("\n", [markup("Canaries of {}", bold(service)), *lines])
    under_way = [each.canary for each in readings if each.canary is not None and each.canary.is_under_way]
    buttons = _buttons(under_way[0]) if len(under_way) == 1 else ()
    return Reply(text, tuple(_paragraphs([markup("Canaries of {}", bold(service)), *lines])), buttons, query)


def frozen_canary(error: CanaryFrozenError) -> Reply:
    """Explain why a canary may not go on, and what would let it."""
    verdict = error.verdict
    change = change_name(error.canary)
    reasons = "; ".join(verdict.reasons).rstrip(".")
    text = join("\n", [
        markup("{} may not go on: {}.", bold(error.canary.name), reasons),
        markup("Pausing and aborting are always allowed. Next: {}.",
               code(f"/ship {verdict.service} exempt {change} REASON")
               if verdict.holds else code(f"/canary {verdict.service} abort {error.canary.name}")),
    ])  # fmt: skip
    buttons = request_buttons(verdict.service, change) if verdict.holds else ()
    return Reply(text, (section(text),), buttons)


def steered_text(action: CanaryAction, canary: Canary) -> Markup:
    """Return what was done with a canary."""
    return markup("{} in {} is {}.", bold(canary.name), canary.cluster.name, _VERBS[action])


def announce_canary(event: CanarySteered) -> Sequence[OutboxMessage]:
    """Return the message for the service's channel."""
    canary = event.canary
    headline = markup(
        "{} {} the canary {} of {} in {}.",
        mention(event.by),
        {"promote fully": "promoted", "promote": "promoted", "pause": "paused", "abort": "aborted"}[
            event.action
        ],
        bold(canary.name),
        bold(canary.settings.service),
        canary.cluster.name,
    )
    effect = {
        CanaryAction.PAUSE: "It gets no more traffic until somebody promotes it.",
        CanaryAction.ABORT: "All traffic goes back to the version before.",
        CanaryAction.PROMOTE: "It goes on to its next step.",
        CanaryAction.PROMOTE_FULLY: "It gets all traffic, without its remaining steps.",
    }[event.action]
    facts = [markup("Before: {}.", _state(canary)), Markup(effect)]
    facts += [markup("Reason: {}", event.reason)] if event.reason else []
    announcement = AnnouncementText(f"canary_{event.action.replace(' ', '_')}", headline, tuple(facts))
    return [message(event.channel, announcement, canary.settings.service)]


def _paragraphs(lines: Sequence[Markup]) -> Sequence[Block]:
    """Return the lines as sections, ten in each."""
    return [section(join("\n", lines[start : start + 10])) for start in range(0, len(lines), 10)]


def _line(reading: CanaryReading, *, with_service: bool) -> Markup:
    settings = reading.settings
    of = markup(" of {}", settings.service) if with_service else NOTHING
    place = markup("{}{} in {}", code(settings.name), of, reading.cluster.name)
    if reading.canary is None:
        return markup("{} — {}", place, sentence(reading.problem))
    return markup("{} — {}{}", place, _state(reading.canary), _note(reading.canary))


def _state(canary: Canary) -> Markup:
    parts: list[Markup] = []
    if canary.weight is not None and canary.phase is not CanaryPhase.STEADY:
        parts.append(markup("{}% of traffic", canary.weight))
    parts.append(escape(str(canary.phase)))
    if canary.step is not None and canary.steps:
        parts.append(markup("step {} of {}", min(canary.step, canary.steps), canary.steps))
    return join(", ", parts)


def _note(canary: Canary) -> Markup:
    return markup(" · {}", canary.note) if canary.note and canary.phase is not CanaryPhase.STEADY else NOTHING


def _buttons(canary: Canary) -> tuple[Block, ...]:
    value = f"{canary.settings.service} {canary.name} in {canary.cluster.name}/{canary.settings.namespace}"
    shown = [CanaryAction.PROMOTE if canary.phase is CanaryPhase.PAUSED else CanaryAction.PAUSE]
    buttons = []
    for action in (*shown, CanaryAction.ABORT):
        label, effect, yes = _ACTIONS[action]
        confirm = confirmation(f"{label} the canary", f"{canary.name}: {effect}", yes)
        buttons.append(button(label, f"{_PREFIX}{action}", value, confirm=confirm))
    return tuple(buttons)
