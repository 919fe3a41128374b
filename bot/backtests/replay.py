"""Replays a service's past under its policies: what the loop would have decided, moment by moment. Pure.

The figures come from the same formulas as now (`budgets/budget.py`), the decisions from the same rules
(`freezes/service_decision.py`), and what the bot would have remembered is carried along. A moment is passed
over only where no figure has crossed anything since the last decision and that one changed nothing: whatever
the rules look at is in a `_Signature`.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.backtests.past_counts import PastCounts
from bot.budgets.budget import Budget, EventCounts, assess, burn_rate, remaining
from bot.budgets.evidence import LEDGER_FROM, is_surely_spent
from bot.budgets.exact import NOTHING, WHOLE
from bot.budgets.ledger.buckets import without_skew
from bot.budgets.ledger.rollups import MINUTE, floor, instant, seconds
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import DecideBy
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.freezes.decision import FreezeState
from bot.freezes.hold import Hold
from bot.freezes.service_decision import decide_on_service, hold_after
from bot.freezes.transition import BudgetTransition

_SECOND = timedelta(seconds=1)
_TOO_NEAR = 1e-9
"""Binary fractions that are nearer to a level than this give way to exact arithmetic."""

_SURELY_MANY = LEDGER_FROM + 1

_Signature = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class PastTransition:
    """What would have happened, and when."""

    at: datetime
    transition: BudgetTransition


@dataclass(frozen=True, slots=True)
class SloPast:
    """What is known of an SLO's past; it is judged from `since` on, when its whole window is known."""

    counts: PastCounts
    since: datetime
    is_adjusted: bool = False
    """Whether adjustments of the record changed it."""
    counted_from: datetime | None = None
    """Since when everything is counted, None where nothing says so: burn rates over longer are not known."""


def replay(
    service: Service, pasts: Mapping[str, SloPast], span: Span, every: timedelta
) -> list[PastTransition]:
    """Return what would have happened within a span, oldest first.

    `pasts` are those of the service's SLOs by name; an SLO without one is not judged. The bot begins without
    a hold and with nothing announced, and decides at multiples of `every`, of a minute at least.
    """
    run = _Run(
        service, [_JudgedSlo(service, slo, pasts[slo.name]) for slo in service.slos if slo.name in pasts]
    )
    every_s = max(MINUTE, int(every / _SECOND))
    for at_s in _moments(pasts.values(), span, every_s):
        run.advance(at_s, every_s)
    return run.transitions


def _moments(pasts: Collection[SloPast], span: Span, every_s: int) -> list[int]:
    """Return the multiples of the interval at which what is known changes."""
    start, end = seconds(span.start), seconds(span.end)
    edges = {edge for times in {past.counts.times for past in pasts} for edge in times.edges}
    first = floor(start, every_s)
    first += every_s if first < start else 0
    moments = {floor(edge, every_s) for edge in edges if start <= edge <= end}
    return sorted({first, *(at for at in moments if at >= first)}) if first <= end else []


class _Run:
    """A service on its way through the past."""

    def __init__(self, service: Service, slos: Sequence["_JudgedSlo"]) -> None:
        self.transitions: list[PastTransition] = []
        self._service = service
        self._slos = slos
        self._shortest_dwell = min(
            (service.policy_for(slo.slo).dwell for slo in slos), default=service.error_budget_policy.dwell
        )
        self._hold: Hold | None = None
        self._state = FreezeState()
        self._reached: int | None = None
        self._settled: _Signature | None = None
        self._latest: tuple[int, _Signature] = (-1, ())

    def advance(self, at_s: int, every_s: int) -> None:
        """Decide wherever anything changes up to a moment; all are multiples of the interval."""
        reached = at_s - every_s if self._reached is None else self._reached
        while reached < at_s and self._changes_by(at_s):
            reached = self._first_change(reached + every_s, at_s, every_s)
            self._decide(reached)
        self._reached = at_s

    def _first_change(self, first: int, last: int, every_s: int) -> int:
        """Return the first moment at which a decision could be another one; at `last` it could be.

        Within a part of what is known each figure rises or falls, so that it crosses a level once.
        """
        low, high = 0, (last - first) // every_s
        while low < high:
            middle = (low + high) // 2
            if self._changes_by(first + middle * every_s):
                high = middle
            else:
                low = middle + 1
        return first + low * every_s

    def _changes_by(self, at_s: int) -> bool:
        """Return whether a decision at the moment could be another one than the last."""
        if self._settled is None or self._signature(at_s) != self._settled:
            return True
        since = self._state.recovered_since
        return self._hold is not None and since is not None and instant(at_s) - since >= self._shortest_dwell

    def _decide(self, at_s: int) -> None:
        now = instant(at_s)
        budgets = [slo.budget(now) for slo in self._slos if slo.since_s <= at_s]
        holds = [self._hold] if self._hold is not None else []
        decision = decide_on_service(self._service, budgets, holds, self._state, now) if budgets else None
        if decision is None:
            self._settled = self._signature(at_s)
            return
        for transition in decision.transitions:
            self.transitions.append(PastTransition(now, transition))
            self._hold = hold_after(self._hold, transition, self._service.name, now)
        is_quiet = not decision.transitions and decision.state == self._state
        self._settled = self._signature(at_s) if is_quiet else None
        self._state = decision.state

    def _signature(self, at_s: int) -> _Signature:
        if self._latest[0] != at_s:
            self._latest = at_s, tuple([slo.signature(at_s) for slo in self._slos])
        return self._latest[1]


