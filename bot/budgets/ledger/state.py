"""How far an SLO's ledger is filled, and how its last reading went. Pure values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.catalog.window import Span

OVERLAP = timedelta(minutes=10)
"""How far a reading reaches back into what was counted, at least every five minutes.

A sample that comes up to five minutes late is hence counted within five minutes.
"""


class ReadFault(StrEnum):
    """How the last reading failed."""

    NO_DATA = "no_data"
    """The source did not answer."""
    REFUSED = "refused"
    """The source understood and said no."""
    INVALID = "invalid"
    """The source answered what cannot be true."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Everything in [filled_from, filled_to) is counted; both are None before the first reading.

    `base` is the finest bucket width in seconds. That width, minutes and five minutes hold all that is
    counted from `base_from`, `minutes_from` and `fives_from` on (None: from the beginning).
    `refined` begins the hour of old times that is kept minute by minute. `read_at` is the last success;
    `fault` and its words `problem` tell of a failure since.
    """

    filled_from: datetime | None = None
    filled_to: datetime | None = None
    base: int | None = None
    base_from: datetime | None = None
    minutes_from: datetime | None = None
    fives_from: datetime | None = None
    refined: datetime | None = None
    read_at: datetime | None = None
    fault: ReadFault | None = None
    problem: str | None = None

    def __hash__(self) -> int:
        # Enough to tell most apart, and quick: looked up for each of thousands at every evaluation.
        return hash((self.filled_from, self.filled_to, self.read_at))


def after_writing(state: LedgerState, span: Span, width: int) -> dict[str, datetime]:
    """Return what changes once `span` is told in buckets of `width` seconds.

    Where the span does not adjoin what is filled, what is filled begins anew with it. The tiers that
    are narrower than the width hold everything only after the span.
    """
    changes = {"filled_from": span.start, "filled_to": span.end}
    begins, ends = state.filled_from or span.start, state.filled_to or span.end
    if begins <= span.end and span.start <= ends:
        changes = {"filled_from": min(begins, span.start), "filled_to": max(ends, span.end)}
    narrower = {"fives_from": 300, "minutes_from": 60, "base_from": state.base or 60}
    for name, narrow in narrower.items():
        if narrow < width:
            changes[name] = max(getattr(state, name) or span.end, span.end)
    return changes
