"""What the channels are told about flags, in words. Pure, so that it can run within a transaction."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import assert_never

from bot.catalog.catalog import Workspace
from bot.catalog.current import CurrentCatalog
from bot.flags.change import Direction
from bot.flags.change_request import ChangeApplied, ChangeCause
from bot.flags.events import (
    ApprovalRequested,
    ChangeFailed,
    FlagChanged,
    FlagDrifted,
    FlagEventContext,
    RampPaused,
    RampProgress,
    RampResumed,
    RampStopped,
    RevertDueSoon,
    RevertFailed,
)
from bot.flags.flag import exposure_in_words
from bot.formatting import duration_text, listed, percent_text
from bot.freezes.hold import GOVERNOR
from bot.slack.announcements.freezes import AnnouncementText
from bot.slack.blockkit.blocks import button, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, escape, join, markup, mention, when
from bot.slack.interactions import Query, Reply, show_button
from bot.store.outbox import Block, OutboxMessage

APPROVE = "flag.approve"
DECLINE = "flag.decline"
"""The buttons under an increase that waits for another person."""

# The bot's own words come first in a reason: what follows them was typed.
_ASKER = re.compile(r"asked for by ([UW][A-Z0-9]{2,20})(?=:|$)")


class FlagAnnouncer:
    """Writes the messages of an occasion; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, occasion: FlagEventContext) -> Sequence[OutboxMessage]:
        """Return one message for each channel that is to be told."""
        workspace = self._current.workspace
        place = FlagLocation(occasion, workspace)
        telling = tell(occasion, place)
        rooms = list(occasion.channels)
        match occasion.event:
            case ApprovalRequested(key=key):
                # One message to press on: two would have to be kept alike.
                return [_message(rooms[0], telling, (*_approval(key), *place.see()))]
            case FlagDrifted(while_frozen=True):
                told = [workspace.of(service).announcements for service in occasion.services]
                rooms = list(dict.fromkeys([*rooms, *(told or [workspace.announcements])]))
        return [_message(room, telling, place.see()) for room in rooms]


class FlagLocation:
    """A flag in its environment, as messages name it and people type it."""

    def __init__(self, occasion: FlagEventContext, workspace: Workspace) -> None:
        self.flag = occasion.flag
        self.environment = occasion.environment
        default = next((one.name for one in workspace.flags.environments if one.default), "")
        self._suffix = "" if default == occasion.environment else f" {occasion.environment}"
        self.name = markup("{} in {}", bold(occasion.flag), occasion.environment)

    def typed(self, words: str) -> Markup:
        """Return the command that does this to the flag."""
        return code(f"/flag {words} {self.flag}{self._suffix}")

    def see(self) -> tuple[Block, ...]:
        """Return the button that shows the flag."""
        return show_button("See flag", Query("flag", f"show {self.flag} {self.environment}"))


def tell(occasion: FlagEventContext, place: FlagLocation) -> AnnouncementText:  # noqa: PLR0911 - one return an event
    """Put an occasion into words."""
    match occasion.event:
        case FlagChanged():
            return _changed(occasion.event, occasion, place)
        case ApprovalRequested():
            return _asked(occasion.event, place)
        case ChangeFailed(words, by, why):
            headline = markup(":warning: Not done: {} for {}, as {} wanted.", words, place.name, mention(by))
            following = Markup("Next: type it again if it is still wanted.")
            return AnnouncementText("flag_not_done", headline, (sentence(why),), following)
        case RevertFailed():
            return _left(occasion.event, place)
        case RevertDueSoon(state, until):
            left = duration_text(until - occasion.now)
            return AnnouncementText(
                "flag_ends_soon",
                markup(":hourglass: {} left — {} goes back to {} {}.", bold(left), place.name,
                       exposure_in_words(state), when(until)),
                following=markup("Next: {} keeps it on.", place.typed("on")),
            )  # fmt: skip
        case RampPaused(by, why, progress, goes_on):
            held = sentence(why) if by == GOVERNOR else markup("{} holds it.", mention(by))
            following = (
                Markup("It goes on by itself.") if goes_on else markup("Next: {}.", place.typed("ramp go"))
            )
            return AnnouncementText("ramp_held", _ramp(progress, place, "waits"), (held,), following)
        case RampResumed(by, progress):
            headline = markup("{} {}.", _ramp(progress, place, "goes on, by"), mention(by))
            return AnnouncementText("ramp_goes_on", headline, (), _next_step(progress))
        case RampStopped(by, why, progress):
            headline = markup("{} {}.", _ramp(progress, place, "ended, by"), mention(by))
            following = markup("The flag stays as it is. Next: {}.", place.typed("show"))
            return AnnouncementText("ramp_stopped", headline, (sentence(why),), following)
        case FlagDrifted():
            return _drifted(occasion.event, occasion, place)
        case _:
            assert_never(occasion.event)


def change_in_words(live: ChangeApplied, name: Markup) -> Markup:
    """Return a change that was carried out: the difference first, and whether it was seen."""
    difference, seen = live.difference, live.seen_after
    shown = "sent, but not seen in the flag system yet" if seen is None else live_after(seen)
    return markup("{} — {}, {}.", bold(difference.words), name, shown)


def reason_in_words(by: str, reason: str) -> Markup:
    """Return a reason as people read it: where the bot names whoever asked, Slack shows their name."""
    found = _ASKER.search(reason) if by == GOVERNOR else None
    if found is None:
        return escape(reason)
    return join("", [reason[: found.start(1)], mention(found[1]), reason[found.end(1) :]])


