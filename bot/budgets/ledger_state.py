"""How far an SLO's ledger is filled, and how its last reading went. Pure values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Fault(StrEnum):
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

    `base` is the finest bucket width in seconds, kept from `base_from` on (None: from the beginning).
    `refined` begins the hour of old times that is kept minute by minute. `read_at` is the last success;
    `fault` and its words `problem` tell of a failure since.
    """

    filled_from: datetime | None = None
    filled_to: datetime | None = None
    base: int | None = None
    base_from: datetime | None = None
    refined: datetime | None = None
    read_at: datetime | None = None
    fault: Fault | None = None
    problem: str | None = None
