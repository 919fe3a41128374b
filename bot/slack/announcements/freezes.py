"""What the channels are told: each occasion in words. Pure, so that it can run within a transaction.

The words "frozen" and "freeze" stand only in messages that tell a freeze, so that people and scripts can
count them (a line each, where many are folded into one message); a service that opens is "open again".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import (
    AlertSeverity,
    ErrorBudgetPolicy,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.formatting import budget_text, burn_rate_text, duration_text, listed, percent_text
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    ExemptionGranted,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    HoldRetained,
)
from bot.slack.announcements.budget_phrases import (
    doubt,
    forecast,
    lacking,
    own_action,
    owner,
    promise,
    spent,
    term,
    where_it_went,
    worst_burn,
)
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, escape, join, markup, mention, when
from bot.slack.interactions import Query, Reply, show_button
from bot.store.addresses import local, team_of
from bot.store.outbox import OutboxMessage

LOOK_NOW = Markup("Next: look now, and roll back what shipped last.")
PLAN_A_FIX = Markup("Next: plan the fix this week.")
_MOST_HOLDS = 3
_MOST_FAULTS = 5
_LONGEST_FAULT = 400
_LONGEST_BRIEF = 300
_BY_ITSELF = (
    BudgetWarned, BurnAlertFired, BudgetExhausted, DataMissing, BudgetRecovered, HoldRetained, HoldExpired
)  # fmt: skip
"""What the bot decides by itself may come by the hundred, as when a policy changes: see `folding.py`."""


@dataclass(frozen=True, slots=True)
class AnnouncementText:
    """An occasion in words: what happened, the facts to it, and one next step."""

    event_type: str
    headline: Markup
    facts: tuple[Markup, ...] = ()
    following: Markup = NOTHING
    everywhere: bool = True
    """Whether the announcements channel is told too, beside the service's own."""


