"""Buttons that change a flag: each stands for the command that a person would type. Pure."""

from collections.abc import Mapping

from bot.flags.records.ramps import StoredRamp
from bot.slack.blockkit.blocks import button, confirmation
from bot.slack.interactions import Query
from bot.store.outbox import Block

KILL = "flag.kill"
HOLD = "flag.ramp.hold"
GO = "flag.ramp.go"
STOP = "flag.ramp.stop"

_SUBCOMMANDS: Mapping[str, str] = {KILL: "kill", HOLD: "ramp hold", GO: "ramp go", STOP: "ramp stop"}
COMMAND_BUTTONS = frozenset(_SUBCOMMANDS)
"""The action ids of these buttons; the value of each is the arguments after the subcommand."""


def command_of(action_id: str, arguments: str) -> Query:
    """Return the command that a button stands for."""
    return Query("flag", f"{_SUBCOMMANDS[action_id]} {arguments}")


def kill_button(flag: str, environment: str, reason: str) -> Block:
    """Return the button that turns a flag off for everyone, with a confirmation."""
    confirm = confirmation(
        "Kill the flag", f"{flag} in {environment} is turned off for everyone at once.", "Kill it"
    )
    return button("Kill", KILL, f"{flag} {environment} {reason}", style="danger", confirm=confirm)


def ramp_buttons(stored: StoredRamp, reason: str) -> tuple[Block, ...]:
    """Return the buttons for a running ramp."""
    flag, environment = stored.ramp.flag, stored.ramp.environment
    name = f"{flag} {environment}"
    confirm = confirmation(
        "End the ramp", f"{flag} in {environment} stays as it is, and takes no more steps.", "End it"
    )
    pause = button("Go on", GO, name) if stored.ramp.held_by else button("Pause", HOLD, name)
    return (pause, button("End ramp", STOP, name, confirm=confirm), kill_button(flag, environment, reason))
