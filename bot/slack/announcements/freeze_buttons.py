"""Buttons that change a freeze: each carries the command that a person would type. Pure."""

import json

from bot.slack.blockkit.blocks import BUTTON_VALUE, button, confirmation
from bot.slack.blockkit.mrkdwn import size
from bot.slack.interactions import Query
from bot.store.outbox import Block

LIFT = "freeze.lift"
REPLACE = "freeze.replace"
FREEZE_BUTTONS = frozenset({LIFT, REPLACE})
"""The action ids of the buttons that stand for a command."""
REQUEST = "exemption.request"
"""The button that opens the form for an exemption; it carries the service, and the change if it is known."""
ENDING_BUTTONS = frozenset({LIFT, REQUEST})
"""What does nothing any more once the hold has ended."""


def lift_buttons(service: str) -> tuple[Block, ...]:
    """Return the button that lifts what people have frozen, with a confirmation; none for too long a name."""
    value = Query("freeze", f"lift {service}").to_value()
    confirm = confirmation(
        "Lift the freeze",
        "The holds that people placed on the service end now. It is posted in its channel.",
        "Lift it",
    )
    return (button("Lift", LIFT, value, confirm=confirm),) if size(value) <= BUTTON_VALUE else ()


def request_buttons(service: str, change: str = "") -> tuple[Block, ...]:
    """Return the button that asks to let one change through; none for too long a name."""
    value = json.dumps([service, change], ensure_ascii=False).replace("<", "\\u003c").replace("@", "\\u0040")
    return (button("Request exemption", REQUEST, value),) if size(value) <= BUTTON_VALUE else ()


def requested(value: str) -> tuple[str, str]:
    """Return the service and the change that the button carries; raises ValueError for anything else."""
    match json.loads(value):
        case [str(service), str(change)]:
            return service, change
        case _:
            raise ValueError("a button carried no service")


def replace_buttons(arguments: str) -> tuple[Block, ...]:
    """Return the button that places a hold in place of the person's own; none if it is too long for one."""
    value = Query("freeze", f"replace {arguments}").to_value()
    return (button("Replace it", REPLACE, value),) if size(value) <= BUTTON_VALUE else ()
