"""What will become of an error budget: when it runs out or recovers, and how likely. Pure; no clock, no I/O.

A budget is spent once the bad events in its window are as many as are allowed: once their excess,
bad - allowed, summed over the window's days, reaches 0. What ages out of a rolling window is known exactly;
what comes is drawn from the whole days of the past (`day_draws.py`), 200 paths of 28 days. The newest hours
weigh in as the present burn: it goes on for a time that is drawn from how long it has lasted by now (what
has lasted an hour lasts another hour with a probability of one half), and the days that were drawn follow.
"""

import bisect
import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import add, sub

from bot.budgets.statistics.day_draws import HORIZON_DAYS, PATHS, day_draws, shares
from bot.budgets.statistics.present_burn import Cell, PresentBurn

HORIZONS = (timedelta(days=1), timedelta(days=7), timedelta(days=28))
"""The times within which the probability of exhaustion is told."""

LEAST_DAYS = 7
"""Whole days that must be known: with fewer nothing can be said."""

MOST_DAYS = 56
"""Older days say nothing about the days to come."""

_LOW, _MIDDLE, _HIGH = 0.1, 0.5, 0.9
_DAY_S = 86_400.0
_HOUR_S = 3_600.0
_HOURS_A_DAY = 24
_DAYS_A_BURN_LASTS = 1.0
_DRIFT = 0.5
"""By how much (the standard deviation of the logarithm) error rates change for good within weeks."""

_LEVELS = tuple(statistics.NormalDist().inv_cdf((index + 0.5) / 7) for index in range(7))


@dataclass(frozen=True, slots=True)
class BudgetHistory:
    """What is known of an SLO at `now`.

    `days` are whole UTC days, oldest first, the last of them yesterday; `today` is today so far, `window`
    the SLO's window up to now. `window_days` is the length of a rolling window, None for a calendar one,
    which ends at `until`. `hours` are those of all `days`, where they are known: what leaves the window is
    then known by the hour. `allowed` is the share of events that may be bad. `fixed_total` is set where the
    window's total is the same at any time (downtime); the days' totals do not count then.
    """

    now: datetime
    days: Sequence[Cell]
    today: Cell
    window: Cell
    window_days: int | None
    allowed: float
    until: datetime | None = None
    fixed_total: float | None = None
    present: PresentBurn | None = None
    hours: Sequence[Cell] = ()


@dataclass(frozen=True, slots=True)
class TimeQuantiles:
    """When something happens in a tenth, a half and nine tenths of the paths; None: not within 28 days."""

    p10: datetime
    p50: datetime | None
    p90: datetime | None

    def later_by(self, length: timedelta) -> "TimeQuantiles":
        """Return the same, so much later."""
        middle, last = (at and at + length for at in (self.p50, self.p90))
        return TimeQuantiles(self.p10 + length, middle, last)


@dataclass(frozen=True, slots=True)
class FanPoint:
    """What is left of the budget at a time to come: the middle, and the bounds of eight paths in ten."""

    at: datetime
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class BudgetForecast:
    """What will become of a budget.

    `exhausts` is None where fewer than a tenth of the paths exhaust it, or it is exhausted already;
    `recovers` is when enough is left again, where it is not now. `probability` is that of being exhausted
    within a time. `fan` has a point for each midnight (UTC) of the coming 28 days.
    """

    made_at: datetime
    exhausts: TimeQuantiles | None
    recovers: TimeQuantiles | None
    probability: Mapping[timedelta, float]
    fan: tuple[FanPoint, ...] = ()
    unspent: float | None = None
    """What is left of the budget at the end of its window (in 28 days at most) with a probability of 90%."""


def forecast(
    history: BudgetHistory, *, recovered_at: float, spread: float = 1.0, with_fan: bool = False
) -> BudgetForecast | None:
    """Return what will become of a budget; None where nothing can be said.

    `recovered_at` is the fraction of the budget that counts as recovered. `spread` widens (above 1) or
    narrows what the coming days differ by from the usual one: the workspace's calibration factor.
    """
    history = _limited(history)
    if len(history.days) < LEAST_DAYS or not _has_events(history):
        return None
    spending = _Excess(history, history.allowed, spread)
    is_spent = spending.now >= 0
    paths = spending.paths() if with_fan or not is_spent else []
    times = [] if is_spent else spending.crossings(paths)
    return BudgetForecast(
        made_at=history.now,
        exhausts=_quantiles(times, history),
        recovers=_recovery(history, recovered_at, spread),
        probability={
            length: 1.0 if is_spent else bisect.bisect_right(times, length.total_seconds()) / PATHS
            for length in HORIZONS
        },
        unspent=spending.unspent(paths) if paths else None,
        fan=tuple(spending.fan(paths)) if with_fan else (),
    )


def _limited(history: BudgetHistory) -> BudgetHistory:
    if len(history.days) <= MOST_DAYS:
        return history
    known = max(MOST_DAYS, history.window_days or 0)
    return replace(history, days=history.days[-known:], hours=history.hours[-known * _HOURS_A_DAY :])


