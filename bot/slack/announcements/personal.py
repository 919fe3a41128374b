"""What people who asked for it are told in a direct message, beside the announcement. Pure.

It says no reasons of holds: they may name an incident that becomes private before the message is sent.
"""

from collections.abc import Sequence
from datetime import datetime

from bot.budgets.adjustments.figures import AdjustmentEvent
from bot.catalog.catalog import Service
from bot.catalog.notify import Occasion, zone_of
from bot.catalog.quiet import all_quiet_until
from bot.flags.events import ApprovalRequested, FlagEventContext
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BurnAlertFired,
    DataMissing,
    ExemptionRequested,
    HoldLifted,
    HoldPlaced,
)
from bot.slack.announcements.mentions import occasion_of, policy_of
from bot.slack.blockkit.mrkdwn import Markup, bold, channel_link, join, markup
from bot.store.addresses import local
from bot.store.personal.notice import ApprovalNeeded, ApprovalRight, PersonalNotice, PersonalTopic


def notice_of(context: TransitionContext, headline: Markup) -> PersonalNotice | None:
    """Return what is said of a transition, which the `headline` announces; None if nothing is."""
    occasion, service = occasion_of(context), context.service
    if occasion is None or occasion in {Occasion.WARNING, Occasion.TICKET}:
        return None
    until = None
    if occasion is not Occasion.PAGE:
        until = policy_of(context).notify.quiet_until(context.now, zone_of(service))
    if isinstance(context.transition, ExemptionRequested):
        asked = context.transition
        needed = ApprovalNeeded(f"exemption:{asked.id}", ApprovalRight.EXEMPT)
        return _approval(headline, [service], service.channel, needed, by=asked.by, until=until)
    text = join("\n", [_transition_text(context, occasion, headline), _more(service)])
    return PersonalNotice(PersonalTopic.SERVICES, (service.name,), text, by=_by(context), until=until)


def adjustment_notice(event: AdjustmentEvent, headline: Markup) -> PersonalNotice:
    """Return what is said of an adjustment that waits for approval."""
    adjustment, service = event.adjustment, event.service
    needed = ApprovalNeeded(f"adjustment:{adjustment.id}", ApprovalRight.ADJUST)
    until = all_quiet_until([service], adjustment.asked_at)
    return _approval(headline, [service], service.channel, needed, by=event.by, until=until)


def flag_notice(
    context: FlagEventContext,
    event: ApprovalRequested,
    services: Sequence[Service],
    headline: Markup,
) -> PersonalNotice:
    """Return what is said of a change of a flag that waits for approval."""
    needed = ApprovalNeeded(event.key, ApprovalRight.FLAGS, context.environment)
    until = all_quiet_until(services, context.now)
    return _approval(headline, services, context.channels[0], needed, by=event.by, until=until)


def _approval(
    headline: Markup,
    services: Sequence[Service],
    channel: str,
    needed: ApprovalNeeded,
    *,
    by: str,
    until: datetime | None,
) -> PersonalNotice:
    following = markup("Next: approve or decline it in {}.", channel_link(local(channel)))
    text, names = join("\n", [headline, following]), tuple(service.name for service in services)
    return PersonalNotice(PersonalTopic.APPROVALS, names, text, by=by, until=until, approval=needed)


def _transition_text(context: TransitionContext, occasion: Occasion, headline: Markup) -> Markup:
    match context.transition:
        case BudgetExhausted() | DataMissing() | BudgetRecovered() | BurnAlertFired():
            return headline
        case _ if occasion is Occasion.FREEZE:
            return markup(":snowflake: {} is frozen.", bold(context.service.name))
        case _:
            return markup(":white_check_mark: {} is open again.", bold(context.service.name))


def _by(context: TransitionContext) -> str | None:
    match context.transition:
        case HoldPlaced(hold):
            return hold.by
        case HoldLifted(by=by):
            return by
        case _:
            return None


def _more(service: Service) -> Markup:
    return markup("More in {}.", channel_link(local(service.channel)))
