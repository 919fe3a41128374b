"""Buttons of rotations: each carries the command that a person would type. Pure."""

from bot.slack.blockkit.blocks import button
from bot.slack.interactions import Query, show_button
from bot.store.outbox import Block

AGREE = "rotation.agree"
DECLINE = "rotation.decline"
ROTATION_BUTTONS = frozenset({AGREE, DECLINE})
"""The action ids of the buttons that stand for a command."""


def swap_buttons(swap: int) -> tuple[Block, ...]:
    """Return the buttons with which the other of two answers to a swap."""
    return (
        button("Agree", AGREE, Query("rotation", f"agree {swap}").to_value(), style="primary"),
        button("Decline", DECLINE, Query("rotation", f"decline {swap}").to_value()),
    )


def look_buttons(rotation: str) -> tuple[Block, ...]:
    """Return the button that shows a rotation."""
    return show_button("Who is next", Query("rotation", rotation))
