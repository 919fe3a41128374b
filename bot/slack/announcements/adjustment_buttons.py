"""Buttons of adjustments: approving, declining and reversing one. Pure."""

from bot.slack.blockkit.blocks import button, confirmation
from bot.slack.interactions import Query
from bot.store.outbox import Block

APPROVE_ADJUSTMENT = "adjustment.approve"
DECLINE_ADJUSTMENT = "adjustment.decline"
ADJUSTMENT_DECISIONS = frozenset({APPROVE_ADJUSTMENT, DECLINE_ADJUSTMENT})
"""The buttons under a request; the value of each is the adjustment's number."""

REVERSE_ADJUSTMENT = "adjustment.reverse"
"""The button that reverses one; it carries the command that a person would type."""


def decision_buttons(number: int) -> tuple[Block, ...]:
    """Return the buttons under a request for an adjustment."""
    return (
        button("Approve", APPROVE_ADJUSTMENT, str(number), style="primary"),
        button("Decline", DECLINE_ADJUSTMENT, str(number)),
    )


def reverse_button(number: int) -> Block:
    """Return the button that reverses an adjustment, with a confirmation."""
    confirm = confirmation(
        "Reverse the adjustment",
        "What was counted then counts again as it was. It is posted in the service's channel.",
        "Reverse it",
    )
    return button(
        "Reverse", REVERSE_ADJUSTMENT, Query("budget", f"reverse {number}").to_value(), confirm=confirm
    )
