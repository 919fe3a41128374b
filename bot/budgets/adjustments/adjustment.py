"""An adjustment of the record of a budget: a time that does not count, or a number of bad events. Pure.

The ledger keeps what was counted. An adjustment that is in force is subtracted whenever events are summed,
and reversing it brings everything back.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.catalog.window import Span

LONGEST = timedelta(days=7)
"""The longest time that one adjustment may cover."""

MOST_OF_WINDOW = 0.25
"""The share of an SLO's window that people may leave out in all, and of four weeks that maintenance may."""

MOST_EVENTS = 10**12
"""The most events that one correction may name."""


class AdjustmentKind(StrEnum):
    """What an adjustment does."""

    EXCLUSION = "exclusion"
    """A time does not count."""
    CORRECTION = "correction"
    """A number of bad events is taken away or added."""
    MAINTENANCE = "maintenance"
    """A time does not count because the policy plans it so."""


class CountsAs(StrEnum):
    """What becomes of the events."""

    DROPPED = "dropped"
    """They leave the total too; what a correction adds is added to it."""
    GOOD = "good"
    """The total stays: bad events become good ones, and those that a correction adds were good before."""


class AdjustmentState(StrEnum):
    """How far an adjustment has come; only an approved one counts."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An adjustment of one SLO of a service, or of all (`slo` None).

    `bad_events` is that of a correction: below 0 they are taken away, above they are added. For SLOs that
    count downtime they are seconds.
    """

    id: int
    service: str
    slo: str | None
    kind: AdjustmentKind
    counts_as: CountsAs
    span: Span
    reason: str
    asked_by: str
    asked_at: datetime
    bad_events: int = 0
    state: AdjustmentState = AdjustmentState.APPROVED
    decided_by: str | None = None
    decided_at: datetime | None = None
    reversed_by: str | None = None
    reversed_at: datetime | None = None

    @property
    def is_correction(self) -> bool:
        """Whether it names a number of events; otherwise its whole time does not count."""
        return self.kind is AdjustmentKind.CORRECTION

    def concerns(self, slo: str) -> bool:
        """Return whether it is of the SLO of that name."""
        return self.slo is None or self.slo == slo

    def overlaps(self, span: Span) -> bool:
        """Return whether some of its time lies in the span."""
        return self.span.start < span.end and span.start < self.span.end


SHARED = "all SLOs"
"""How an adjustment of a whole service names what it is of."""
