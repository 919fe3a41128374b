"""One burn of a service: which transitions belong to it, and when it is over. Pure; no clock, no I/O.

What is told of one burn (alert, warning, freeze, open again) stands in one thread a channel.
"""

from datetime import timedelta

from bot.freezes.decision import FreezeState
from bot.freezes.hold import HoldKind
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    BurnEnded,
    DataMissing,
    HoldLifted,
    HoldRetained,
    Transition,
)

QUIET_AFTER = timedelta(days=1)
"""How long after the last message a slow burn, of which no alert fires, is another one."""

_OF_A_BURN = (
    BudgetWarned, BurnAlertFired, BudgetExhausted, DataMissing, BudgetRecovered, HoldRetained, BurnEnded
)  # fmt: skip


def burn_of(service: str) -> str:
    """Return the subject of the thread of a service's burn."""
    return f"burn {service}"


def is_of_burn(transition: Transition | BurnEnded) -> bool:
    """Return whether a transition is told in the thread of the burn."""
    return isinstance(transition, _OF_A_BURN) or ends_burn(transition)


def ends_burn(transition: Transition | BurnEnded) -> bool:
    """Return whether the burn is over with this transition: the bot's own hold has ended."""
    if isinstance(transition, HoldLifted):
        return any(hold.kind is HoldKind.BUDGET for hold in (transition.hold, *transition.together))
    return isinstance(transition, BudgetRecovered)


def is_quiet(state: FreezeState, *, held: bool) -> bool:
    """Return whether no alert fires and nothing is held, though a warning may stand."""
    return not held and not state.alerts