def live_after(seen_after: timedelta) -> str:
    """Return `live after 1.6 s`, `live at once` below a tenth; what was found later was live already."""
    seconds = seen_after.total_seconds()
    if not seconds:
        return "live"
    return f"live after {seconds:.1f}\u00a0s" if seconds >= 0.1 else "live at once"


_SIGNS = {
    ChangeCause.GUARD: ":rewind: ",
    ChangeCause.EXHAUSTED: ":small_red_triangle_down: ",
    ChangeCause.TIMER: ":hourglass: ",
}


def _changed(event: FlagChanged, occasion: FlagEventContext, place: FlagLocation) -> AnnouncementText:
    order, live = event.request, event.applied
    approved = markup(", approved by {}", mention(order.approved_by)) if order.approved_by else ""
    why = reason_in_words(order.by, order.reason.rstrip("."))
    facts = [markup("By {}{}: {}.", mention(order.by), approved, why)]
    if event.ended_ramp:
        facts.append(Markup("Its ramp ended with that."))
    if event.ended_timer:
        facts.append(Markup("The time that was set for it no longer counts."))
    if live.until is not None:
        facts.append(markup("It goes back by itself {}.", when(live.until)))
    if live.watched_until is not None:
        watched = duration_text(live.watched_until - occasion.now)
        facts.append(markup("Watched for {}: it goes back if the service burns too fast.", watched))
    sign = Markup(_SIGNS.get(order.cause, ""))
    headline = markup("{}{}", sign, change_in_words(live, place.name))
    return AnnouncementText("flag_changed", headline, tuple(facts), _following(event, occasion, place))


def _following(event: FlagChanged, occasion: FlagEventContext, place: FlagLocation) -> Markup:
    match event.request.cause:
        case ChangeCause.RAMP:
            return _next_step(event.progress) if event.progress else NOTHING
        case ChangeCause.GUARD:
            return Markup("Next: find out why before more people see it again.")
        case ChangeCause.EXHAUSTED:
            service = event.request.service or listed(list(occasion.services))
            return markup("It comes back by itself when {} is open again, unless somebody moves it.", service)
        case ChangeCause.PERSON:
            if event.applied.difference.direction is Direction.KEEPS:
                return NOTHING
            return markup("Next: {} takes it back.", place.typed("undo"))
        case ChangeCause.TIMER | ChangeCause.RECOVERED:
            return NOTHING


def _asked(event: ApprovalRequested, place: FlagLocation) -> AnnouncementText:
    what = "for a ramp of" if event.steps else "to raise"
    every = f"One step every {duration_text(event.every)}; each is watched." if event.every else ""
    return AnnouncementText(
        "flag_approval",
        markup(":raised_hand: {} — {} asks {} {}: {}", bold(event.words), mention(event.by), what,
               place.name, event.reason),
        tuple(markup("{}", one) for one in [every] if one),
        Markup("Next: another person who may change it approves or declines."),
    )  # fmt: skip


def _left(event: RevertFailed, place: FlagLocation) -> AnnouncementText:
    back = exposure_in_words(event.state)
    if event.cause is ChangeCause.GUARD:
        again = "Governor tries again." if event.will_retry else "Governor leaves it alone."
        return AnnouncementText(
            "flag_left_alone",
            markup(":rotating_light: {} is not back to {} — {}.", place.name, back, event.evidence),
            (sentence(event.why), Markup(again)),
            markup("Next: look now; {} turns it off.", place.typed("kill")),
        )
    again = "It is tried again." if event.will_retry else "It stays as it is."
    following = markup("{} Next: {}.", again, place.typed("show"))
    headline = markup(":warning: {} does not go back to {}.", place.name, back)
    return AnnouncementText("flag_left_alone", headline, (sentence(event.why),), following)


def _drifted(event: FlagDrifted, occasion: FlagEventContext, place: FlagLocation) -> AnnouncementText:
    sign = ":rotating_light:" if event.while_frozen else ":mag:"
    who = markup(" by {}", event.who) if event.who else NOTHING
    during = NOTHING
    if event.while_frozen:
        during = markup(", while {} is frozen", listed(list(occasion.services)))
    headline = markup(
        "{} {} — {} was changed outside Governor{}{}.",
        Markup(sign), bold(event.difference.words), place.name, who, during,
    )  # fmt: skip
    following = Markup("Next: say why in this channel, or take it back.")
    return AnnouncementText("flag_drifted", headline, (), following)


def _ramp(progress: RampProgress, place: FlagLocation, does: str) -> Markup:
    return markup(
        "{} of {} steps taken — the ramp of {} {}{}",
        progress.taken, progress.of, place.name, does, "" if does.endswith("by") else ".",
    )  # fmt: skip


def _next_step(progress: RampProgress) -> Markup:
    if progress.next_share is None:
        return Markup("That was the last step; it is still watched.")
    return markup(
        "Step {} of {}. Next: {} {}.",
        progress.taken, progress.of, percent_text(progress.next_share, plain=True), when(progress.due_at),
    )  # fmt: skip


def sentence(text: str) -> Markup:
    """Return an error's or a reason's words as a sentence."""
    capital = text[:1].upper() + text[1:].rstrip(".")
    return markup("{}", capital if capital.endswith("?") else f"{capital}.")


def _approval(key: str) -> tuple[Block, ...]:
    return button("Approve", APPROVE, key, style="primary"), button("Decline", DECLINE, key)


def _message(channel: str, telling: AnnouncementText, buttons: Sequence[Block]) -> OutboxMessage:
    facts = join("\n", telling.facts)
    body = [section(part) for part in (telling.headline, facts, telling.following) if part]
    text = join("\n", [telling.headline, facts, telling.following])
    reply = Reply(text, tuple(body), tuple(buttons))
    return OutboxMessage(channel, telling.event_type, reply.fallback, reply.blocks)
