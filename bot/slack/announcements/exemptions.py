"""Announcements of exemptions: asked for, granted, declined. Pure.

None of them says "frozen" or "freeze", which only the announcement of a freeze does.
"""

from bot.catalog.catalog import Service
from bot.formatting import duration_text
from bot.freezes.transition import ExemptionDeclined, ExemptionGranted, ExemptionRequested
from bot.slack.announcements.announcement import AnnouncementText
from bot.slack.approvals.buttons import approval_buttons
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, markup, mention, when

ExemptionTransition = ExemptionGranted | ExemptionRequested | ExemptionDeclined
EXEMPTION = "exemption"
"""What the key of a request for an exemption begins with."""


def exemption_text(service: Service, transition: ExemptionTransition) -> AnnouncementText:
    """Return the announcement of what happened to an exemption."""
    name, change = bold(service.name), change_at_commit(transition.change, transition.commit)
    match transition:
        case ExemptionGranted(_, by, reason, until, asked_by, comment):
            end = markup(" until {}", when(until)) if until else NOTHING
            asked = markup(", as {} asked", mention(asked_by)) if asked_by else NOTHING
            headline = markup(
                "{} may ship to {}{} — {} let it through{}: {}", change, name, end, mention(by), asked, reason
            )
            return AnnouncementText("exemption_granted", headline, _comment(by, comment))
        case ExemptionRequested(id_, _, by, reason, keep_for):
            length = markup(" for {}", duration_text(keep_for)) if keep_for else NOTHING
            if transition.until is not None:
                length = markup(" until {}", when(transition.until))
            facts = [
                Markup("An agent asks, by its API token.") if transition.by_agent else NOTHING,
                markup("Its kind: {}", transition.kind) if transition.kind else NOTHING,
                markup("What it names as the proof: {}", transition.proof) if transition.proof else NOTHING,
            ]
            return AnnouncementText(
                "exemption_requested",
                markup(
                    ":raised_hand: {} asks to let {} through to {}{}: {}",
                    mention(by), change, name, length, reason,
                ),
                tuple(fact for fact in facts if fact),
                following=Markup("Next: somebody else who may exempt a change approves or declines."),
                buttons=approval_buttons(f"{EXEMPTION}:{id_}"),
                everywhere=False,
            )  # fmt: skip
        case ExemptionDeclined(_, by, _, asked_by, comment):
            headline = markup(
                "{} may not ship to {} — {} declined what {} asked.",
                change, name, mention(by), mention(asked_by),
            )  # fmt: skip
            return AnnouncementText("exemption_declined", headline, _comment(by, comment), everywhere=False)


def change_at_commit(change: str, commit: str | None) -> Markup:
    """Return the name of a change, with the commit that an exemption of it is bound to."""
    return markup("{} at commit {}", code(change), code(commit[:12])) if commit else code(change)


def _comment(by: str, comment: str) -> tuple[Markup, ...]:
    return (markup("{} says: {}", mention(by), comment),) if comment else ()
