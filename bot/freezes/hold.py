"""A hold: one reason why a service must not ship. Pure; no clock, no I/O.

A service is frozen while it has at least one hold in force. Each hold has an owner, and nobody lifts
another's by accident.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

GOVERNOR = "governor"
"""The actor in audit rows of what the bot does by itself."""

_SETTLED_AFTER = timedelta(minutes=1)


class HoldKind(StrEnum):
    """Who or what placed the hold."""

    BUDGET = "budget"
    PERSON = "person"
    CALENDAR = "calendar"
    INCIDENT = "incident"
    DEPENDENCY = "dependency"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on one service, from `since` until `until` (None: until somebody lifts it).

    An `observed` hold stops nothing: it shows what a policy that only observes would have done.
    """

    id: int
    service: str
    kind: HoldKind
    reason: str
    by: str
    since: datetime
    until: datetime | None = None
    slo: str | None = None
    observed: bool = False

    def is_current(self, now: datetime) -> bool:
        """Return whether the hold has not run out."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class HoldEnd:
    """When a hold ended, by whom, and why; `reason` may be empty."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class EndedCause:
    """Why nothing stands behind a hold any more, and since when as far as that is known."""

    why: str
    since: datetime | None = None

    def ended_long_ago(self, now: datetime) -> bool:
        """Return whether the cause is known to have ended before the last minute."""
        return self.since is not None and now - self.since >= _SETTLED_AFTER


def current_holds(holds: Iterable[Hold], now: datetime) -> tuple[Hold, ...]:
    """Return those that have not run out, oldest first, also those that only observe."""
    return tuple(
        sorted((hold for hold in holds if hold.is_current(now)), key=lambda hold: (hold.since, hold.id))
    )


def holds_in_force(holds: Iterable[Hold], now: datetime) -> tuple[Hold, ...]:
    """Return those that have not run out and stop changes, oldest first."""
    return tuple(hold for hold in current_holds(holds, now) if not hold.observed)


def observed_holds(holds: Iterable[Hold], now: datetime) -> tuple[Hold, ...]:
    """Return those that have not run out and only show what would be stopped, oldest first."""
    return tuple(hold for hold in current_holds(holds, now) if hold.observed)
