"""The formulas of error budgets. Pure; no clock, no I/O.

Event-weighted, after the Google SRE Workbook ("Implementing SLOs", "Alerting on SLOs"):

    budget    = total x (1 - objective)
    remaining = 1 - bad / budget              1 = untouched, 0 = spent, negative = overspent
    burn rate = (bad / total) / (1 - objective)   1 = spends exactly the budget in one window

Both are decimals and exact (`exact.py`), so that they compare with a policy's levels as one would on paper.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bot.budgets.evidence import is_surely_spent
from bot.budgets.exact import NOTHING, WHOLE, allowed, exact, rest, share
from bot.budgets.exhaustion import exhaustion
from bot.catalog.error_budget_policy import BurnAlert, ErrorBudgetPolicy
from bot.catalog.slo import Slo
from bot.catalog.window import CalendarWindow

HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
SHOWN_BURN_WINDOWS: tuple[timedelta, ...] = (HOUR, timedelta(hours=6), timedelta(days=3))
"""The windows whose burn rate is always shown: 1 h, 6 h, 3 d."""


class SloState(StrEnum):
    """Whether an SLO's figures are known and current."""

    OK = "ok"
    NO_TRAFFIC = "no_traffic"
    TOO_LITTLE_TRAFFIC = "too_little_traffic"
    NO_DATA = "no_data"
    STALE = "stale"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class EventCounts:
    """How many events were bad, and how many there were in all. Both finite, 0 <= bad <= total."""

    bad: float
    total: float

    @property
    def good(self) -> float:
        """The events that were not bad."""
        return self.total - self.bad

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(self.bad + other.bad, self.total + other.total)


NO_EVENTS = EventCounts(0.0, 0.0)

MOST_EVENTS = 2**53
"""The most events that are counted: up to here every whole number is told from the next one."""


def is_valid(events: EventCounts) -> bool:
    """Return whether the numbers can be true: finite, none negative, no more bad events than all."""
    if not (math.isfinite(events.bad) and math.isfinite(events.total)):
        return False
    slack = 1e-6 * max(1.0, abs(events.total))
    return -slack <= events.bad <= events.total + slack


def remaining(events: EventCounts, objective: Decimal) -> Decimal | None:
    """Return the fraction of the budget that is left (1 = untouched, negative = overspent).

    None without events: there is no budget then.
    """
    burn = burn_rate(events, objective)
    return None if burn is None else rest(burn)


def burn_rate(events: EventCounts, objective: Decimal) -> Decimal | None:
    """Return how many times faster than evenly the budget is being spent; None without events."""
    if events.total <= 0:
        return None
    return share(events.bad, allowed(events.total, objective)) if events.bad else NOTHING


