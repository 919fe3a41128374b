"""Announcements of budgets, holds and policies in channels. Pure, so that it can run within a transaction.

The words "frozen" and "freeze" appear only in announcements of a freeze, so that people and scripts can count
them (a line each, if many are combined into one message); a service that opens is "open again".
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import assert_never

from bot.budgets.budget import Budget
from bot.catalog.catalog import EVERYONE, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import (
    AlertSeverity,
    ErrorBudgetPolicy,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.formatting import budget_text, burn_rate_text, duration_text, listed, percent_text
from bot.freezes.burn import burn_of, ends_burn, is_of_burn
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    BurnEnded,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    ExemptionDeclined,
    ExemptionGranted,
    ExemptionRequested,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    HoldRetained,
    is_observed,
)
from bot.slack.announcements.adjustments import adjusted_over_text
from bot.slack.announcements.announcement import STILL_ALLOWED, AnnouncementText, distinct, message
from bot.slack.announcements.budget_phrases import (
    data_problem,
    hold_owner,
    hold_owners,
    hold_term,
    objective_text,
    own_action_command,
    spending_text,
    spent_text,
    unmet_requirements_text,
    worst_burn_text,
)
from bot.slack.announcements.burn_head import head_lines
from bot.slack.announcements.deployment_phrases import last_deployment_text
from bot.slack.announcements.exemptions import exemption_text
from bot.slack.announcements.forecast_phrases import expectation_text
from bot.slack.announcements.freeze_buttons import lift_buttons, request_buttons
from bot.slack.announcements.mentions import mentioned_in, must_act
from bot.slack.announcements.observed import ObservedText, switch_text, would_text
from bot.slack.announcements.personal import notice_of
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, escape, join, markup, mention, when
from bot.store.addresses import local, team_of
from bot.store.outbox import OutboxMessage

LOOK_NOW = Markup("Next: look now, and roll back what shipped last.")
PLAN_A_FIX = Markup("Next: plan the fix this week.")
_MOST_HOLDS = 3
_MOST_FAULTS = 5
_LONGEST_FAULT = 400
_LONGEST_BRIEF = 300
_BY_ITSELF = (
    BudgetWarned, BurnAlertFired, BudgetExhausted, DataMissing, BudgetRecovered, HoldRetained, HoldExpired,
    EnforcementBegan, EnforcementEnded,
)  # fmt: skip
"""What the bot decides by itself may come by the hundred, as after a policy change: see `batching.py`."""


class FreezeAnnouncer:
    """Writes the messages of a transition; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, context: TransitionContext) -> Sequence[OutboxMessage]:
        """Return one message for each channel."""
        service = context.service
        if is_observed(context.transition):
            would = would_text(service, context.transition)
            return [] if would is None else [replace(_own(context, would), is_bulk=True)]
        announcement = announcement_text(context)
        channels = [service.channel]
        if announcement.everywhere:
            channels.append(self._current.workspace.of(service.name).announcements)
        own, *others = [message(channel, announcement, service.name) for channel in distinct(channels)]
        # Whoever must act is notified once, in the service's own channel.
        own = replace(
            own, mentions=self._mentioned(context), notice=notice_of(context, announcement.headline)
        )
        if is_of_burn(context.transition):
            own, *others = [_in_thread(each, announcement, context) for each in (own, *others)]
        if not isinstance(context.transition, _BY_ITSELF) and not _may_be_many(context.transition):
            return [own, *others]
        brief = cut(announcement.headline, _LONGEST_BRIEF)
        return [replace(own, is_bulk=True), *(replace(other, brief=brief, is_bulk=True) for other in others)]

    def _mentioned(self, context: TransitionContext) -> Sequence[str]:
        """Return who is notified: whom the policy names, who may decide on a request, or who asked."""
        match context.transition:
            case ExemptionGranted(asked_by=str(asked_by)) | ExemptionDeclined(asked_by=asked_by):
                return [asked_by]
            case ExemptionRequested(by=by):
                permitted = self._current.workspace.of(context.service.name).permissions.exempt
                deciding = context.service.teams.entries if EVERYONE in permitted else permitted
                approvers = [each for each in deciding if not each.startswith(("#", "C", "G"))]
                return [each for each in mentioned_in(context, approvers) if each != by]
            case _:
                return mentioned_in(context)

    def policy_faults(self, faults: Sequence[str]) -> OutboxMessage:
        """Return the announcement that the edited policies have faults."""
        announcement = AnnouncementText(
            "policy_faults",
            markup(
                ":warning: {} in the edited policies — the last good ones stay in force.",
                _fault_count(faults),
            ),
            _fault_lines(faults),
            markup("Next: correct them; {} lists them all.", code("governor check")),
        )
        return message(self._current.workspace.announcements, announcement)

    def refused_values(self, faults: Sequence[str]) -> OutboxMessage:
        """Return the announcement that a source has label values that make no service."""
        announcement = AnnouncementText(
            "refused_values",
            markup(":warning: {} with {} — it makes no service.", _fault_count(faults), code("forEach")),
            _fault_lines(faults),
            markup(
                "Next: rename the value at its source, or put it under {} in the document.", code("except")
            ),
        )
        return message(self._current.workspace.announcements, announcement)

    def policy_restored(self) -> OutboxMessage:
        """Return the announcement that the policies are valid again."""
        announcement = AnnouncementText(
            "policy_restored", Markup("The policies can be read again and are in force.")
        )
        return message(self._current.workspace.announcements, announcement)

    def delivery_failed(self, channel: str, error: str) -> OutboxMessage:
        """Return the announcement that messages for a channel cannot be delivered."""
        announcement = AnnouncementText(
            "delivery_failed",
            markup(":warning: Nothing reaches {} — Slack says {}.", _channel(channel), code(error)),
            following=Markup(
                "Next: invite Governor there, restore it if it is archived, or correct it in the policy."
            ),
        )
        main = self._current.workspace
        return message((main.in_team(team_of(channel)) or main).announcements, announcement)


