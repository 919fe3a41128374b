"""Announcements of flag events in channels. Pure, so that it can run within a transaction."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from bot.catalog.catalog import EVERYONE, Service, Workspace
from bot.catalog.current import CurrentCatalog
from bot.catalog.notify import Occasion, zone_of
from bot.catalog.teams import each_once
from bot.flags.change import Direction
from bot.flags.change_request import ChangeApplied, ChangeCause
from bot.flags.events import (
    ApprovalDeclined,
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
    WatchEndedUndecided,
)
from bot.flags.flag import exposure_in_words
from bot.formatting import duration_text, listed, percent_text
from bot.freezes.hold import GOVERNOR
from bot.slack.announcements.announcement import AnnouncementText
from bot.slack.announcements.personal import flag_notice
from bot.slack.approvals.buttons import approval_buttons
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    escape,
    join,
    markup,
    mention,
    sentence,
    when,
)
from bot.slack.interactions import Query, Reply, show_button
from bot.store.outbox import Block, OutboxMessage

# The bot's own text comes first in a reason; what follows was typed by people.
_ASKED_BY = re.compile(r"asked for by ([UW][A-Z0-9]{2,20})(?=:|$)")


class FlagAnnouncer:
    """Writes the messages of a flag event; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, context: FlagEventContext) -> Sequence[OutboxMessage]:
        """Return one message for each channel."""
        workspace = self._current.workspace
        location = FlagLocation(context, workspace)
        announcement = announcement_text(context, location)
        channels = list(context.channels)
        match context.event:
            case ApprovalRequested(key=key) as asked:
                # Only one message has the buttons: two would have to be updated together.
                buttons = (*approval_buttons(key), *location.see())
                message = _message(channels[0], announcement, buttons)
                notice = flag_notice(context, asked, self._services(context), announcement.headline)
                return [replace(message, mentions=self._approvers(context, asked), notice=notice)]
            case ApprovalDeclined(asked_by=asked_by):
                return [replace(_message(channels[0], announcement, location.see()), mentions=[asked_by])]
            case FlagDrifted(frozen=frozen) if frozen:
                everywhere = [workspace.of(service).announcements for service in frozen]
                channels = list(dict.fromkeys([*channels, *everywhere]))
        return [_message(channel, announcement, location.see()) for channel in channels]

    def _services(self, context: FlagEventContext) -> Sequence[Service]:
        services = self._current.catalog.services
        return [services[name] for name in context.services if name in services]

    def _approvers(self, context: FlagEventContext, event: ApprovalRequested) -> Sequence[str]:
        """Return the teams and people who may approve, those of the flag's services if they are among them.

        Where everybody or a channel's members may, these teams are meant. Whoever asks is not.
        """
        services = self._services(context)
        teams = dict.fromkeys(entry for service in services for entry in service.teams.entries)
        workspace = self._current.workspace.of(context.services[0] if context.services else None)
        entries = workspace.permissions.flags.get(context.environment, ())
        allowed = [entry for entry in entries if entry != EVERYONE and not entry.startswith(("#", "C", "G"))]
        may_be_others = len(allowed) < len(entries)
        of_services = [entry for entry in teams if entry in allowed] or (list(teams) if may_be_others else [])
        approvers = of_services or allowed
        if not services:
            return [entry for entry in approvers if entry != event.by]
        # Each service's policy says whom its approvals mention.
        mentioned = each_once(
            entry
            for service in services
            for entry in service.error_budget_policy.notify.mentioned(
                Occasion.APPROVAL, service.teams, context.now, zone_of(service), approvers=approvers
            )
        )
        return [entry for entry in mentioned if entry != event.by]


class FlagLocation:
    """A flag in its environment, as messages and commands name it."""

    def __init__(self, context: FlagEventContext, workspace: Workspace) -> None:
        self.flag = context.flag
        self.environment = context.environment
        default = next((known.name for known in workspace.flags.environments if known.default), "")
        self._suffix = "" if default == context.environment else f" {context.environment}"
        self.name = markup("{} in {}", bold(context.flag), context.environment)

    def command(self, subcommand: str) -> Markup:
        """Return the command that does this to the flag."""
        return code(f"/flag {subcommand} {self.flag}{self._suffix}")

    def see(self) -> tuple[Block, ...]:
        """Return the button that shows the flag."""
        return show_button("See flag", Query("flag", f"show {self.flag} {self.environment}"))


