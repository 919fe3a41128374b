"""The weekly line on a service whose policy only observes: what would have been stopped. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from bot.catalog.catalog import Service
from bot.formatting import duration_text, listed
from bot.incidents.spending.observed_week import ObservedWeek, ShippedDeployment
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup
from bot.store.outbox import OutboxMessage

_MOST_NAMED = 5


def observed_week_message(service: Service, week: ObservedWeek) -> OutboxMessage:
    """Return the message for the service's own channel."""
    announcement = AnnouncementText(
        "observed_week",
        would_have_text(service, week),
        tuple(fact for fact in (stopped_text(week), _passed(week)) if fact),
        _following(week),
        everywhere=False,
    )
    return replace(message(service.channel, announcement, service.name), is_bulk=True)


def would_have_text(service: Service, week: ObservedWeek) -> Markup:
    """Return how often and for how long a policy that only observes would have frozen a service."""
    since = f"In the last {duration_text(week.span.length)}"
    if not week.times:
        return markup(
            "{} policy {} would not have frozen {} — it only observes, and had nothing to stop.",
            since, week.policy, bold(service.name),
        )  # fmt: skip
    return markup(
        "{} policy {} would have frozen {} {}, for {} in all — it only observes, so nothing was stopped.",
        since, week.policy, bold(service.name), _times(week.times), duration_text(week.frozen_for),
    )  # fmt: skip


def stopped_text(week: ObservedWeek) -> Markup:
    """Return which deployments would have been stopped, and which of them an incident followed."""
    if not week.times:
        return NOTHING
    if not week.stopped:
        return Markup("No deployment would have been stopped.")
    verb = "deployment would" if len(week.stopped) == 1 else "deployments would"
    return join(
        " ",
        [markup("{} {} have been stopped: {}.", len(week.stopped), verb, _named(week.stopped)), _led(week)],
    )


def _led(week: ObservedWeek) -> Markup:
    followed = [shipped for shipped in week.stopped if shipped.incident is not None]
    within = duration_text(week.within)
    if not followed:
        return markup("No incident followed within {}.", within)
    pairs = [
        markup("{} ({})", code(shipped.deployment.short_commit), code(f"/incident show {shipped.incident}"))
        for shipped in followed[:_MOST_NAMED]
    ]
    named = Markup(listed(pairs))
    return markup("Within {} an incident followed {} of them: {}.", within, len(followed), named)


def _passed(week: ObservedWeek) -> Markup:
    """Return how the deployments fared that would have shipped all the same."""
    if not week.passed:
        return NOTHING
    followed = sum(shipped.incident is not None for shipped in week.passed)
    others = "other deployment" if len(week.passed) == 1 else "other deployments"
    return markup("Of {} {}, {} followed by an incident.", len(week.passed), others, _was(followed))


def _following(week: ObservedWeek) -> Markup:
    if not week.times:
        return NOTHING
    return markup("Next: {} in policy {} makes it real.", code("mode: enforce"), week.policy)


def _named(shipped: Sequence[ShippedDeployment]) -> Markup:
    names = [code(each.deployment.short_commit) for each in shipped[:_MOST_NAMED]]
    more = len(shipped) - len(names)
    return Markup(listed([*names, *([f"{more} more"] if more else [])]))


def _times(times: int) -> str:
    return "once" if times == 1 else "twice" if times == 2 else f"{times} times"


def _was(count: int) -> str:
    return "none was" if not count else "1 was" if count == 1 else f"{count} were"
