"""What is exempt from a freeze as lines of text. Pure."""

from bot.freezes.exemptions.listing import ExemptionListing, ListedExemption
from bot.freezes.exemptions.requests import StoredExemptionRequest
from bot.slack.announcements.exemptions import change_at_commit
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, cut, markup, mention, naming, when

_MOST_LISTED = 3
_LONGEST_LINE = 250


def exempt_lines(listing: ExemptionListing) -> list[Markup]:
    """Return a line for each change that may ship and for each that waits for approval, the newest first."""
    lines = [_granted(one) for one in reversed(listing.granted)]
    waiting = [_waiting(one) for one in reversed(listing.waiting)]
    return [*_shortened(lines), *_shortened(waiting)]


def exempt_changes(listing: ExemptionListing) -> str:
    """Return the changes that may ship and those that wait for approval, in a few words."""
    changes = [one.exemption.change for one in reversed(listing.granted)]
    waiting = [f"{one.change} (waits for approval)" for one in reversed(listing.waiting)]
    shown = [*changes, *waiting][:_MOST_LISTED]
    more = len(changes) + len(waiting) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _granted(listed: ListedExemption) -> Markup:
    exemption = listed.exemption
    end = markup(" until {}", when(exemption.until)) if exemption.until else NOTHING
    asked = markup(", as {} asked", mention(listed.asked_by)) if listed.asked_by else NOTHING
    said = markup(" (“{}”)", naming(listed.comment)) if listed.comment else NOTHING
    return markup(
        "• {} may ship{} — {} let it through{}: {}{}",
        change_at_commit(exemption.change, exemption.commit), end, mention(exemption.by), asked,
        naming(exemption.reason), said,
    )  # fmt: skip


def _waiting(asked: StoredExemptionRequest) -> Markup:
    return markup(
        "• {} waits for approval — {} asked {}: {}",
        change_at_commit(asked.change, asked.commit), mention(asked.by), when(asked.asked_at),
        naming(asked.reason),
    )  # fmt: skip


def _shortened(lines: list[Markup]) -> list[Markup]:
    more = len(lines) - _MOST_LISTED
    shown = [cut(line, _LONGEST_LINE) for line in lines[:_MOST_LISTED]]
    return [*shown, *([markup("and {} more", more)] if more > 0 else [])]
