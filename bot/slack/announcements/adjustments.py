"""What is said of adjustments: what is asked for, before and after, and what became of it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState, CountsAs
from bot.budgets.adjustments.effects import effects_of
from bot.budgets.adjustments.figures import AdjustmentEvent, BudgetChange
from bot.budgets.budget import Budget
from bot.catalog.catalog import EVERYONE, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.notify import Occasion, zone_of
from bot.catalog.slo import DowntimeSli
from bot.formatting import duration_text
from bot.freezes.explanation import count_text
from bot.freezes.hold import GOVERNOR
from bot.slack.announcements.adjustment_buttons import decision_buttons
from bot.slack.announcements.announcement import AnnouncementText, distinct, message
from bot.slack.announcements.budget_phrases import remaining_text
from bot.slack.announcements.personal import adjustment_notice
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, when
from bot.store.outbox import OutboxMessage

_MOST_SLOS = 8


class AdjustmentAnnouncer:
    """Writes the messages of each step; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, event: AdjustmentEvent) -> Sequence[OutboxMessage]:
        """Return one message for each channel; a request only for the service's own, with buttons."""
        announcement, service = announcement_of(event), event.service
        workspace = self._current.workspace.of(service.name)
        if event.adjustment.state is AdjustmentState.WAITING:
            with_buttons = replace(announcement, buttons=decision_buttons(event.adjustment.id))
            asked = message(service.channel, with_buttons, service.name)
            approvers = self._approvers(event, workspace.permissions.adjusters)
            notice = adjustment_notice(event, announcement.headline)
            return [replace(asked, mentions=approvers, notice=notice)]
        channels = [service.channel]
        if event.adjustment.kind is AdjustmentKind.MAINTENANCE and event.by == GOVERNOR:
            # It was planned: the service's own channel is enough.
            return [message(service.channel, announcement, service.name)]
        if event.adjustment.state in {AdjustmentState.APPROVED, AdjustmentState.REVERSED}:
            channels.append(workspace.announcements)
        return [message(channel, announcement, service.name) for channel in distinct(channels)]

    def _approvers(self, event: AdjustmentEvent, entries: Sequence[str]) -> Sequence[str]:
        """Return the people and groups who may approve, and may be notified: those of the service, if any."""
        allowed = [entry for entry in entries if entry != EVERYONE and not entry.startswith(("#", "C", "G"))]
        of_service = [entry for entry in event.service.teams.entries if entry in allowed]
        service, asked_at = event.service, event.adjustment.asked_at
        mentioned = service.error_budget_policy.notify.mentioned(
            Occasion.APPROVAL, service.teams, asked_at, zone_of(service), approvers=of_service or allowed
        )
        return [entry for entry in mentioned if entry != event.by]


def announcement_of(event: AdjustmentEvent) -> AnnouncementText:
    """Return the announcement of a step."""
    adjustment, service = event.adjustment, bold(event.service.name)
    what, why = what_text(adjustment), markup("Why: {}", adjustment.reason)
    asker, by = mention(adjustment.asked_by), mention(event.by)
    changes = changes_text(event.changes)
    match adjustment.state:
        case AdjustmentState.WAITING:
            return AnnouncementText(
                "adjustment_asked",
                markup(":bar_chart: {} — {} asks to {}.", service, asker, what),
                (why, changes, meaning_text(adjustment)),
                markup(
                    "Next: another person approves it, here or by {}.",
                    code(f"/budget approve {adjustment.id}"),
                ),
            )
        case AdjustmentState.APPROVED if adjustment.kind is AdjustmentKind.MAINTENANCE:
            return AnnouncementText(
                "maintenance",
                markup(":wrench: {} — {}.", service, _maintenance(adjustment)),
                (why, changes, meaning_text(adjustment)),
                markup("{} lists and reverses it.", code(f"/budget adjustments {event.service.name}")),
            )
        case AdjustmentState.APPROVED:
            return AnnouncementText(
                "adjustment_approved",
                markup(":bar_chart: {} — {} approved what {} asked for: {}.", service, by, asker, what),
                (why, changes, meaning_text(adjustment)),
                markup("{} lists and reverses it.", code(f"/budget adjustments {event.service.name}")),
            )
        case AdjustmentState.REVERSED:
            reason = markup("Why: {}", event.reason) if event.reason else Markup("")
            return AnnouncementText(
                "adjustment_reversed",
                markup(":bar_chart: {} — {} reversed adjustment {}: {}.", service, by, adjustment.id, what),
                tuple(fact for fact in (reason, changes) if fact),
                Markup("What was counted then counts again as it was."),
            )
        case AdjustmentState.WITHDRAWN:
            headline = markup(":bar_chart: {} — {} withdrew the request to {}.", service, by, what)
            return AnnouncementText("adjustment_withdrawn", headline, following=_UNCHANGED)
        case AdjustmentState.DECLINED:
            text = ":bar_chart: {} — {} declined what {} asked for: {}."
            headline = markup(text, service, by, asker, what)
            return AnnouncementText("adjustment_declined", headline, following=_UNCHANGED)


def _maintenance(adjustment: Adjustment) -> Markup:
    """Return that maintenance has begun, or was while nobody could record it."""
    whose = markup(" of {}", adjustment.slo) if adjustment.slo else Markup("")
    if adjustment.span.end <= adjustment.asked_at:
        return markup("maintenance{} was from {}", whose, time_text(adjustment))
    length = duration_text(adjustment.span.length)
    return markup("maintenance{} until {} ({})", whose, when(adjustment.span.end), length)