def announcement_text(  # noqa: C901, PLR0911 - one return an event
    context: FlagEventContext, location: FlagLocation
) -> AnnouncementText:
    """Return the announcement of a flag event."""
    match context.event:
        case FlagChanged():
            return _changed(context.event, context, location)
        case ApprovalRequested():
            return _approval_requested(context.event, location)
        case ApprovalDeclined(words, by, asked_by, comment, is_ramp):
            what = "the ramp of" if is_ramp else "the change of"
            headline = markup(
                "{} — {} declined {} {}, as {} asked.",
                bold(words), mention(by), what, location.name, mention(asked_by),
            )  # fmt: skip
            facts = (markup("{} says: {}", mention(by), comment),) if comment else ()
            return AnnouncementText("flag_declined", headline, facts)
        case ChangeFailed(words, by, why):
            headline = markup(
                ":warning: Not done: {} for {}, as {} asked.", words, location.name, mention(by)
            )
            following = Markup("Next: type it again if you still want it.")
            return AnnouncementText("flag_not_done", headline, (sentence(why),), following)
        case RevertFailed():
            return _revert_failed(context.event, location)
        case RevertDueSoon(state, until):
            left = duration_text(until - context.now)
            return AnnouncementText(
                "flag_ends_soon",
                markup(":hourglass: {} left — {} goes back to {} {}.", bold(left), location.name,
                       exposure_in_words(state), when(until)),
                following=markup("Next: {} keeps it on.", location.command("on")),
            )  # fmt: skip
        case WatchEndedUndecided(why):
            return AnnouncementText(
                "flag_undecided",
                markup(":grey_question: {} — the watch is over: {}.", location.name, why),
                (Markup("Nothing shows that the increase does harm, nor that it does none."),),
                markup("Next: {}, and {} if in doubt.", location.command("show"), location.command("undo")),
            )
        case RampPaused(by, why, progress, goes_on):
            held = sentence(why) if by == GOVERNOR else markup("{} holds it.", mention(by))
            following = (
                Markup("It goes on by itself.")
                if goes_on
                else markup("Next: {}.", location.command("ramp go"))
            )
            return AnnouncementText("ramp_held", _ramp(progress, location, "waits"), (held,), following)
        case RampResumed(by, progress):
            headline = markup("{} {}.", _ramp(progress, location, "goes on, by"), mention(by))
            return AnnouncementText("ramp_goes_on", headline, (), _next_step(progress))
        case RampStopped(by, why, progress):
            headline = markup("{} {}.", _ramp(progress, location, "ended, by"), mention(by))
            following = markup("The flag stays as it is. Next: {}.", location.command("show"))
            return AnnouncementText("ramp_stopped", headline, (sentence(why),), following)
        case FlagDrifted():
            return _drifted(context.event, location)
        case _:
            assert_never(context.event)


def change_text(applied: ChangeApplied, name: Markup) -> Markup:
    """Return a change that was made: the difference first, then how soon it was observed."""
    difference, seen = applied.difference, applied.seen_after
    shown = "sent, but not seen in the flag system yet" if seen is None else live_after(seen)
    return markup("{} — {}, {}.", bold(difference.words), name, shown)


def reason_text(by: str, reason: str) -> Markup:
    """Return a reason; if the bot's own text names who asked, as a mention."""
    match = _ASKED_BY.search(reason) if by == GOVERNOR else None
    if match is None:
        return escape(reason)
    return join("", [reason[: match.start(1)], mention(match[1]), reason[match.end(1) :]])


def live_after(seen_after: timedelta) -> str:
    """Return `live after 1.6 s`, `live at once` below 0.1 s, `live` if it was live before."""
    seconds = seen_after.total_seconds()
    if not seconds:
        return "live"
    return f"live after {seconds:.1f}\u00a0s" if seconds >= 0.1 else "live at once"


_EMOJI = {
    ChangeCause.GUARD: ":rewind: ",
    ChangeCause.EXHAUSTED: ":small_red_triangle_down: ",
    ChangeCause.TIMER: ":hourglass: ",
}


def _changed(event: FlagChanged, context: FlagEventContext, location: FlagLocation) -> AnnouncementText:
    order, applied = event.request, event.applied
    approved = markup(", approved by {}", mention(order.approved_by)) if order.approved_by else ""
    by = markup("By {}{}", mention(order.by), approved)
    facts = [markup("{}.", join(": ", [by, reason_text(order.by, order.reason.rstrip("."))]))]
    if order.approved_by and order.approval_comment:
        facts.append(markup("{} says: {}", mention(order.approved_by), order.approval_comment))
    if event.ended_ramp:
        facts.append(Markup("Its ramp ended with that."))
    if event.ended_timer:
        facts.append(Markup("Its timer no longer applies."))
    if applied.until is not None:
        facts.append(markup("It goes back by itself {}.", when(applied.until)))
    if applied.watched_until is not None:
        watched = duration_text(applied.watched_until - context.now)
        facts.append(markup("Watched for {}: it is rolled back if the budget burns too fast.", watched))
    sign = Markup(_EMOJI.get(order.cause, ""))
    headline = markup("{}{}", sign, change_text(applied, location.name))
    return AnnouncementText("flag_changed", headline, tuple(facts), _following(event, context, location))


