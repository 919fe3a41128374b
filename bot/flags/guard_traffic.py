"""Whether a guard meets enough requests while it watches to tell anything. Pure; no clock, no I/O."""

import math
from dataclasses import dataclass
from datetime import timedelta

from bot.budgets.statistics.posterior import probability_above
from bot.catalog.error_budget_policy import CanaryGuard, OnUndecided
from bot.catalog.slo import Slo
from bot.formatting import counted, duration_code, duration_text

_UNSURE = 0.05
_DAY = timedelta(days=1)
_WATCHES = tuple(
    timedelta(minutes=minutes) for minutes in (30, 60, 120, 240, 480, 720, 1_440, 2_880, 4_320, 10_080)
)
"""Lengths of a watch that are proposed; a policy allows no longer one."""


def requests_needed(burn: float, allowed: float) -> int:
    """Return after how many requests, all good, it is sure that a service burns below `burn`."""
    limit = burn * allowed
    if probability_above(limit, 0, 0) <= _UNSURE:
        return 0
    enough = 1
    while probability_above(limit, 0, enough) > _UNSURE:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if probability_above(limit, 0, middle) > _UNSURE:
            too_few = middle
        else:
            enough = middle
    return enough


@dataclass(frozen=True, slots=True)
class IdleGuard:
    """A guard that meets fewer requests while it watches than it needs, though all are good."""

    slo: Slo
    guard: CanaryGuard
    requests_a_day: float
    needed: int
    by_variant: bool

    @property
    def holds(self) -> bool:
        """Whether a ramp would wait at each step for requests that do not come."""
        return self.guard.on_undecided is OnUndecided.HOLD

    @property
    def words(self) -> str:
        """What the guard meets and what it needs."""
        met = math.floor(self.requests_a_day * (self.guard.watch_for / _DAY))
        which = " with the flag on" if self.by_variant else ""
        return (
            f"about {counted(met, 'request')} in the {duration_text(self.guard.watch_for)} that the guard of "
            f"flags watches, and it needs {self.needed:,}{which} to tell: it ends undecided"
        )

    @property
    def fix(self) -> str:
        """What to change in the policy."""
        needed = self.needed / self.requests_a_day
        longer = next((each for each in _WATCHES if each / _DAY >= needed), None)
        otherwise = "leave the decision to people with `guard.onUndecided: go`" if self.holds else ""
        watch = (
            f"set `guard.watchFor` to {duration_code(longer)}, with as long between a ramp's steps,"
            if longer
            else ""
        )
        return " or ".join(filter(None, (watch, otherwise))) or "watch increases yourself"


def idle_guard(slo: Slo, guard: CanaryGuard, requests_a_day: float, *, by_variant: bool) -> IdleGuard | None:
    """Return the guard of an SLO with that traffic if it cannot tell; None if it can, or nothing comes in.

    `by_variant`: only requests with the flag on count, which are all of them at most.
    """
    needed = requests_needed(float(guard.burn), float(1 - slo.objective))
    if requests_a_day <= 0 or requests_a_day * (guard.watch_for / _DAY) >= needed:
        return None
    return IdleGuard(slo, guard, requests_a_day, needed, by_variant)