class _JudgedSlo:
    """An SLO with the policy that judges it, at any moment of its past."""

    def __init__(self, service: Service, slo: Slo, past: SloPast) -> None:
        policy = service.policy_for(slo)
        self.slo, self.since_s = slo, seconds(past.since)
        self._policy, self._counts = policy, past.counts
        self._is_downtime = isinstance(slo.sli, DowntimeSli)
        self._allowed = float(WHOLE - slo.objective)
        self._levels = sorted({*policy.warn_at, policy.freeze_at, policy.unfreeze_at})
        self._rough_levels = [float(level) for level in self._levels]
        self._rolling_s = slo.window.length / _SECOND if isinstance(slo.window, RollingWindow) else None
        self._counted_from_s = -math.inf if past.counted_from is None else seconds(past.counted_from)
        self._lengths = {length for alert in policy.burn_alerts for length in (alert.long, alert.short)}
        self._alerts = [
            (alert.burn, alert.long / _SECOND, alert.short / _SECOND) for alert in policy.burn_alerts
        ]

    def budget(self, now: datetime) -> Budget:
        """Return the budget as it was assessed then."""
        window = self._events(self.slo.window.span(now), self.slo.window.full_length(now))
        recent = {
            length: self._events(Span(now - length, now), length)
            for length in self._lengths
            if seconds(now - length) >= self._counted_from_s
        }
        return assess(
            self.slo,
            events=window,
            recent=recent,
            as_of=now,
            alerts=self._policy.burn_alerts,
            policy=self._policy,
        )

    def _events(self, span: Span, length: timedelta) -> EventCounts:
        counted = self._counts.events(span)
        # Of downtime the length is the total, but for what adjustments add or drop.
        return EventCounts(counted.bad, length / _SECOND + counted.total) if self._is_downtime else counted

    def signature(self, at_s: int) -> _Signature:
        """Return on which side of everything that the rules look at the figures are."""
        if at_s < self.since_s:
            return ()
        start = at_s - self._rolling_s if self._rolling_s is not None else self._period_start(at_s)
        bad, total = self._sums(start, at_s, window_at=at_s)
        if total <= 0:
            return (None, *self._burns(at_s))
        left = 1 - bad / (total * self._allowed)
        below = bisect_left(self._rough_levels, left)
        sides = below, below
        if any(abs(left - level) < _TOO_NEAR for level in self._rough_levels[max(0, below - 1) : below + 1]):
            sides = self._exact_sides(bad, total)
        crossed = self._levels[sides[0] :]
        proven = () if self._adds_up(total) else [self._is_proven(bad, total, level) for level in crossed]
        return (*sides, *proven, *self._burns(at_s))

    def _exact_sides(self, bad: float, total: float) -> tuple[int, int]:
        """Return how many levels are below what is left, and how many are not above it."""
        left = remaining(without_skew(EventCounts(bad, total)), self.slo.objective) or NOTHING
        return bisect_left(self._levels, left), bisect_right(self._levels, left)

    def _adds_up(self, total: float) -> bool:
        """Return whether arithmetic surely decides for so many events, as it does for most SLOs."""
        if self._policy.decide_by is DecideBy.AUTO:
            return total * self._allowed > _SURELY_MANY
        return self._policy.decide_by is DecideBy.LEDGER

    def _is_proven(self, bad: float, total: float, level: Decimal = NOTHING) -> bool:
        return self._adds_up(total) or is_surely_spent(self._policy, self.slo, bad, total, level)

    def _burns(self, at_s: int) -> list[object]:
        """Return of each alert whether the long window burns, and whether the short one does, surely."""
        sides: list[object] = []
        for burn, long_s, short_s in self._alerts:
            if at_s - long_s < self._counted_from_s:
                sides.append(None)
                continue
            bad, total = self._sums(at_s - long_s, at_s)
            short_bad, short_total = self._sums(at_s - short_s, at_s)
            if total <= 0 or short_total <= 0:
                sides.append(None)
                continue
            if not self._reaches(burn, bad, total):
                sides.append(False)
                continue
            sides.append((self._reaches(burn, short_bad, short_total), self._is_proven(bad, total)))
        return sides

    def _reaches(self, burn: Decimal, bad: float, total: float) -> bool:
        rate, level = bad / (total * self._allowed), float(burn)
        if abs(rate - level) > _TOO_NEAR * level:
            return rate > level
        return (burn_rate(without_skew(EventCounts(bad, total)), self.slo.objective) or NOTHING) >= burn

    def _period_start(self, at_s: int) -> float:
        return seconds(self.slo.window.span(instant(at_s)).start)

    def _sums(self, start_s: float, end_s: float, *, window_at: int | None = None) -> tuple[float, float]:
        bad, total = self._counts.sums(start_s, end_s)
        if not self._is_downtime:
            return bad, total
        if window_at is None:
            return bad, end_s - start_s + total
        return bad, self.slo.window.full_length(instant(window_at)) / _SECOND + total
