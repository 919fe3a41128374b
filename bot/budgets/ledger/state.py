"""How far an SLO's ledger is filled, and whether its last read failed. Pure values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.catalog.window import Span

OVERLAP = timedelta(minutes=15)
"""How far a read reaches back into what is already counted, at least once in five minutes.

So a sample that arrives up to ten minutes late is counted within five minutes. Once an hour a read reaches
back over all minutes that are kept, so that one which arrives later than that is counted within an hour.
"""


class ReadFault(StrEnum):
    """How the last read failed."""

    NO_DATA = "no_data"
    """The source did not answer."""
    REFUSED = "refused"
    """The source rejected the query or the credentials."""
    INVALID = "invalid"
    """The source answered with numbers that cannot be true."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Everything in [filled_from, filled_to) is counted; both are None before the first read.

    `base` is the finest resolution, a bucket width in seconds. Buckets of that width, of a minute and of
    five minutes are complete from `base_from`, `minutes_from` and `fives_from` on (None: from the start).
    `refined` is the start of the old hour that is kept minute by minute. `read_at` is the last successful
    read; `newest` the end of the minute of the newest sample, where the source lags behind that read: what
    happened after it is not known. `fault` and `problem`, its description, are set if a read failed since.
    """

    filled_from: datetime | None = None
    filled_to: datetime | None = None
    base: int | None = None
    base_from: datetime | None = None
    minutes_from: datetime | None = None
    fives_from: datetime | None = None
    refined: datetime | None = None
    read_at: datetime | None = None
    newest: datetime | None = None
    fault: ReadFault | None = None
    problem: str | None = None

    @property
    def counted_to(self) -> datetime | None:
        """The time up to which it is known what happened; None before the first read."""
        if self.filled_to is None or self.newest is None:
            return self.filled_to
        return min(self.filled_to, self.newest)

    def __hash__(self) -> int:
        # Distinguishes most states, and is quick: looked up for thousands of SLOs at every evaluation.
        return hash((self.filled_from, self.filled_to, self.read_at))


def after_writing(state: LedgerState, span: Span, width: int) -> dict[str, datetime]:
    """Return the fields that change once `span` is written in buckets of `width` seconds.

    Where the span does not adjoin the filled span, it replaces it. The rollups that are narrower than the
    width are complete only after the span.
    """
    changes = {"filled_from": span.start, "filled_to": span.end}
    filled_from, filled_to = state.filled_from or span.start, state.filled_to or span.end
    if filled_from <= span.end and span.start <= filled_to:
        changes = {"filled_from": min(filled_from, span.start), "filled_to": max(filled_to, span.end)}
    widths = {"fives_from": 300, "minutes_from": 60, "base_from": state.base or 60}
    for name, narrower in widths.items():
        if narrower < width:
            changes[name] = max(getattr(state, name) or span.end, span.end)
    return changes