def _may_be_many(transition: object) -> bool:
    """Return whether a hold was placed or lifted by what does so on many services at once."""
    if not isinstance(transition, HoldPlaced | HoldLifted):
        return False
    return transition.is_one_of_many or transition.hold.kind in {HoldKind.CALENDAR, HoldKind.DEPENDENCY}


def _in_thread(
    told: OutboxMessage, announcement: AnnouncementText, context: TransitionContext
) -> OutboxMessage:
    """Return the message as part of the burn's thread; what matters most is sent to the channel too."""
    is_edit = isinstance(context.transition, BurnEnded)
    state, since = head_lines(context)
    lines = _facts(expectation_text(context), since)
    request = request_buttons(context.service.name) if is_held_by_budget(context) else ()
    now = AnnouncementText(announcement.event_type, state, lines, announcement.following, request)
    head = message(told.channel, now, context.service.name)
    content = {"text": head.text, "blocks": list(head.blocks), "line": announcement.headline}
    thread = burn_of(context.service.name)
    is_broadcast = must_act(context) or ends_burn(context.transition)
    return replace(told, thread=thread, head=content, is_broadcast=is_broadcast, is_edit=is_edit)


def is_held_by_budget(context: TransitionContext) -> bool:
    """Return whether the bot's own hold is on the service after the transition."""
    match context.transition:
        case BudgetExhausted() | DataMissing() | HoldRetained():
            return True
        case _:
            return any(hold.kind is HoldKind.BUDGET for hold in context.other_holds)


def _own(context: TransitionContext, would: ObservedText) -> OutboxMessage:
    """Return the message for the service's own channel of what a policy only observes."""
    service, (event_type, headline, following) = context.service, would
    facts: tuple[Markup, ...] = ()
    if isinstance(context.transition, BudgetExhausted | DataMissing):
        facts = _facts(expectation_text(context), _last_deployment(context))
    announcement = AnnouncementText(event_type, headline, facts, following, everywhere=False)
    return message(service.channel, announcement, service.name)


