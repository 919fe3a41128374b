"""Watching a flag after an increase: does the service burn too fast? Pure; no clock, no I/O.

An increase is reverted when the burn rate is at or above the guard and the events since the increase show,
by a sequential test, that it did harm. It passes when they show that it does not burn at the guard; what
ends undecided is said. A guard never reverts a flag that somebody else has changed since: then it only
reports what it saw.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.statistics.posterior import probability_above
from bot.budgets.statistics.sequential import FALSE_ALARMS, alternatives, log_e_value, null_rate
from bot.flags.flag import FlagState
from bot.flags.variant_test import VariantTest
from bot.formatting import counted, duration_words

_SURE = 0.95
_AS_BEFORE = 1.5


@dataclass(frozen=True, slots=True)
class Guard:
    """The burn rate at which an increase is reverted, and for how long after it the burn rate is watched."""

    burn: float
    watch: timedelta


@dataclass(frozen=True, slots=True)
class ChangeTest:
    """What an SLO of `service` counted in the hour before a change, and since the change up to `until`.

    `allowed` is the share of bad events that the objective allows, `alpha` how often the test may be wrong;
    `holds`: a ramp waits while the test is undecided. `no_variants` is why the past is compared with, and not
    requests with the flag off, where the policy wants that.
    """

    service: str
    allowed: float
    before: EventCounts
    since: EventCounts
    until: datetime | None
    alpha: float = FALSE_ALARMS
    holds: bool = True
    no_variants: str = ""

    def shows_harm(self, burn: float) -> bool:
        """Return whether the change raised the error rate, as far as burning at `burn` or more matters."""
        bad, total = self.since.bad, self.since.total
        null = null_rate(self.allowed, self.before.bad, self.before.total)
        return log_e_value(bad, total, null, alternatives(null, burn * self.allowed)) >= -math.log(self.alpha)

    def shows_no_harm(self, burn: float) -> bool:
        """Return whether the service surely burns below `burn`, or not much faster than before."""
        limit = burn * self.allowed
        if self.before.total > 0:
            limit = max(limit, _AS_BEFORE * self.before.bad / self.before.total)
        return probability_above(limit, self.since.bad, self.since.total) <= 1 - _SURE

    @property
    def burn_before(self) -> float | None:
        """The burn rate in the hour before the change; None where nothing was counted."""
        return self.before.bad / self.before.total / self.allowed if self.before.total > 0 else None

    @property
    def compared(self) -> str:
        """What was compared; empty where it is the past, and nobody wanted anything else."""
        return f"compared with the hour before, because {self.no_variants}" if self.no_variants else ""


@dataclass(frozen=True, slots=True)
class BurnReading:
    """An SLO's burn rate now; None where it cannot be measured. `window` is the time it is measured over.

    `test` is what was counted around the change that is watched; None where there is none yet, and for an SLO
    that counts no events but recorded downtime: its burn rate alone decides. With a `VariantTest` the burn
    rate is that of requests with the flag on.
    """

    slo: str
    burn: float | None
    window: timedelta
    test: ChangeTest | VariantTest | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """An SLO that burned at or above the guard.

    `before` is its burn rate before the change, `counted` its events since, each None where not known.
    `compared` is what was compared where the policy names variants; `with_flag`: the burn rate and the events
    are those with the flag on.
    """

    slo: str
    burn: float
    guard: float
    window: timedelta
    before: float | None = None
    counted: EventCounts | None = None
    compared: str = ""
    with_flag: bool = False

    @property
    def words(self) -> str:
        """The evidence: `availability burns at 18.2× over 5 minutes, the guard is 6×; before it was 0.4×`.

        Then what was counted: `; 9 of 500 requests since the change were bad`.
        """
        since = "" if self.before is None else f"; before it was {self.before:.1f}×"
        if self.counted is not None and not self.with_flag:
            bad, total = round(self.counted.bad), round(self.counted.total)
            since += f"; {bad:,} of {total:,} requests since the change were bad"
        since += f"; {self.compared}" if self.compared else ""
        over = f"{duration_words(self.window)}{' with the flag on' if self.with_flag else ''}"
        return f"{self.slo} burns at {self.burn:.1f}× over {over}, the guard is {self.guard:g}×{since}"


@dataclass(frozen=True, slots=True)
class Undecided:
    """What was counted since a change is too little to tell whether it hurts. `holds`: a ramp waits then.

    `with_flag`: the requests are those with the flag on.
    """

    requests: float
    holds: bool = True
    with_flag: bool = False

    @property
    def words(self) -> str:
        """What to say: `not enough traffic to tell (42 requests)`."""
        which = " with the flag on" if self.with_flag else ""
        return f"not enough traffic to tell ({counted(round(self.requests), 'request')}{which})"


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
class WatchUndecided:
    """The watch is over, and nobody can tell whether the increase hurts."""

    undecided: Undecided


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


WatchVerdict = StillWatching | WatchPassed | WatchUndecided | Unmeasurable | RollBack | ChangedElsewhere


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
    undecided = find_undecided(watch.guard, readings)
    if now < watch.until or (undecided is not None and awaits_events(readings, watch.until)):
        return StillWatching(watch.until)
    return WatchPassed() if undecided is None else WatchUndecided(undecided)


def crossing(
    guard: Guard, readings: Sequence[BurnReading], baseline: Mapping[str, float] | None = None
) -> Evidence | None:
    """Return the fastest SLO at or above the guard that the change made worse, None if there is none.

    Where no events are counted, one that burned that fast before already counts only if it burns faster now.
    """
    crossed = []
    for reading in readings:
        test, before = reading.test, (baseline or {}).get(reading.slo)
        if reading.burn is None or reading.burn < guard.burn:
            continue
        if test is not None:
            is_harmed, before = test.shows_harm(guard.burn), test.burn_before
        else:
            is_harmed = before is None or before < guard.burn or reading.burn > before
        if is_harmed:
            evidence = Evidence(
                reading.slo,
                reading.burn,
                guard.burn,
                reading.window,
                before,
                None if test is None else test.since,
                "" if test is None else test.compared,
                isinstance(test, VariantTest),
            )
            crossed.append(evidence)
    return max(crossed, key=lambda evidence: evidence.burn, default=None)


def find_undecided(guard: Guard, readings: Sequence[BurnReading]) -> Undecided | None:
    """Return what cannot be told yet, with the fewest requests among the SLOs; None if all are decided."""
    tests = [reading.test for reading in readings if reading.test is not None]
    undecided = [test for test in tests if not test.shows_no_harm(guard.burn)]
    if not undecided:
        return None
    least = min(undecided, key=lambda test: test.since.total)
    holds = any(test.holds for test in undecided)
    return Undecided(least.since.total, holds, isinstance(least, VariantTest))


def compared_words(readings: Sequence[BurnReading]) -> str:
    """Return what was compared, where the policy names variants; with the SLO where there are several."""
    found = {
        reading.slo: reading.test.compared
        for reading in readings
        if reading.test is not None and reading.test.compared
    }
    if len(readings) == 1 or len(set(found.values())) == 1:
        return next(iter(found.values()), "")
    return "; ".join(f"{slo}: {words}" for slo, words in found.items())


def awaits_events(readings: Sequence[BurnReading], due: datetime) -> bool:
    """Return whether events that came before `due` may not be counted yet."""
    tests = [reading.test for reading in readings if reading.test is not None]
    return any(test.until is None or test.until < due for test in tests)


def without_events(readings: Sequence[BurnReading]) -> tuple[str, ...]:
    """Return what was counted nowhere since the change: `event of checkout`, for each service without any."""
    totals: dict[str, EventCounts] = {}
    which: dict[str, str] = {}
    for reading in readings:
        if reading.test is not None:
            service, is_by_variant = reading.test.service, isinstance(reading.test, VariantTest)
            totals[service] = totals.get(service, NO_EVENTS) + reading.test.since
            which[service] = (
                f"request of {service} with the flag on" if is_by_variant else f"event of {service}"
            )
    return tuple(which[service] for service, found in totals.items() if found.total <= 0)


def unmeasured(readings: Sequence[BurnReading]) -> tuple[str, ...]:
    """Return the SLOs whose burn rate is not known."""
    return tuple(reading.slo for reading in readings if reading.burn is None)
