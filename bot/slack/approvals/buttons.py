"""The buttons under what waits for another person's approval. Pure."""

from bot.slack.blockkit.blocks import button
from bot.store.outbox import Block

APPROVE = "flag.approve"
"""Approves at once. Messages that were sent before exemptions could wait have this id, so it stays."""
APPROVE_WITH_COMMENT = "approval.comment"
"""Opens the form that approves with a comment."""
DECLINE = "flag.decline"
"""Opens the form that asks why, and declines."""
FORM_BUTTONS = frozenset({APPROVE_WITH_COMMENT, DECLINE})


def approval_buttons(key: str) -> tuple[Block, ...]:
    """Return the buttons that decide on what `key` names, such as `change:7`."""
    return (
        button("Approve", APPROVE, key, style="primary"),
        button("Approve with a comment", APPROVE_WITH_COMMENT, key),
        button("Decline", DECLINE, key),
    )
