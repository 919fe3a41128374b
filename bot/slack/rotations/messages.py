"""Writes the messages about rotations: who serves, what happened, stand-ins and swaps. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.formatting import counted, listed
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.slack.blockkit.blocks import actions, context, header, section
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    cut,
    day,
    join,
    markup,
    mention,
    naming,
    when,
)
from bot.slack.rotations.buttons import look_buttons, swap_buttons
from bot.store.addresses import qualified
from bot.store.outbox import Block, OutboxMessage
from bot.teams.rotations.handover import HandoverNote
from bot.teams.rotations.period import Absence, RequestedSwap, RotationPeriod
from bot.teams.rotations.plan import Side

BEGUN = "rotation_begun"
GUIDE = "rotation_guide"
HANDED_OVER = "rotation_handed_over"
CHANGED = "rotation_changed"
SWAP_ASKED = "rotation_swap_asked"
SWAP_DECLINED = "rotation_swap_declined"
SIDES: Mapping[Side, str] = {Side.DEVELOPMENT: "development", Side.RELIABILITY: "reliability"}
_LONGEST_TEXT = 2_900
_LONGEST_LINE = 200
_MOST_LINES = 5


class RotationMessages:
    """Writes messages; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def begun(self, rotation: Rotation, period: RotationPeriod) -> Sequence[OutboxMessage]:
        """Write who serves from now on, with a short guide for both in the thread."""
        text = markup("{} {}", bold(f"Rotation {rotation.name}:"), _who(period))
        missing = [side for side in Side if period.person(side) is None]
        notes = [_nobody(side) for side in missing] if period.pair else []
        small = [context(Markup("What the pair does is in the thread."))] if period.pair else []
        body = [section(join("\n", [text, *notes])), *small, *actions(*look_buttons(rotation.name))]
        announced = self._everywhere(rotation, BEGUN, text, body)
        if not period.pair:
            return announced
        thread, does = f"rotation {rotation.name} {period.number}", guide(rotation, period)
        guides = self._everywhere(rotation, GUIDE, does, [section(does)])
        return [replace(message, thread=thread) for message in (*announced, *guides)]

    def handed_over(self, rotation: Rotation, note: HandoverNote) -> Sequence[OutboxMessage]:
        """Write what happened in a period that is over."""
        period = note.period
        people = Markup(listed([str(mention(person)) for person in period.people]))
        text = markup(
            "Rotation {}: hand-over from {}, {} to {}.",
            rotation.name, people, day(period.begins_at), day(period.ends_at),
        )  # fmt: skip
        body = [
            header("Hand-over"),
            section(text),
            section(happened(note)),
            *_titled("Still to do", _open_actions(note.open_actions)),
            context(Markup("Next: tell the next pair in this thread what these figures do not say.")),
        ]
        return self._everywhere(rotation, HANDED_OVER, text, body)

    def stood_in(
        self, rotation: Rotation, period: RotationPeriod, absence: Absence, side: Side
    ) -> Sequence[OutboxMessage]:
        """Write that somebody serves in place of one who is away."""
        person = period.person(side)
        instead = (
            markup("{} takes over", mention(person))
            if person is not None
            else markup("nobody else from {} is there", SIDES[side])
        )
        text = markup(
            "Rotation {}: {} is away until {}, and {} until {}.",
            bold(rotation.name), mention(absence.person), when(absence.until_at),
            instead, when(period.ends_at),
        )  # fmt: skip
        return self._everywhere(
            rotation, CHANGED, text, [section(text), *actions(*look_buttons(rotation.name))]
        )

    def swap_asked(
        self, rotation: Rotation, requested: RequestedSwap, begins: tuple[datetime, datetime]
    ) -> OutboxMessage:
        """Write to the other of two that one asks to swap."""
        text = markup(
            "{} asks you to swap turns in the rotation {}: {}. Next: agree or decline.",
            mention(requested.asked_by), bold(rotation.name), swap_text(requested, begins),
        )  # fmt: skip
        body = [section(text), *actions(*swap_buttons(requested.id))]
        return self._to_person(rotation, requested.asked_of, SWAP_ASKED, text, body)

    def swapped(
        self, rotation: Rotation, requested: RequestedSwap, begins: tuple[datetime, datetime]
    ) -> Sequence[OutboxMessage]:
        """Write that two have exchanged their turns."""
        text = markup(
            "Rotation {}: {} and {} have swapped. {}.",
            bold(rotation.name), mention(requested.asked_by), mention(requested.asked_of),
            swap_text(requested, begins),
        )  # fmt: skip
        return self._everywhere(
            rotation, CHANGED, text, [section(text), *actions(*look_buttons(rotation.name))]
        )

    def swap_declined(self, rotation: Rotation, requested: RequestedSwap) -> OutboxMessage:
        """Write to whoever asked for a swap that the other does not agree."""
        text = markup(
            "{} would rather not swap turns in the rotation {}, so everything stays as it was. Next: ask "
            "somebody else, or say {} when you cannot serve.",
            mention(requested.asked_of), bold(rotation.name), code("/rotation away until friday"),
        )  # fmt: skip
        return self._to_person(rotation, requested.asked_by, SWAP_DECLINED, text, [section(text)])

    def _everywhere(
        self, rotation: Rotation, event: str, text: Markup, body: Sequence[Block]
    ) -> list[OutboxMessage]:
        """Return the message for the channel of each service, once where some share one."""
        catalog = self._current.catalog
        channels = [catalog.service_or_stand_in(name).channel for name in rotation.services]
        return [
            OutboxMessage(channel, event, cut(text, _LONGEST_TEXT), body)
            for channel in dict.fromkeys(channels)
        ]

    def _to_person(
        self, rotation: Rotation, person: str, event: str, text: Markup, body: Sequence[Block]
    ) -> OutboxMessage:
        address = qualified(self._current.workspace.of(rotation.services[0]).elsewhere, person)
        return OutboxMessage(address, event, cut(text, _LONGEST_TEXT), body)