def announcement_text(context: TransitionContext) -> AnnouncementText:  # noqa: C901, PLR0911, PLR0912 - one return a transition
    """Return the announcement of a transition."""
    service, others = context.service, context.other_holds
    match context.transition:
        case BudgetWarned(level, budget):
            return _budget_warned(service, level, budget, context)
        case BurnAlertFired():
            return _burn_alert(service, context.transition, context)
        case BudgetExhausted(budget, policy):
            return _budget_exhausted(service, budget, policy, context)
        case DataMissing(budget, policy):
            return _data_missing(service, budget, policy, context)
        case BudgetRecovered(budget, _, _):
            figure = markup("{} of the {} budget is left.", budget_text(budget.remaining), budget.slo.name)
            adjusted = adjusted_over_text(context.background.adjustment)
            return _hold_ended(context, join(" ", [figure, adjusted]), ("service_open", "budget_recovered"))
        case HoldRetained(budget, _, missing):
            return _hold_retained(service, budget, missing, others)
        case BurnEnded():
            state, since = head_lines(context)
            return AnnouncementText("thread_head", state, (since,))
        case EnforcementBegan() | EnforcementEnded():
            event_type, headline, following = switch_text(service, context.transition)
            request = (
                request_buttons(service.name) if isinstance(context.transition, EnforcementBegan) else ()
            )
            return AnnouncementText(event_type, headline, _switch_facts(context), following, request)
        case HoldPlaced():
            return _hold_placed(service, context.transition, others)
        case HoldLifted(_, by, reason, together):
            count = 1 + len(together)
            return _hold_ended(context, lifted_text(by, reason, count), ("hold_lifted", "hold_lifted"), count)
        case HoldExpired(hold, together):
            ended = (hold, *together)
            event_types = ("hold_expired", "hold_expired")
            return _hold_ended(context, _expired_text(ended), event_types, len(ended))
        case ExemptionGranted() | ExemptionRequested() | ExemptionDeclined():
            return exemption_text(service, context.transition)
        case _:
            assert_never(context.transition)


def _budget_warned(
    service: Service, level: Decimal, budget: Budget, context: TransitionContext
) -> AnnouncementText:
    stop = percent_text(service.policy_for(budget.slo).freeze_at)
    return AnnouncementText(
        "budget_warning",
        markup(
            ":warning: {} of the {} {} budget is left — below the mark of {}.",
            budget_text(budget.remaining), bold(service.name), budget.slo.name, percent_text(level),
        ),
        _facts(_labelled("Spent", spent_text(budget)), _labelled("Worst burn", worst_burn_text(budget)),
               expectation_text(context), _last_deployment(context)),
        markup("Next: find what burns, and ship with care. At {} left, shipping stops.", stop),
        everywhere=False,
    )  # fmt: skip


def _burn_alert(service: Service, fired: BurnAlertFired, context: TransitionContext) -> AnnouncementText:
    alert, budget = fired.alert, fired.budget
    pages = alert.severity is AlertSeverity.PAGE
    return AnnouncementText(
        "burn_alert",
        markup(
            "{} {} burn of the {} {} budget over {} — and {} over {}.",
            Markup(":rotating_light:" if pages else ":warning:"), burn_rate_text(fired.long_burn),
            bold(service.name), budget.slo.name, duration_text(alert.long), burn_rate_text(fired.short_burn),
            duration_text(alert.short),
        ),
        _facts(
            markup("{} of the budget is left.", budget_text(budget.remaining)),
            expectation_text(context),
            _last_deployment(context),
        ),
        LOOK_NOW if pages else PLAN_A_FIX,
        everywhere=False,
    )  # fmt: skip


