"""Watching a flag after an increase: does the service burn too fast? Pure; no clock, no I/O.

A guard never reverts a flag that somebody else has changed since: then it only reports what it saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.flags.flag import FlagState
from bot.formatting import duration_words


@dataclass(frozen=True, slots=True)
class Guard:
    """The burn rate at which an increase is reverted, and for how long after it the burn rate is watched."""

    burn: float
    watch: timedelta


@dataclass(frozen=True, slots=True)
class BurnReading:
    """An SLO's burn rate now; None where it cannot be measured. `window` is the time it is measured over."""

    slo: str
    burn: float | None
    window: timedelta


@dataclass(frozen=True, slots=True)
class Evidence:
    """An SLO that burned at or above the guard. `before` is its burn rate before the change, if known."""

    slo: str
    burn: float
    guard: float
    window: timedelta
    before: float | None = None

    @property
    def words(self) -> str:
        """The evidence: `availability burns at 18.2 over 5 minutes, the guard is 6; before it was 0.4`."""
        since = "" if self.before is None else f"; before it was {self.before:.1f}"
        over = duration_words(self.window)
        return f"{self.slo} burns at {self.burn:.1f} over {over}, the guard is {self.guard:g}{since}"


@dataclass(frozen=True, slots=True)
class GuardWatch:
    """A watched increase: the state to restore, the version it made, and the burn rates before it."""

    flag: str
    environment: str
    service: str
    before: FlagState
    version: str
    changed_at: datetime
    guard: Guard
    baseline: Mapping[str, float] = field(default_factory=dict)

    @property
    def until(self) -> datetime:
        """When the watch ends if nothing happens."""
        return self.changed_at + self.guard.watch


@dataclass(frozen=True, slots=True)
class StillWatching:
    """The watch goes on; the guard was not crossed so far."""

    until: datetime


@dataclass(frozen=True, slots=True)
class WatchPassed:
    """The watch is over, and the guard was not crossed."""


@dataclass(frozen=True, slots=True)
class Unmeasurable:
    """These SLOs cannot be measured: the watch goes on until they can be."""

    slos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RollBack:
    """The service burns too fast: restore the recorded state."""

    evidence: Evidence
    to: FlagState


@dataclass(frozen=True, slots=True)
class ChangedElsewhere:
    """Somebody changed the flag since: it is left alone. `evidence` is there if the guard was crossed."""

    evidence: Evidence | None


WatchVerdict = StillWatching | WatchPassed | Unmeasurable | RollBack | ChangedElsewhere


def judge_watch(
    watch: GuardWatch, state: FlagState, readings: Sequence[BurnReading], now: datetime
) -> WatchVerdict:
    """Return what to do about the increase, from the flag as it is and the burn rates after the change."""
    evidence = crossing(watch.guard, readings, watch.baseline)
    if state.version != watch.version:
        return ChangedElsewhere(evidence)
    if evidence is not None:
        return RollBack(evidence, watch.before)
    unknown = unmeasured(readings)
    if not readings or unknown:
        return Unmeasurable(unknown)
    return WatchPassed() if now >= watch.until else StillWatching(watch.until)


def crossing(
    guard: Guard, readings: Sequence[BurnReading], baseline: Mapping[str, float] | None = None
) -> Evidence | None:
    """Return the fastest SLO at or above the guard, None if there is none.

    One that burned that fast before the change already counts only if it burns faster now.
    """
    crossed = []
    for reading in readings:
        before = (baseline or {}).get(reading.slo)
        if reading.burn is None or reading.burn < guard.burn:
            continue
        if before is None or before < guard.burn or reading.burn > before:
            crossed.append(Evidence(reading.slo, reading.burn, guard.burn, reading.window, before))
    return max(crossed, key=lambda evidence: evidence.burn, default=None)


def unmeasured(readings: Sequence[BurnReading]) -> tuple[str, ...]:
    """Return the SLOs whose burn rate is not known."""
    return tuple(reading.slo for reading in readings if reading.burn is None)
