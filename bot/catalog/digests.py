"""When a channel hears of its services regularly: a weekly digest and a daily stand-up line."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum


class DigestKind(StrEnum):
    """What comes regularly."""

    WEEKLY = "weekly"
    STAND_UP = "stand_up"


@dataclass(frozen=True, slots=True)
class DigestTimes:
    """A time of the day on some days of the week (0 is Monday), by the clock of the channel's people."""

    at: time
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class DigestSettings:
    """When each of them comes; None: never."""

    weekly: DigestTimes | None = DigestTimes(time(9), frozenset({0}))
    stand_up: DigestTimes | None = None

    def times(self, kind: DigestKind) -> DigestTimes | None:
        """Return when one of them comes."""
        return self.weekly if kind is DigestKind.WEEKLY else self.stand_up


DEFAULT_DIGESTS = DigestSettings()
"""What holds where the policies say nothing: a digest on Mondays at 09:00."""