def guide(rotation: Rotation, period: RotationPeriod) -> Markup:
    """Return what the pair does, and what each of the two can learn."""
    service = rotation.services[0]
    developer, sre = period.person(Side.DEVELOPMENT), period.person(Side.RELIABILITY)
    lines = [
        markup(
            "• You are invited to each incident of {} as shadows: look, ask, take notes.", _services(rotation)
        ),
        Markup("• You lead the postmortems together."),
    ]
    if developer is not None:
        budget, where = code(f"/budget {service}"), code(f"/budget {service} where")
        lines.append(
            markup("• {} sees how it is run: alerts, runbooks, {} and {}.", mention(developer), budget, where)
        )
    if sre is not None:
        ship = code(f"/ship {service}")
        lines.append(
            markup("• {} sees how it is changed: reviews, deployments, flags, {}.", mention(sre), ship)
        )
    away, swap = code("/rotation away until friday"), code("/rotation swap @colleague")
    lines.append(markup("• Away, or is another time better? {}, {}.", away, swap))
    return join("\n", [bold("For both of you"), *lines])


def happened(note: HandoverNote) -> Markup:
    """Return the incidents, freezes and deployments of a period."""
    parts = [
        *_incidents(note),
        *_freezes(note),
        _deployments(note),
    ]
    return join("\n", parts)


def swap_text(requested: RequestedSwap, begins: tuple[datetime, datetime]) -> Markup:
    """Return who serves when after a swap."""
    swap = requested.swap
    return markup(
        "{} serves from {}, and {} from {}",
        mention(swap.first_person), day(begins[0]), mention(swap.later_person), day(begins[1]),
    )  # fmt: skip


def _who(period: RotationPeriod) -> Markup:
    if not period.pair:
        return markup(
            "nobody of either team is there until {}. The rotation goes on with the next pair then.",
            when(period.ends_at),
        )
    pair = Markup(" and ".join(str(mention(person)) for person in period.pair))
    together = "serve together" if len(period.pair) > 1 else "serves"
    return markup("{} {} until {}.", pair, together, when(period.ends_at))


def _nobody(side: Side) -> Markup:
    return markup("Nobody from {} is there in this time.", SIDES[side])


def _services(rotation: Rotation) -> str:
    return listed(rotation.services)


def _incidents(note: HandoverNote) -> list[Markup]:
    found = note.incidents
    private = f", {note.private_incidents} of them private" if note.private_incidents else ""
    count = len(found) + note.private_incidents
    if not count:
        return [Markup("• No incident")]
    lines = [markup("• {}{}", counted(count, "incident"), private)]
    lines += [markup("    {}", _incident(incident)) for incident in found[:_MOST_LINES]]
    return [*lines, *_rest(len(found))]


def _incident(incident: Incident) -> Markup:
    state = "over" if incident.status.is_over else "still open"
    return cut(
        markup(
            "{} {}: {}, {}", code(f"/incident show {incident.id}"), incident.severity, incident.title, state
        ),
        _LONGEST_LINE,
    )


def _freezes(note: HandoverNote) -> list[Markup]:
    if not note.freezes:
        return [Markup("• No freeze")]
    lines = [markup("• {}", counted(len(note.freezes), "freeze"))]
    for hold in note.freezes[:_MOST_LINES]:
        line = markup("    {}, since {}: {}", hold.service, when(hold.since), naming(hold.reason))
        lines.append(cut(line, 2 * _LONGEST_LINE))
    return [*lines, *_rest(len(note.freezes))]


def _deployments(note: HandoverNote) -> Markup:
    if not note.deployments:
        return Markup("• No deployment to production")
    failed = f", {note.failed_deployments} of them failed" if note.failed_deployments else ""
    return markup("• {} to production{}", counted(note.deployments, "deployment"), failed)


def _open_actions(open_actions: Sequence[Action]) -> Markup:
    lines = [markup("• {}", _action(action)) for action in open_actions[:_MOST_LINES]]
    return join("\n", [*lines, *_rest(len(open_actions))])


def _action(action: Action) -> Markup:
    owner = markup(", {}", mention(action.owner)) if action.owner else Markup(", without an owner")
    due = f", due {action.due:%Y-%m-%d}" if action.due else ""
    p0 = "P0 — " if action.is_p0 else ""
    return markup("{}{}{}{}", p0, cut(naming(action.text), _LONGEST_LINE), owner, due)


def _rest(count: int) -> list[Markup]:
    return [markup("    … and {} more", count - _MOST_LINES)] if count > _MOST_LINES else []


def _titled(title: str, text: Markup) -> list[Block]:
    return [section(join("\n", [bold(title), text]))] if text != NOTHING else []