def _following(event: FlagChanged, context: FlagEventContext, location: FlagLocation) -> Markup:
    match event.request.cause:
        case ChangeCause.RAMP:
            return _next_step(event.progress) if event.progress else NOTHING
        case ChangeCause.GUARD:
            return Markup("Next: find out why before more people see it again.")
        case ChangeCause.EXHAUSTED:
            service = event.request.service or listed(list(context.services))
            back = markup("It comes back by itself when {} is open again, unless somebody moves it.", service)
            stays = Markup("It was on for a time only, and does not come back by itself.")
            return stays if event.ended_timer else back
        case ChangeCause.PERSON:
            if event.applied.difference.direction is Direction.KEEPS:
                return NOTHING
            return markup("Next: {} takes it back.", location.command("undo"))
        case ChangeCause.TIMER | ChangeCause.RECOVERED:
            return NOTHING


def _approval_requested(event: ApprovalRequested, location: FlagLocation) -> AnnouncementText:
    request = "for a ramp of" if event.steps else "to raise"
    every = f"One step every {duration_text(event.every)}; each is watched." if event.every else ""
    return AnnouncementText(
        "flag_approval",
        markup(":raised_hand: {} — {} asks {} {}{}", bold(event.words), mention(event.by), request,
               location.name, f": {event.reason}" if event.reason else "."),
        (markup("{}", every),) if every else (),
        Markup("Next: another person who may change it approves or declines."),
    )  # fmt: skip


def _revert_failed(event: RevertFailed, location: FlagLocation) -> AnnouncementText:
    back = exposure_in_words(event.state)
    if event.cause is ChangeCause.GUARD:
        again = "Governor tries again." if event.will_retry else "Governor leaves it alone."
        return AnnouncementText(
            "flag_left_alone",
            markup(":rotating_light: {} is not back to {} — {}.", location.name, back, event.evidence),
            (sentence(event.why), Markup(again)),
            markup("Next: look now; {} turns it off.", location.command("kill")),
        )
    again = "It is tried again." if event.will_retry else "It stays as it is."
    following = markup("{} Next: {}.", again, location.command("show"))
    headline = markup(":warning: {} does not go back to {}.", location.name, back)
    return AnnouncementText("flag_left_alone", headline, (sentence(event.why),), following)


def _drifted(event: FlagDrifted, location: FlagLocation) -> AnnouncementText:
    sign = ":rotating_light:" if event.frozen else ":mag:"
    who = markup(" by {}", event.who) if event.who else NOTHING
    during = NOTHING
    if event.frozen:
        verb = "is" if len(event.frozen) == 1 else "are"
        during = markup(", while {} {} frozen", listed(event.frozen), verb)
    headline = markup(
        "{} {} — {} was changed outside Governor{}{}.",
        Markup(sign), bold(event.difference.words), location.name, who, during,
    )  # fmt: skip
    following = Markup("Next: say why in this channel, or take it back.")
    return AnnouncementText("flag_drifted", headline, (), following)


def _ramp(progress: RampProgress, location: FlagLocation, verb: str) -> Markup:
    return markup(
        "{} of {} steps taken — the ramp of {} {}{}",
        progress.taken, progress.of, location.name, verb, "" if verb.endswith("by") else ".",
    )  # fmt: skip


def _next_step(progress: RampProgress) -> Markup:
    if progress.next_share is None:
        return Markup("That was the last step; it is still watched.")
    return markup(
        "Step {} of {}. Next: {} {}.",
        progress.taken, progress.of, percent_text(progress.next_share, plain=True), when(progress.due_at),
    )  # fmt: skip


def _message(channel: str, announcement: AnnouncementText, buttons: Sequence[Block]) -> OutboxMessage:
    facts = join("\n", announcement.facts)
    body = [section(part) for part in (announcement.headline, facts, announcement.following) if part]
    text = join("\n", [announcement.headline, facts, announcement.following])
    reply = Reply(text, tuple(body), tuple(buttons))
    return OutboxMessage(channel, announcement.event_type, reply.fallback, reply.blocks)
