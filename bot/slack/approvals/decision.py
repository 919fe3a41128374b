"""A person's decision on what waits for approval, the forms that ask for a comment, and the outcome. Pure."""

from dataclasses import dataclass

from bot.slack.approvals.buttons import APPROVE, APPROVE_WITH_COMMENT
from bot.slack.arguments import MOST_REASON
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, text_input
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, markup
from bot.slack.interactions import Interaction, Reply, say
from bot.texts import clean_line

APPROVAL, REFUSAL = "approval.approve", "approval.decline"
"""The `callback_id` of the forms."""
_NO_FORM = Markup("Slack did not open the form. Press the button again.")


@dataclass(frozen=True, slots=True)
class ApprovalDecision:
    """Whether a person approves what `key` names, and what they say to it, perhaps nothing."""

    key: str
    by: str
    approves: bool
    comment: str = ""

    @classmethod
    def of_press(cls, interaction: Interaction) -> "ApprovalDecision":
        """Return the decision that a button stands for, without a comment yet."""
        approves = interaction.query.command in {APPROVE, APPROVE_WITH_COMMENT}
        return cls(interaction.text, interaction.user, approves)

    @classmethod
    def of_form(cls, submitted: SubmittedModal) -> "ApprovalDecision":
        """Return the decision that a form makes."""
        comment = clean_line(submitted.text("comment"), MOST_REASON)
        return cls(submitted.about, submitted.user, submitted.callback == APPROVAL, comment)


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """The reply to a decision. If it `is_final`, nothing is pending any more, and it replaces the message."""

    reply: Reply
    is_final: bool


def comment_form(decision: ApprovalDecision, about: Markup) -> Reply:
    """Return the form that asks for a comment, needed only where somebody declines."""
    if decision.approves:
        form = ModalForm(
            APPROVAL,
            "Approve",
            "Approve",
            (section(about), text_input("comment", "Comment", most=MOST_REASON, long=True, optional=True)),
            decision.key,
        )
    else:
        hint = "Whoever asked reads it, and it stays in the audit log."
        why = text_input("comment", "Why not?", most=MOST_REASON, long=True, hint=hint)
        form = ModalForm(REFUSAL, "Decline", "Decline", (section(about), why), decision.key)
    return Reply(_NO_FORM, (section(_NO_FORM),), form=form)


def comment_faults(submitted: SubmittedModal) -> dict[str, str]:
    """Return what is wrong with a comment, by the name of the input."""
    is_missing = submitted.callback == REFUSAL and not submitted.text("comment")
    return {"comment": "Say why, so that whoever asked knows what to change."} if is_missing else {}


def comment_text(comment: str) -> Markup:
    """Return a comment as it follows a sentence; nothing without one."""
    return markup(" They say: {}", comment) if comment else NOTHING


def not_done(why: Markup) -> ApprovalOutcome:
    """Return that nothing was decided, and why."""
    return ApprovalOutcome(say(why), is_final=False)