_UNCHANGED = Markup("The budget stays as it was counted.")


def what_text(adjustment: Adjustment) -> Markup:
    """Return what an adjustment does, after "to": `leave out 14:05 to 14:20 (15 min)`."""
    whose = markup(" of {}", adjustment.slo) if adjustment.slo else Markup("")
    time = time_text(adjustment)
    number = f"{abs(adjustment.bad_events):,} bad {'event' if abs(adjustment.bad_events) == 1 else 'events'}"
    is_dropped, adds = adjustment.counts_as is CountsAs.DROPPED, adjustment.bad_events > 0
    if not adjustment.is_correction:
        text = "leave out {}{}" if is_dropped else "count {}{} as good"
        return markup(text, time, whose)
    if adds:
        text = "add {}{} that nobody counted, {}" if is_dropped else "count {}{} more, {}"
        return markup(text, number, whose, time)
    return markup("drop {}{}, {}" if is_dropped else "count {}{} as good, {}", number, whose, time)


def time_text(adjustment: Adjustment) -> Markup:
    """Return the time that it is about, with its length."""
    span = adjustment.span
    return markup("{} to {} ({})", when(span.start), when(span.end), duration_text(span.length))


def meaning_text(adjustment: Adjustment) -> Markup:
    """Return what becomes of the events, in a sentence."""
    if adjustment.counts_as is CountsAs.DROPPED:
        if adjustment.bad_events > 0:
            return Markup("They are added to the bad events and to the total.")
        return Markup("What is dropped leaves the bad events and the total.")
    if adjustment.bad_events > 0:
        return Markup("They were counted as good: the total stays.")
    return Markup("The bad events count as good: the total stays.")


def changes_text(changes: Sequence[BudgetChange]) -> Markup:
    """Return each SLO before and after."""
    lines = [_change(change) for change in changes[:_MOST_SLOS]]
    more = len(changes) - len(lines)
    return join("\n", [*lines, f"and {more} more" if more > 0 else ""])


def _change(change: BudgetChange) -> Markup:
    before, after = change.before, change.after
    if change.changes_nothing:
        return markup("{}: {}, nothing changes", before.slo.name, remaining_text(before))
    return markup(
        "{}: {} → {} ({} → {})",
        before.slo.name, remaining_text(before), bold(remaining_text(after)), _counts(before), _counts(after),
    )  # fmt: skip


def _counts(budget: Budget) -> str:
    if budget.events is None:
        return "nothing counted"
    unit = " s" if isinstance(budget.slo.sli, DowntimeSli) else ""
    return f"{count_text(budget.events.bad)}{unit} bad of {count_text(budget.events.total)}{unit}"


_PLANNED = Markup("maintenance, planned in the policy")


def state_text(adjustment: Adjustment) -> Markup:
    """Return how far an adjustment has come, and by whom."""
    match adjustment.state:
        case AdjustmentState.WAITING:
            return markup("asked by {}, waits for approval", mention(adjustment.asked_by))
        case AdjustmentState.APPROVED if adjustment.kind is AdjustmentKind.MAINTENANCE:
            return _PLANNED
        case AdjustmentState.REVERSED if adjustment.kind is AdjustmentKind.MAINTENANCE:
            return markup("{}, reversed by {}", _PLANNED, mention(adjustment.reversed_by or GOVERNOR))
        case AdjustmentState.REVERSED:
            return markup(
                "asked by {}, reversed by {}",
                mention(adjustment.asked_by), mention(adjustment.reversed_by or GOVERNOR),
            )  # fmt: skip
        case AdjustmentState.WITHDRAWN:
            return markup("withdrawn by {}", mention(adjustment.asked_by))
        case _:
            decider = mention(adjustment.decided_by or GOVERNOR)
            text = "asked by {}, {} by {}"
            return markup(text, mention(adjustment.asked_by), str(adjustment.state), decider)


def adjusted_text(budgets: Sequence[Budget], service: Service) -> Markup:
    """Return in a line that some of the figures are adjusted, and where that is listed; empty if none is."""
    numbers = {effect.adjustment.id for budget in budgets for effect in effects_of(budget.events)}
    if not numbers:
        return Markup("")
    count = f"{len(numbers)} adjustments" if len(numbers) > 1 else "an adjustment"
    return markup(
        "The figures are after {} of the record: {}.", count, code(f"/budget adjustments {service.name}")
    )


def adjusted_over_text(adjustment: Adjustment | None) -> Markup:
    """Return which adjustment moved a budget over its level, and whose it was; empty where none did."""
    if adjustment is None:
        return NOTHING
    what = what_text(adjustment)
    if adjustment.state is AdjustmentState.REVERSED:
        by = mention(adjustment.reversed_by or GOVERNOR)
        return markup("It follows from an adjustment: {} reversed {} ({}).", by, adjustment.id, what)
    if adjustment.kind is AdjustmentKind.MAINTENANCE:
        return markup("It follows from maintenance, adjustment {} ({}).", adjustment.id, what)
    by = mention(adjustment.decided_by or GOVERNOR)
    return markup("It follows from an adjustment: {} approved {} ({}).", by, adjustment.id, what)
