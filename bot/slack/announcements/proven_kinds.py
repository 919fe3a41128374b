"""The announcement of a change that passed a hold by its kind. Pure."""

from collections.abc import Sequence

from bot.freezes.exemptions.proven_kinds import ProvenKindUse
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.announcements.budget_phrases import hold_text, people_holding
from bot.slack.blockkit.mrkdwn import NOTHING, bold, code, cut, markup, mention
from bot.store.outbox import OutboxMessage

_MOST_HOLDS = 3
_LONGEST = 300


def proven_kind_messages(use: ProvenKindUse) -> Sequence[OutboxMessage]:
    """Return the message for the service's channel."""
    return [message(use.service.channel, announcement_text(use), use.service.name)]


def announcement_text(use: ProvenKindUse) -> AnnouncementText:
    """Return the announcement of a use."""
    called = code(cut(use.subject, _LONGEST)) if use.change.id else use.subject
    headline = markup(
        ":warning: {} may ship to {} because it is {}, proven by {}.",
        called, bold(use.service.name), code(cut(use.change.kind or "", _LONGEST)), use.proof.text,
    )  # fmt: skip
    lines = [markup("Held by {}", cut(hold_text(hold), _LONGEST)) for hold in use.holds[:_MOST_HOLDS]]
    people = people_holding(use.holds)
    tell = markup(" and tell {}", people) if people else NOTHING
    following = markup("Next: if it is something else, stop it{}.", tell)
    return AnnouncementText(
        "gate_passed_by_kind", headline, (markup("Asked by {}", mention(use.by)), *lines), following
    )
