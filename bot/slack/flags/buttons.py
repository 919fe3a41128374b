"""Buttons that order something of a flag: each stands for the command that a person would type. Pure."""

from collections.abc import Mapping

from bot.flags.records.ramps import StoredRamp
from bot.slack.blockkit.blocks import button, confirmation
from bot.slack.interactions import Query
from bot.store.outbox import Block

KILL = "flag.kill"
HOLD = "flag.ramp.hold"
GO = "flag.ramp.go"
STOP = "flag.ramp.stop"

_TYPED: Mapping[str, str] = {KILL: "kill", HOLD: "ramp hold", GO: "ramp go", STOP: "ramp stop"}
ORDERS = frozenset(_TYPED)
"""What these buttons are called; each carries the words after the subcommand."""


def ordered(deed: str, carried: str) -> Query:
    """Return the command that a button stands for, with its rights, its words and its audit row."""
    return Query("flag", f"{_TYPED[deed]} {carried}")


def kill_button(flag: str, environment: str, reason: str) -> Block:
    """Return the button that turns a flag off for everyone, with the question whether to."""
    asked = confirmation(
        "Kill the flag", f"{flag} in {environment} is turned off for everyone at once.", "Kill it"
    )
    return button("Kill", KILL, f"{flag} {environment} {reason}", style="danger", confirm=asked)


def ramp_buttons(kept: StoredRamp, reason: str) -> tuple[Block, ...]:
    """Return what can be done with a ramp that runs."""
    flag, environment = kept.ramp.flag, kept.ramp.environment
    name = f"{flag} {environment}"
    asked = confirmation(
        "End the ramp", f"{flag} in {environment} stays as it is, and takes no more steps.", "End it"
    )
    pause = button("Go on", GO, name) if kept.ramp.held_by else button("Pause", HOLD, name)
    return (pause, button("End ramp", STOP, name, confirm=asked), kill_button(flag, environment, reason))
