"""How late events came: seen where a read adds to buckets that seemed to be complete. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from bot.budgets.ledger.rollups import FIVE_MINUTES, seconds
from bot.budgets.ledger.state import LedgerState
from bot.budgets.source import Cell
from bot.formatting import duration_code, duration_text

LATE = timedelta(seconds=150)
"""How late events come at most without being called late: longer than two usual scrapes."""

_MOST = timedelta(hours=2)
"""What comes later than this was filled in afterwards: it says nothing of what is still to come."""

_ADVISED = timedelta(minutes=5)
"""To a multiple of this the delay that is advised is rounded up."""
_SPARE = timedelta(minutes=1)

_LEAST_EVENTS = 0.5
"""An estimate may change by less, and does so without a new sample."""


def lateness_of(changes: Mapping[int, Cell], width: int, state: LedgerState, end: int) -> timedelta | None:
    """Return how late the events came that a read up to `end` (seconds) added; None if none came late.

    `changes` are what it adds to the buckets of `width` seconds of a ledger in this state. Only what adds
    events in all counts: a late sample between two others moves some from one bucket to another.
    """
    if state.filled_to is None or state.filled_from is None or state.read_to is None or width > FIVE_MINUTES:
        return None
    read_to, since = seconds(state.read_to), seconds(state.filled_from)
    again = {at: total for at, (_, total) in changes.items() if since <= at and at + width <= read_to}
    if not again or sum(again.values()) < 1:
        return None
    added = [at for at, total in again.items() if total > _LEAST_EVENTS]
    late = [at for at in added if LATE.total_seconds() < seconds(state.filled_to) - (at + width)]
    recent = [at for at in late if end - (at + width) <= _MOST.total_seconds()]
    return timedelta(seconds=end - (min(recent) + width)) if recent else None


def lateness_text(state: LedgerState) -> str | None:
    """Return how late the events of a ledger come by what was seen, and what to do; None if they do not."""
    if state.filled_to is None or state.read_to is None:
        return None
    late, silent = timedelta(seconds=state.late_s or 0), state.filled_to - state.read_to
    if max(late, silent) <= LATE:
        return None
    advised = duration_code(-(-(state.delay + max(late, silent) + _SPARE) // _ADVISED) * _ADVISED)
    if late >= silent:
        length = duration_text(state.delay + late, plain=True)
        return f"events came up to {length} late: set `delay: {advised}` for the source"
    return (
        f"the newest sample is of {state.read_to:%H:%M} UTC: if samples always come that late, "
        f"set `delay: {advised}` for the source"
    )