def _has_events(history: BudgetHistory) -> bool:
    if history.fixed_total is not None:
        return any(bad for bad, _ in (*history.days, history.today))
    return sum(total for _, total in history.days) > 0


def _recovery(history: BudgetHistory, recovered_at: float, spread: float) -> TimeQuantiles | None:
    allowed = history.allowed * (1 - recovered_at)
    if allowed <= 0:
        return None
    recovery = _Excess(history, allowed, spread, sign=-1.0)
    if recovery.now >= 0:
        return None
    if history.window_days is None:
        return None if history.until is None else TimeQuantiles(history.until, history.until, history.until)
    return _quantiles(recovery.crossings(recovery.paths()), history)


def _quantiles(times: Sequence[float], history: BudgetHistory) -> TimeQuantiles | None:
    low, middle, high = (
        history.now + timedelta(seconds=times[index]) if index < len(times) else None
        for index in (math.ceil(quantile * PATHS) - 1 for quantile in (_LOW, _MIDDLE, _HIGH))
    )
    return None if low is None else TimeQuantiles(low, middle, high)


class _Excess:
    """By how much the bad events of a window exceed those allowed, now and on every path. `sign` may turn it.

    A path has a value for each midnight: the first ends today, the others the days after it.
    """

    def __init__(self, history: BudgetHistory, allowed: float, spread: float, *, sign: float = 1.0) -> None:
        self._history = history
        self._allowed = allowed
        self._sign = sign
        fixed = history.fixed_total
        self._constant = 0.0 if fixed is None else -allowed * fixed * sign
        self.now = self._of(history.window) + self._constant
        self._days = [self._of(cell) for cell in history.days]
        midnight = history.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._left_s = (midnight + timedelta(days=1) - history.now).total_seconds()
        self._weekday = midnight.weekday()
        self._steps = self._count_steps()
        self._ends = [self._left_s + _DAY_S * step for step in range(self._steps)]
        self._spread = spread
        self._burn = self._present()
        # What an ordinary second adds besides the burn: from a rolling window as much leaves.
        is_calendar = history.window_days is None
        self._usual_s = statistics.median(self._days[-MOST_DAYS:]) / _DAY_S if is_calendar else 0.0

    def _of(self, cell: Cell) -> float:
        bad, total = cell
        return self._sign * (bad if self._history.fixed_total is not None else bad - self._allowed * total)

    def _count_steps(self) -> int:
        until = self._history.until
        if until is None:
            return HORIZON_DAYS + 1
        left_s = (until - self._history.now).total_seconds() - self._left_s
        return max(1, min(HORIZON_DAYS + 1, 1 + math.floor(left_s / _DAY_S)))

    def _pools(self, spread: float) -> list[list[float]]:
        """Return for each level what to draw from: the excess of each day, then for the rest of today.

        A level is by what factor the errors of all days on a path differ from those of the past.
        """
        days = self._history.days[-MOST_DAYS:]
        if spread != 1:
            days = _spread(days, spread)
        pools = []
        for level in _LEVELS:
            factor = math.exp(_DRIFT * spread * level)
            values = [self._of((bad * factor, total)) for bad, total in days]
            pools.append(self._with_rest_of_today(values))
        return pools

    def _with_rest_of_today(self, values: Sequence[float]) -> list[float]:
        left = self._left_s / _DAY_S
        return [*values, *(value * left for value in values)]

    def _known(self, window: float, today: float, days: Sequence[float]) -> list[float]:
        """Return for each midnight what of its window has happened already."""
        length = self._history.window_days
        if length is None:
            return [window] * self._steps
        # The window of the first midnight: today so far and the days before it; later ones lose the oldest.
        kept = [0.0, *itertools.accumulate(reversed(days))]
        return [
            today + kept[min(len(days), length - 1 - step)] if step < length else 0.0
            for step in range(self._steps)
        ]

    def paths(self) -> list[list[float]]:
        """Return the paths of the excess, one value for each midnight."""
        history = self._history
        known = self._known(self._of(history.window), self._of(history.today), self._days)
        return self._drawn_paths(
            [self._constant + value for value in known], self._pools(self._spread), self._burn
        )

    def _drawn_paths(
        self,
        known: Sequence[float],
        pools: Sequence[Sequence[float]],
        burns: Sequence[tuple[float, float]] = (),
    ) -> list[list[float]]:
        steps, length = self._steps, self._history.window_days
        paths = []
        for index, draw in enumerate(day_draws(len(pools[0]) // 2, self._weekday)):
            drawn: Iterable[float] = draw(pools[index % len(pools)])
            if burns:
                drawn = _with_burn(drawn, burns[index], self._left_s)
            spent = list(itertools.accumulate(drawn))
            if length is not None and length < steps:
                spent[length:] = list(map(sub, spent[length:], spent))
            paths.append(list(map(add, known, spent)))
        return paths

    def crossings(self, paths: Sequence[Sequence[float]]) -> list[float]:
        """Return after how many seconds the excess reaches 0, for the paths on which it does, in order."""
        times = []
        for index, path in enumerate(paths):
            if self._burn and (at_once := self._reached_by_burn(index)) is not None:
                times.append(at_once)
            elif max(path) >= 0:
                times.append(self._crossing(path))
        times.sort()
        return times

    def _crossing(self, path: Sequence[float]) -> float:
        step = next(step for step, value in enumerate(path) if value >= 0)
        before, start_s = (path[step - 1], self._ends[step - 1]) if step else (self.now, 0.0)
        length_s = self._ends[step] - start_s
        leaving = self._leaving(step, length_s)
        if not leaving:
            return start_s - before / (path[step] - before) * length_s
        coming = (path[step] - before + sum(leaving)) / len(leaving)
        for hour, gone in enumerate(leaving):
            after = before + coming - gone
            if after >= 0:
                share = -before / (after - before) if after > before else 0.0
                return start_s + (hour + share) / len(leaving) * length_s
            before = after
        return self._ends[step]

    def _leaving(self, step: int, length_s: float) -> list[float]:
        """Return what leaves the window in each hour of a step; empty where that is not known by the hour."""
        history = self._history
        if not history.hours or history.window_days is None:
            return []
        last = (len(history.days) - history.window_days + step + 1) * _HOURS_A_DAY
        first = last - max(1, math.ceil(length_s / _HOUR_S))
        return [self._of(cell) for cell in history.hours[first:last]] if first >= 0 else []

    def _reached_by_burn(self, index: int) -> float | None:
        """Return after how many seconds the present burn spends what is left, if it lasts so long."""
        rate, lasts_s = self._burn[index]
        if rate <= 0 or rate + self._usual_s <= 0 or self.now >= 0 or self._sign < 0:
            return None
        needed_s = -self.now / (rate + self._usual_s)
        return needed_s if needed_s <= lasts_s else None

    def _present(self) -> list[tuple[float, float]]:
        """Return for each path how much the present burn adds a second, and for how many seconds."""
        present = self._history.present
        if present is None:
            return []
        usual = statistics.median(bad for bad, _ in self._history.days[-MOST_DAYS:]) / 24
        longest_s = self._left_s + _DAYS_A_BURN_LASTS * _DAY_S
        return [
            (
                self._sign * max(0.0, present.slow + share * (present.fast - present.slow) - usual) / _HOUR_S,
                min(longest_s, present.lasted_h * _HOUR_S * (1 / other - 1)),
            )
            for share, other in zip(shares(), reversed(shares()), strict=True)
        ]

    def fan(self, paths: Sequence[Sequence[float]]) -> Iterable[FanPoint]:
        """Return what is left of the budget at each midnight."""
        all_totals = self._total_paths()
        for end_s, excesses, totals in zip(
            self._ends, zip(*paths, strict=True), zip(*all_totals, strict=True), strict=True
        ):
            left = sorted(
                -excess / (total * self._allowed)
                for excess, total in zip(excesses, totals, strict=True)
                if total > 0
            )
            if left:
                low, middle, high = (
                    left[min(len(left) - 1, int(quantile * len(left)))] for quantile in (_LOW, _MIDDLE, _HIGH)
                )
                yield FanPoint(self._history.now + timedelta(seconds=end_s), low, middle, high)

    def unspent(self, paths: Sequence[Sequence[float]]) -> float | None:
        """Return what is left when the window ends, on nine paths of ten; None where nothing is to come in.

        The events to come are taken to be as many as on the usual day.
        """
        history = self._history
        step = self._steps - 1 if history.window_days is None else min(history.window_days, self._steps - 1)
        total = history.fixed_total
        if total is None:
            days = history.days[-MOST_DAYS:]
            usual = sum(events for _, events in days) / len(days)
            total = usual * (history.window_days or 0)
            if history.window_days is None:
                total = history.window[1] + usual * self._ends[step] / _DAY_S
        if total <= 0:
            return None
        excesses = sorted(path[step] for path in paths)
        return -excesses[math.ceil(_HIGH * len(excesses)) - 1] / (total * self._allowed)

    def _total_paths(self) -> list[list[float]]:
        """Return for each path how many events each midnight's window will have."""
        history = self._history
        if history.fixed_total is not None:
            return [[history.fixed_total] * self._steps] * PATHS
        totals = [total for _, total in history.days]
        known = self._known(history.window[1], history.today[1], totals)
        return self._drawn_paths(known, [self._with_rest_of_today(totals[-MOST_DAYS:])])


def _spread(days: Sequence[Cell], spread: float) -> list[Cell]:
    """Return days whose errors differ from the usual error rate by `spread` times as much."""
    usual = statistics.median(bad / total if total else 0.0 for bad, total in days)
    return [(max(0.0, usual * total + spread * (bad - usual * total)), total) for bad, total in days]


def _with_burn(drawn: Iterable[float], burn: tuple[float, float], left_s: float) -> list[float]:
    """Return the days of a path with the present burn added to today and tomorrow."""
    rate, lasts_s = burn
    days = list(drawn)
    days[0] += rate * min(lasts_s, left_s)
    days[1] += rate * max(0.0, lasts_s - left_s)
    return days