def _budget_exhausted(
    service: Service, budget: Budget, policy: ErrorBudgetPolicy, context: TransitionContext
) -> AnnouncementText:
    figure = markup(
        "{} of its {} budget left ({}).",
        budget_text(budget.remaining),
        budget.slo.name,
        objective_text(budget),
    )
    opens = markup(
        "Next: fix what burns. {} by itself after {} at {} or more{}.",
        _opens(context.other_holds), duration_text(policy.dwell), percent_text(policy.unfreeze_at),
        _requirement_text(policy),
    )  # fmt: skip
    facts = _facts(
        adjusted_over_text(context.background.adjustment),
        _labelled("Spent", spent_text(budget)),
        spending_text(context.background.spending),
        _labelled("Worst burn", worst_burn_text(budget)),
        expectation_text(context),
        _last_deployment(context),
        _still_allowed(service, policy),
        _other_holds(context.other_holds),
    )
    request = request_buttons(service.name)
    return AnnouncementText("service_frozen", _frozen_text(service, figure), facts, opens, request)


def _requirement_text(policy: ErrorBudgetPolicy) -> str:
    """Return what the policy requires before it opens, besides the budget."""
    match policy.unfreeze_requires:
        case None:
            return ""
        case UnfreezeRequirement.ACTIONS_OWNED:
            return ", once every P0 action has an owner and a date"
        case _:
            assert_never(policy.unfreeze_requires)


def _hold_retained(
    service: Service, budget: Budget, missing: Sequence[UnmetRequirement], others: Sequence[Hold]
) -> AnnouncementText:
    headline = markup(
        ":hourglass: {} of the {} {} budget is left, enough to open, but P0 actions have no owner or date.",
        budget_text(budget.remaining), bold(service.name), budget.slo.name,
    )  # fmt: skip
    beside = [hold for hold in others if hold.kind is not HoldKind.BUDGET]
    following = markup(
        "Next: {}. {} by itself once all have an owner and a date.",
        code(own_action_command(missing[0].action, missing[0].lacks)),
        _opens(beside),
    )
    facts = _facts(unmet_requirements_text(missing, service.name), _other_holds(beside))
    return AnnouncementText("hold_kept", headline, facts, following, everywhere=False)


def _data_missing(
    service: Service, budget: Budget, policy: ErrorBudgetPolicy, context: TransitionContext
) -> AnnouncementText:
    why = markup("{} cannot be measured.", budget.slo.name)
    facts = _facts(
        data_problem(budget), _last_deployment(context), _still_allowed(service, policy),
        _other_holds(context.other_holds),
    )  # fmt: skip
    following = markup(
        "Next: repair the source. {} by itself once the budget is known and sufficient.",
        _opens(context.other_holds),
    )
    request = request_buttons(service.name)
    return AnnouncementText("service_frozen", _frozen_text(service, why), facts, following, request)


def _hold_placed(service: Service, placed: HoldPlaced, others: Sequence[Hold]) -> AnnouncementText:
    hold = placed.hold
    until = markup(" until {}", when(hold.until)) if hold.until else ""
    why = markup("by {}{}: {}", hold_owner(hold), until, hold.reason)
    replaced = [markup("In place of: {}.", each.reason.rstrip(".")) for each in placed.replaced]
    facts = _facts(*replaced, _still_allowed(service, None), _other_holds(others))
    if hold.kind is HoldKind.INCIDENT:
        following = markup("Next: help there. {} by itself once the incident is mitigated.", _opens(others))
    elif hold.kind is HoldKind.DEPENDENCY:
        following = markup("Next: help there. {} by itself once that service is open.", _opens(others))
    elif hold.until:
        following = NOTHING
    else:
        following = markup("Next: {} ends it.", code(f"/freeze lift {service.name}"))
    lift = lift_buttons(service.name) if hold.kind is HoldKind.PERSON else ()
    buttons = (*lift, *request_buttons(service.name))
    return AnnouncementText("hold_placed", _frozen_text(service, why), facts, following, buttons)