@dataclass(frozen=True, slots=True)
class Budget:
    """An SLO's error budget at one moment. Figures are None where they are not known.

    `remaining` is a fraction, `remaining_minutes` minutes of full outage; `recent` maps a length of time
    up to now to the events in it, `burn` to the burn rate; `as_of` is when counting ended.
    """

    slo: Slo
    state: SloState
    as_of: datetime | None = None
    events: EventCounts | None = None
    recent: Mapping[timedelta, EventCounts] = field(default_factory=dict)
    sli: float | None = None
    remaining: Decimal | None = None
    remaining_minutes: float | None = None
    burn: Mapping[timedelta, Decimal | None] = field(default_factory=dict)
    exhausts_at: datetime | None = None
    """When it runs out at the present rate; while a burn alert burns, at the earliest (`exhaustion.py`)."""
    exhausts_latest: datetime | None = None
    """The same as `exhausts_at`; while a burn alert burns, at the latest, None if it may not run out."""
    burns: bool = False
    """Whether a burn alert burns in both its windows."""
    problem: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the figures are current and mean something: measured, or without traffic."""
        return self.state in {SloState.OK, SloState.NO_TRAFFIC}

    @property
    def remaining_events(self) -> float | None:
        """How many more events may be bad before the budget is spent; negative when overspent."""
        if self.events is None or self.remaining is None:
            return None
        return float(allowed(self.events.total, self.slo.objective) - exact(self.events.bad))

    def spent_in(self, length: timedelta) -> float | None:
        """Return the fraction of the full budget that was spent in the last `length` (a key of `recent`)."""
        counted = self.recent.get(length)
        if counted is None or self.events is None or self.events.total <= 0:
            return None
        return float(share(counted.bad, allowed(self.events.total, self.slo.objective)))

    def worst_burn(self) -> tuple[timedelta, Decimal] | None:
        """Return the window with the highest burn rate, and that rate; None where none is known."""
        known = [(rate, length) for length, rate in self.burn.items() if rate is not None]
        return max(known)[::-1] if known else None


def assess(
    slo: Slo,
    *,
    events: EventCounts | None,
    recent: Mapping[timedelta, EventCounts],
    as_of: datetime | None,
    stale: bool = False,
    problem: str | None = None,
    invalid: bool = False,
    alerts: Sequence[BurnAlert] = (),
    policy: ErrorBudgetPolicy | None = None,
) -> Budget:
    """Turn counted events into a budget.

    `events` are those of the SLO's window, None where nothing was ever counted; `recent` maps the
    burn-rate windows to theirs. `stale` means that the counts are older than they should be, `invalid`
    that the source's last answer could not be true; `problem` is the reason in words. `alerts` are those of
    the SLO's policy, whose windows are among those of `recent`. Where the `policy` that judges it wants
    evidence, a budget that only seems to be spent has too little traffic.
    """
    if invalid or (events is not None and not all(map(is_valid, (events, *recent.values())))):
        problem_text = problem or "the source counted more bad events than events, or no number at all"
        return Budget(slo, SloState.INVALID, as_of=as_of, problem=problem_text)
    if events is None or as_of is None:
        return Budget(slo, SloState.NO_DATA, problem=problem)
    left = remaining(events, slo.objective)
    if left is None:
        state = SloState.STALE if stale else SloState.NO_TRAFFIC
        return Budget(slo, state, as_of=as_of, events=events, problem=problem)
    if not stale and policy is not None and _may_be_chance(policy, slo, events, left):
        return _too_little_traffic(slo, as_of, events, problem)
    burn = {length: burn_rate(counted, slo.objective) for length, counted in recent.items()}
    end = exhaustion(
        slo,
        left,
        as_of,
        burn=burn,
        bad={length: counted.bad for length, counted in recent.items()},
        spare=float(allowed(events.total, slo.objective) - exact(events.bad)),
        alerts=alerts,
    )
    return Budget(
        slo,
        SloState.STALE if stale else SloState.OK,
        as_of=as_of,
        events=events,
        recent=recent,
        sli=events.good / events.total,
        remaining=left,
        remaining_minutes=float(left) * allowed_minutes(slo, as_of),
        burn=burn,
        exhausts_at=end.earliest,
        exhausts_latest=end.latest,
        burns=end.burns,
        problem=problem,
    )


def _may_be_chance(policy: ErrorBudgetPolicy, slo: Slo, events: EventCounts, left: Decimal) -> bool:
    """Return whether the budget seems to be spent to where it freezes, and so few events do not prove it."""
    level = policy.freeze_at
    return left <= level and not is_surely_spent(policy, slo, events.bad, events.total, level)


def _too_little_traffic(slo: Slo, as_of: datetime, events: EventCounts, problem: str | None) -> Budget:
    state, sli = SloState.TOO_LITTLE_TRAFFIC, events.good / events.total
    return Budget(slo, state, as_of=as_of, events=events, sli=sli, problem=problem)


def allowed_minutes(slo: Slo, now: datetime) -> float:
    """Return the full budget in minutes of full outage: 43.2 for 99.9% over 30 days."""
    return slo.window.full_length(now) / _MINUTE * float(WHOLE - slo.objective)


def recovers_at(
    slo: Slo,
    aging: Sequence[tuple[datetime, EventCounts]],
    *,
    hourly: EventCounts,
    target: Decimal,
    now: datetime,
) -> datetime | None:
    """Return when the fraction `target` of the budget will be left again; None if not within a window.

    `aging` are the events of the window in parts, oldest first, each with its end: they leave a rolling
    window a window's length later. Meanwhile traffic and errors continue as in the last hour, `hourly`.
    A calendar window starts again at its end.
    """
    length = slo.window.full_length(now)
    if isinstance(slo.window, CalendarWindow):
        return slo.window.period(now).end
    counted = sum((events for _, events in aging), NO_EVENTS)
    for end, events in aging:
        counted = EventCounts(counted.bad - events.bad, counted.total - events.total)
        hours = (end + length - now) / HOUR
        expected = counted + EventCounts(max(0.0, hourly.bad * hours), max(0.0, hourly.total * hours))
        left = remaining(expected, slo.objective)
        if hours > 0 and left is not None and left >= target:
            return end + length
    return None


def worst(budgets: Sequence[Budget]) -> Budget | None:
    """Return the budget with the least remaining; None if no figure is known."""
    known = [
        (budget.remaining, index) for index, budget in enumerate(budgets) if budget.remaining is not None
    ]
    return budgets[min(known)[1]] if known else None


@dataclass(frozen=True, slots=True)
class MeasuredBudgets:
    """The budgets of a service, and when they were computed."""

    budgets: Sequence[Budget]
    at: datetime

    def is_of(self, slos: Sequence[Slo]) -> bool:
        """Return whether they are the budgets of just these SLOs."""
        return [budget.slo for budget in self.budgets] == list(slos)
