"""Buttons that change a flag: each stands for the command that a person would type. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from bot.flags.flag import FlagState
from bot.flags.records.ramps import RampState, StoredRamp
from bot.formatting import duration_text, percent_text
from bot.slack.blockkit.blocks import button, confirmation
from bot.slack.interactions import Query
from bot.store.outbox import Block

KILL = "flag.kill"
HOLD = "flag.ramp.hold"
GO = "flag.ramp.go"
STOP = "flag.ramp.stop"

_SHOWN = "flag.shown."
_SUBCOMMANDS: Mapping[str, str] = {
    KILL: "kill",
    HOLD: "ramp hold",
    GO: "ramp go",
    STOP: "ramp stop",
    f"{_SHOWN}on": "on",
    f"{_SHOWN}off": "off",
    f"{_SHOWN}ramp": "ramp",
    f"{_SHOWN}hold": "ramp hold",
    f"{_SHOWN}go": "ramp go",
    f"{_SHOWN}stop": "ramp stop",
}
COMMAND_BUTTONS = frozenset(_SUBCOMMANDS)
"""The action ids of these buttons; the value of each is the arguments after the subcommand."""

_RAMP_STEPS = (0.01, 0.05, 0.25, 1.0)
_RAMP_EVERY = timedelta(minutes=30)


def command_of(action_id: str, arguments: str) -> Query:
    """Return the command that a button stands for."""
    return Query("flag", f"{_SUBCOMMANDS[action_id]} {arguments}")


def shown_flag_of(action_id: str, arguments: str) -> Query | None:
    """Return the query that shows the flag anew, for a button that stood beside the flag; else None."""
    flag_and_environment = " ".join(arguments.split()[:2])
    return Query("flag", f"show {flag_and_environment}") if action_id.startswith(_SHOWN) else None


def change_buttons(
    state: FlagState, *, is_protected: bool, may_ramp: bool, by_rule: Sequence[float] = ()
) -> tuple[Block, ...]:
    """Return the buttons On, Off and Ramp of a flag without a ramp, as far as each would change something.

    `may_ramp`: there is something that can watch a ramp; `by_rule` are the steps that the policy names.
    """
    flag, environment = state.flag, state.environment
    subject = f"{flag} {environment}"
    approval = " Another person approves it first." if is_protected else ""
    buttons: list[Block] = []
    if not state.enabled:
        share = (
            f" for {percent_text(state.rollout, plain=True)} of users" if state.rollout is not None else ""
        )
        text = f"{flag} in {environment} is turned on{share}.{approval}"
        confirm = confirmation("Turn the flag on", text, "Turn it on")
        buttons.append(button("On", f"{_SHOWN}on", subject, confirm=confirm))
    if not state.is_off:
        text = f"{flag} in {environment} is turned off for everybody who sees it now."
        confirm = confirmation("Turn the flag off", text, "Turn it off")
        buttons.append(button("Off", f"{_SHOWN}off", subject, confirm=confirm))
    steps = [step for step in by_rule or _RAMP_STEPS if state.exposure is not None and step > state.exposure]
    if may_ramp and state.rollout is not None and steps:
        shares = " ".join(percent_text(step, plain=True) for step in steps)
        every = duration_text(_RAMP_EVERY)
        text = (
            f"{flag} in {environment} goes to {shares.replace(' ', ', then ')} of users, "
            f"a step every {every}. It goes back if a step burns the budget.{approval}"
        )
        # Steps of the policy are not named: the policy must still name them when the button is pressed.
        typed = "" if by_rule else f"{shares} "
        arguments = f"{subject} {typed}every {_RAMP_EVERY // timedelta(minutes=1)}m"
        confirm = confirmation("Begin a ramp", text, "Begin it")
        buttons.append(button("Ramp", f"{_SHOWN}ramp", arguments, confirm=confirm))
    return tuple(buttons)


def ramp_control_buttons(stored: StoredRamp) -> tuple[Block, ...]:
    """Return the buttons beside a flag with a ramp: pause it or let it go on, and end it."""
    subject = f"{stored.ramp.flag} {stored.ramp.environment}"
    end = button("End ramp", f"{_SHOWN}stop", subject, confirm=_end_confirmation(stored))
    if stored.state is RampState.PENDING or stored.ramp.next_share is None:
        return (end,)
    if stored.ramp.held_by:
        return (button("Go on", f"{_SHOWN}go", subject), end)
    return (button("Pause", f"{_SHOWN}hold", subject), end)


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
    pause = button("Go on", GO, name) if stored.ramp.held_by else button("Pause", HOLD, name)
    return (
        *((pause,) if stored.ramp.next_share is not None else ()),
        button("End ramp", STOP, name, confirm=_end_confirmation(stored)),
        kill_button(flag, environment, reason),
    )


def _end_confirmation(stored: StoredRamp) -> Block:
    name = f"{stored.ramp.flag} in {stored.ramp.environment}"
    return confirmation("End the ramp", f"{name} stays as it is, and takes no more steps.", "End it")