class FreezeAnnouncer:
    """Writes the messages of an occasion; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, occasion: TransitionContext) -> Sequence[OutboxMessage]:
        """Return one message for each channel that is to be told."""
        telling, service = tell(occasion), occasion.service
        channels = [service.channel]
        if telling.everywhere:
            channels.append(self._current.workspace.of(service.name).announcements)
        own, *others = [message(channel, telling, service.name) for channel in distinct(channels)]
        if not isinstance(occasion.transition, _BY_ITSELF):
            return [own, *others]
        brief = cut(telling.headline, _LONGEST_BRIEF)
        return [replace(own, is_bulk=True), *(replace(one, brief=brief, is_bulk=True) for one in others)]

    def policy_faults(self, faults: Sequence[str]) -> OutboxMessage:
        """Tell that the policies were edited and cannot be read."""
        telling = AnnouncementText(
            "policy_faults",
            markup(":warning: {} in the edited policies — the last good ones stay in force.", _count(faults)),
            _shown(faults),
            markup("Next: correct them; {} lists them all.", code("governor check")),
        )
        return message(self._current.workspace.announcements, telling)

    def refused_values(self, faults: Sequence[str]) -> OutboxMessage:
        """Tell that a source has label values that make no service."""
        telling = AnnouncementText(
            "refused_values",
            markup(":warning: {} with {} — no service is made of it.", _count(faults), code("forEach")),
            _shown(faults),
            markup(
                "Next: rename the value at its source, or put it under {} in the document.", code("except")
            ),
        )
        return message(self._current.workspace.announcements, telling)

    def policy_restored(self) -> OutboxMessage:
        """Tell that the policies can be read again."""
        telling = AnnouncementText(
            "policy_restored", Markup("The policies can be read again and are in force.")
        )
        return message(self._current.workspace.announcements, telling)

    def delivery_failed(self, channel: str, error: str) -> OutboxMessage:
        """Tell that messages for a channel cannot be delivered."""
        telling = AnnouncementText(
            "delivery_failed",
            markup(":warning: Nothing reaches {} — Slack says {}.", _channel(channel), code(error)),
            following=Markup("Next: invite Governor there, or correct the channel in the policy."),
        )
        main = self._current.workspace
        return message((main.in_team(team_of(channel)) or main).announcements, telling)


def message(channel: str, telling: AnnouncementText, service: str | None = None) -> OutboxMessage:
    """Return the message for one channel: text and blocks that say the same."""
    buttons = show_button("See budget", Query("budget", service)) if service else ()
    facts = join("\n", telling.facts)
    body = [section(part) for part in (telling.headline, facts, telling.following) if part]
    text = join("\n", [telling.headline, facts, telling.following])
    reply = Reply(text, tuple(body), buttons)
    return OutboxMessage(channel, telling.event_type, reply.fallback, reply.blocks)


def tell(occasion: TransitionContext) -> AnnouncementText:  # noqa: C901, PLR0911 - one return a transition
    """Put an occasion into words."""
    service, others = occasion.service, occasion.other_holds
    match occasion.transition:
        case BudgetWarned(level, budget):
            return _warned(service, level, budget, occasion)
        case BurnAlertFired():
            return _burning(service, occasion.transition, occasion)
        case BudgetExhausted(budget, policy):
            return _exhausted(service, budget, policy, occasion)
        case DataMissing(budget, policy):
            return _unmeasured(service, budget, policy, others)
        case BudgetRecovered(budget, _, _):
            figure = markup("{} of the {} budget is left.", budget_text(budget.remaining), budget.slo.name)
            return _ended("service_open", "budget_recovered", service, figure, others)
        case HoldRetained(budget, _, missing):
            return _kept(service, budget, missing, others)
        case HoldPlaced(hold):
            return _placed(service, hold, others)
        case HoldLifted(_, by, reason):
            return _ended("hold_lifted", "hold_lifted", service, _lifted(by, reason), others)
        case HoldExpired(hold):
            why = markup("the hold by {} ran out: {}", owner(hold), hold.reason)
            return _ended("hold_expired", "hold_expired", service, why, others)
        case ExemptionGranted(change, by, reason, until):
            term = markup(" until {}", when(until)) if until else ""
            headline = markup(
                "{} may ship to {}{} — {} let it through: {}",
                code(change), bold(service.name), term, mention(by), reason,
            )  # fmt: skip
            return AnnouncementText("exemption_granted", headline)
        case _:
            assert_never(occasion.transition)


def _warned(service: Service, level: float, budget: Budget, occasion: TransitionContext) -> AnnouncementText:
    stop = percent_text(service.policy_for(budget.slo).freeze_at)
    return AnnouncementText(
        "budget_warning",
        markup(
            ":warning: {} of the {} {} budget is left — below the mark of {}.",
            budget_text(budget.remaining), bold(service.name), budget.slo.name, percent_text(level),
        ),
        _facts(_labelled("Spent", spent(budget)), _labelled("Worst burn", worst_burn(budget)),
               forecast(budget, occasion.now)),
        markup("Next: find what burns, and ship with care. At {} left, shipping stops.", stop),
        everywhere=False,
    )  # fmt: skip


def _burning(service: Service, fired: BurnAlertFired, occasion: TransitionContext) -> AnnouncementText:
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
            forecast(budget, occasion.now),
        ),
        LOOK_NOW if pages else PLAN_A_FIX,
        everywhere=False,
    )  # fmt: skip


def _exhausted(
    service: Service, budget: Budget, policy: ErrorBudgetPolicy, occasion: TransitionContext
) -> AnnouncementText:
    figure = markup(
        "{} of its {} budget left ({}).", budget_text(budget.remaining), budget.slo.name, promise(budget)
    )
    opens = markup(
        "Next: fix what burns. It opens by itself after {} at {} or more{}.",
        duration_text(policy.dwell), percent_text(policy.unfreeze_at), _besides(policy),
    )  # fmt: skip
    facts = _facts(
        _labelled("Spent", spent(budget)),
        where_it_went(occasion.spending),
        _labelled("Worst burn", worst_burn(budget)),
        _allowed(service, policy),
        _also(occasion.other_holds),
    )
    return AnnouncementText("service_frozen", _frozen(service, figure), facts, opens)


def _besides(policy: ErrorBudgetPolicy) -> str:
    """Say what the policy requires before it opens, besides the budget."""
    match policy.unfreeze_requires:
        case None:
            return ""
        case UnfreezeRequirement.ACTIONS_OWNED:
            return ", once every P0 action has an owner and a date"
        case _:
            assert_never(policy.unfreeze_requires)


def _kept(
    service: Service, budget: Budget, missing: Sequence[UnmetRequirement], others: Sequence[Hold]
) -> AnnouncementText:
    headline = markup(
        ":hourglass: {} of the {} {} budget is left, enough to open, but P0 actions are not owned.",
        budget_text(budget.remaining), bold(service.name), budget.slo.name,
    )  # fmt: skip
    beside = [hold for hold in others if hold.kind is not HoldKind.BUDGET]
    following = markup(
        "Next: {}. It opens by itself once all are owned.",
        code(own_action(missing[0].action, missing[0].lacks)),
    )
    facts = _facts(lacking(missing, service.name), _also(beside))
    return AnnouncementText("hold_kept", headline, facts, following, everywhere=False)


def _unmeasured(
    service: Service, budget: Budget, policy: ErrorBudgetPolicy, others: Sequence[Hold]
) -> AnnouncementText:
    why = markup("{} cannot be measured.", budget.slo.name)
    facts = _facts(doubt(budget), _allowed(service, policy), _also(others))
    following = Markup("Next: repair the source. It opens by itself once the budget is known and sufficient.")
    return AnnouncementText("service_frozen", _frozen(service, why), facts, following)


def _placed(service: Service, hold: Hold, others: Sequence[Hold]) -> AnnouncementText:
    until = markup(" until {}", when(hold.until)) if hold.until else ""
    why = markup("by {}{}: {}", owner(hold), until, hold.reason)
    facts = _facts(_allowed(service, None), _also(others))
    if hold.kind is HoldKind.INCIDENT:
        following = Markup("Next: help there. It opens by itself once the incident is mitigated.")
    elif hold.until:
        following = NOTHING
    else:
        following = markup("Next: {} ends it.", code(f"/freeze lift {service.name}"))
    return AnnouncementText("hold_placed", _frozen(service, why), facts, following)


def _ended(
    opened: str, remains: str, service: Service, why: Markup, others: Sequence[Hold]
) -> AnnouncementText:
    """Tell the end of one hold: the service is open again, or another hold still lies on it."""
    if not others:
        return AnnouncementText(
            opened, markup(":white_check_mark: {} is open again — {}", bold(service.name), why)
        )
    headline = markup("A hold on {} ended, another remains — {}", bold(service.name), why)
    return AnnouncementText(
        remains,
        headline,
        _facts(*_lying(others, "Still")),
        Markup("Next: it may not ship before that ends too."),
    )


def _lifted(by: str, reason: str) -> Markup:
    return markup("{} lifted the hold: {}", mention(by), reason)


def _frozen(service: Service, why: Markup) -> Markup:
    return markup(":snowflake: {} is frozen — {}", bold(service.name), why)


def _allowed(service: Service, policy: ErrorBudgetPolicy | None) -> Markup:
    """Say what may ship all the same: the policy's kinds (not past a person's hold) and exempt changes."""
    by_name = code(f"/freeze exempt {service.name} CHANGE REASON")
    if policy is None or not policy.exemptions:
        return markup("Still allowed: what is let through by {}.", by_name)
    return markup(
        "Still allowed: {} changes, and what is let through by {}.", listed(policy.exemptions), by_name
    )


def _also(others: Sequence[Hold]) -> Markup:
    return join("\n", _lying(others))


def _lying(others: Sequence[Hold], how: str = "Also") -> list[Markup]:
    lines = [markup("{} held by {}: {}", how, term(hold), _cause(hold)) for hold in others[:_MOST_HOLDS]]
    return [*lines, *([markup("and {} more", len(others) - len(lines))] if len(others) > len(lines) else [])]


def _cause(hold: Hold) -> str:
    # The bot's own reason says "freezes", which only the telling of a freeze may.
    return hold.reason if hold.kind is not HoldKind.BUDGET else f"the {hold.slo or 'error'} budget"


def _labelled(label: str, text: str) -> Markup:
    return markup("{}: {}.", label, text) if text else NOTHING


def _facts(*lines: Markup) -> tuple[Markup, ...]:
    return tuple(line for line in lines if line)


def _count(faults: Sequence[str]) -> str:
    return "One fault" if len(faults) == 1 else f"{len(faults)} faults"


def _shown(faults: Sequence[str]) -> tuple[Markup, ...]:
    """Write the first faults as a list, and how many more there are."""
    shown = [markup("• {}", cut(fault, _LONGEST_FAULT)) for fault in faults[:_MOST_FAULTS]]
    more = len(faults) - len(shown)
    return (*shown, *([markup("and {} more", more)] if more > 0 else []))


def _channel(name: str) -> Markup:
    shown = local(name)
    return escape(shown if shown.startswith("#") else f"channel {shown}")


def distinct(channels: Iterable[str]) -> list[str]:
    """Return each channel once, however its name is written."""
    return list({channel.casefold().lstrip("#"): channel for channel in channels}.values())
