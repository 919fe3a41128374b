"""A budget as it stood at past moments: at which moments, and what was left of it then. Pure.

Each moment has its own window, which ended then. So a point stays where it is as time goes on, unlike the
course of spending inside the present window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.budgets.budget import Budget, EventCounts, remaining
from bot.catalog.slo import Slo
from bot.catalog.window import CalendarWindow, RollingWindow, Window

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_STEPS = (
    *(_MINUTE * minutes for minutes in (5, 10, 30)),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 3, 7, 14, 28, 56, 112)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """How much of a budget (a fraction, negative when overspent) was left at a time."""

    at: datetime
    remaining: float


@dataclass(frozen=True, slots=True)
class RollingHistory:
    """What was left at past moments, oldest first; the last is the present.

    Points before `whole_from` rest on less than their whole window, because counting began within it; None
    where none does.
    """

    points: tuple[BudgetPoint, ...] = ()
    step: timedelta = _DAY
    whole_from: datetime | None = None


NO_HISTORY = RollingHistory()


def past_step(window: Window, now: datetime, most: int) -> timedelta:
    """Return the smallest usual step with which at most `most` moments go back by one window's length."""
    length = window.full_length(now)
    return next((step for step in _STEPS if length <= step * most), _STEPS[-1])


def past_moments(window: Window, now: datetime, most: int) -> list[datetime]:
    """Return at most `most` moments within a window's length before `now`, oldest first, and `now`.

    They are multiples of the step since 1970, so the same ones are drawn the next time.
    """
    step = past_step(window, now, most)
    first = now - window.full_length(now)
    at = _EPOCH - (_EPOCH - first) // step * step
    moments = []
    while at < now:
        moments.append(at)
        at += step
    return [*moments[-most:], now]


def rolling_history(
    budget: Budget,
    counted: Sequence[tuple[datetime, EventCounts]],
    *,
    step: timedelta,
    counted_from: datetime | None,
) -> RollingHistory:
    """Return what was left at each moment, given the events of the window that ended then.

    The last point is what is left of `budget` itself. A moment without events had no budget and is left out;
    a calendar period that just began has its whole one. `counted_from` is since when events are known, None
    where that is always.
    """
    if budget.as_of is None or budget.events is None:
        return NO_HISTORY
    found = [(at, _left(budget.slo, at, events)) for at, events in counted]
    found.append((budget.as_of, _left(budget.slo, budget.as_of, budget.events)))
    points = tuple(BudgetPoint(at, left) for at, left in found if left is not None)
    whole_from = None
    if counted_from is not None and points:
        window = budget.slo.window
        partial = [point.at for point in points if window.span(point.at).start < counted_from]
        whole_from = _whole_from(window, counted_from) if partial else None
    return RollingHistory(points, step, whole_from)


def _left(slo: Slo, at: datetime, events: EventCounts) -> float | None:
    left = remaining(events, slo.objective)
    if left is None and isinstance(slo.window, CalendarWindow) and slo.window.period(at).start == at:
        return 1.0
    return None if left is None else float(left)


def _whole_from(window: Window, counted_from: datetime) -> datetime:
    if isinstance(window, RollingWindow):
        return counted_from + window.length
    return window.period(counted_from).end