def _hold_ended(
    context: TransitionContext, why: Markup, event_types: tuple[str, str], count: int = 1
) -> AnnouncementText:
    """Return the announcement that `count` holds ended: the service is open again, or others remain.

    `event_types` are the event's names in the two cases.
    """
    service, others, (opened, remains) = context.service, context.other_holds, event_types
    if not others:
        return AnnouncementText(
            opened, markup(":white_check_mark: {} is open again — {}", bold(service.name), why)
        )
    headline = markup(
        "{} on {} ended, {} — {}",
        "A hold" if count == 1 else f"{count} holds",
        bold(service.name),
        "another remains" if len(others) == 1 else f"{len(others)} others remain",
        why,
    )
    following = Markup(
        "Next: it may not ship before that ends too."
        if len(others) == 1
        else "Next: it may not ship before those end too."
    )
    return AnnouncementText(remains, headline, _facts(*_hold_lines(others, "Still")), following)


def lifted_text(by: str, reason: str, count: int = 1) -> Markup:
    """Return who lifted how many holds, and why if they said so."""
    holds = {1: "the hold", 2: "both holds"}.get(count, f"{count} holds")
    if not reason:
        return markup("{} lifted {}.", mention(by), holds)
    return markup("{} lifted {}: {}", mention(by), holds, reason)


def _expired_text(holds: Sequence[Hold]) -> Markup:
    if len(holds) == 1:
        return markup("the hold by {} ran out: {}", hold_owner(holds[0]), holds[0].reason)
    return markup("the holds by {} ran out.", hold_owners(holds))


def _frozen_text(service: Service, why: Markup) -> Markup:
    return markup(":snowflake: {} is frozen — {}", bold(service.name), why)


def _still_allowed(service: Service, policy: ErrorBudgetPolicy | None) -> Markup:
    """Return what may ship during a freeze: kinds that the policy exempts, and exempt changes."""
    by_name = code(f"/freeze exempt {service.name} CHANGE REASON")
    if policy is None or not policy.exemptions:
        return markup("{} what is let through by {}.", STILL_ALLOWED, by_name)
    return markup(
        "{} {} changes, and what is let through by {}.",
        STILL_ALLOWED,
        listed(policy.exemptions),
        by_name,
    )


def _opens(others: Sequence[Hold]) -> str:
    """Return what happens by itself when the cause of a hold has ended."""
    return "This hold ends" if others else "It opens"


def _other_holds(others: Sequence[Hold]) -> Markup:
    return join("\n", _hold_lines(others))


def _hold_lines(others: Sequence[Hold], how: str = "Also") -> list[Markup]:
    lines = [markup("{} held by {}: {}", how, hold_term(hold), _cause(hold)) for hold in others[:_MOST_HOLDS]]
    return [*lines, *([markup("and {} more", len(others) - len(lines))] if len(others) > len(lines) else [])]


def _cause(hold: Hold) -> str:
    # The bot's own reason says "freezes", which only the announcement of a freeze may.
    return hold.reason if hold.kind is not HoldKind.BUDGET else f"the {hold.slo or 'error'} budget"


def _switch_facts(context: TransitionContext) -> tuple[Markup, ...]:
    others = _other_holds(context.other_holds)
    if isinstance(context.transition, EnforcementBegan) and context.transition.cause is not None:
        return _facts(expectation_text(context), _last_deployment(context), others)
    return _facts(others)


def _last_deployment(context: TransitionContext) -> Markup:
    return last_deployment_text(context.background.deployment, context.now)


def _labelled(label: str, text: str) -> Markup:
    return markup("{}: {}.", label, text) if text else NOTHING


def _facts(*lines: Markup) -> tuple[Markup, ...]:
    return tuple(line for line in lines if line)


def _fault_count(faults: Sequence[str]) -> str:
    return "One fault" if len(faults) == 1 else f"{len(faults)} faults"


def _fault_lines(faults: Sequence[str]) -> tuple[Markup, ...]:
    """Return the first faults as a list, and how many more there are."""
    shown = [markup("• {}", cut(fault, _LONGEST_FAULT)) for fault in faults[:_MOST_FAULTS]]
    more = len(faults) - len(shown)
    return (*shown, *([markup("and {} more", more)] if more > 0 else []))


def _channel(name: str) -> Markup:
    shown = local(name)
    return escape(shown if shown.startswith("#") else f"channel {shown}")
