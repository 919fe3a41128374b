"""How far an SLO's ledger is filled, and whether its last read failed. Pure values."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.catalog.window import Span

OVERLAP = timedelta(minutes=15)
"""How far a read reaches back into what is already counted, at least once in five minutes.

So a sample that arrives up to ten minutes late is counted within five minutes. Once an hour a read reaches
back over all minutes that are kept, so that one which arrives later than that is counted within an hour.
"""

LATENESS_REMEMBERED = timedelta(hours=1)
"""How long after events last came late the ledger allows for it."""

_APPROACH = 4
"""By which part of the difference the lateness that is allowed for falls to what was seen last."""


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
    read; `newest` the start of the minute of the newest sample, where the source lags behind that read: what
    happened after it is not known. `delay_s` is how late events come by the source's settings, in seconds: so
    long ago the filled span ended when it was read. `late_s` is how much later than that some came at most,
    last seen at `late_at`. `fault` and `problem`, its description, are set if a read failed since.
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
    delay_s: int | None = None
    late_s: int | None = None
    late_at: datetime | None = None
    fault: ReadFault | None = None
    problem: str | None = None

    @property
    def counted_to(self) -> datetime | None:
        """The time up to which it is known what happened; None before the first read."""
        if self.filled_to is None or self.filled_from is None:
            return self.filled_to
        known = self.filled_to - timedelta(seconds=self.late_s or 0)
        return max(self.filled_from, known if self.newest is None else min(known, self.newest))

    @property
    def read_to(self) -> datetime | None:
        """The time up to which the source seemed to have everything; None before the first read."""
        if self.filled_to is None or self.newest is None:
            return self.filled_to
        return min(self.filled_to, self.newest)

    @property
    def delay(self) -> timedelta:
        """How late the source's events come by its settings."""
        return timedelta(seconds=self.delay_s or 0)

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


def lateness_after(state: LedgerState, late: timedelta | None, now: datetime) -> dict[str, Any]:
    """Return the fields that change once a write showed how late events came (None: it showed none).

    What a rare read found late is approached from above, since that may have come long before the read.
    """
    if late is not None:
        late_s = math.ceil(late.total_seconds() / 60) * 60
        if state.late_s is not None:
            approached = state.late_s - (state.late_s - late_s) / _APPROACH
            late_s = max(late_s, math.floor(approached / 60) * 60)
        return {"late_s": late_s, "late_at": now}
    if state.late_at is not None and now - state.late_at > LATENESS_REMEMBERED:
        return {"late_s": None, "late_at": None}
    return {}
