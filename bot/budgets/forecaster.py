"""Forecasts budgets from the ledger's history: all at intervals, off the way of requests, or some at once."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bot.budgets.budget import Budget, SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import DAY, HOUR, ceil, floor, seconds
from bot.budgets.ledger.state import LedgerState
from bot.budgets.statistics.forecast import (
    LEAST_DAYS,
    MOST_DAYS,
    BudgetForecast,
    BudgetHistory,
    forecast,
)
from bot.budgets.statistics.present_burn import Cell, present_burn
from bot.budgets.statistics.scoring import WorkspaceScore
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.pacing import Pacer

_KEPT_FOR = timedelta(minutes=30)
"""Older forecasts are not told: the pass that makes them has failed since."""

_A_DAY = timedelta(days=1)
_AN_HOUR = timedelta(hours=1)
_BUDGETS_AT_ONCE = 200
"""The days of so many are held in memory at a time."""
_AGAIN_AFTER = timedelta(minutes=5)
_AGAIN_AT = Decimal("0.01")
"""A forecast is made anew after minutes, or once that much of the budget has come or gone since."""


@dataclass(frozen=True, slots=True)
class _Days:
    """An SLO's days: whole ones, oldest first, and today so far; `hours` are those of the whole ones."""

    whole: tuple[Cell, ...]
    today: Cell
    hours: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class _Made:
    """A forecast, None where nothing could be said, and what was left of the budget that it was made of."""

    forecast: BudgetForecast | None
    remaining: Decimal | None
    as_of: datetime | None

    def holds_for(self, budget: Budget) -> bool:
        """Return whether it says as much about this budget as a new one would."""
        if self.as_of is None or budget.as_of is None or self.remaining is None or budget.remaining is None:
            return False
        is_new = abs(budget.as_of - self.as_of) < _AGAIN_AFTER
        return is_new and abs(budget.remaining - self.remaining) < _AGAIN_AT


class Forecaster:
    """Makes forecasts and keeps the newest.

    `scores` are those of the workspaces, by their team (None: the main one), with their calibration factors.
    """

    def __init__(self, ledger: Ledger, current: CurrentCatalog) -> None:
        self._ledger = ledger
        self._current = current
        self._newest: dict[Slo, _Made] = {}
        self.scores: Mapping[str | None, WorkspaceScore] = {}

    def newest(self, slo: Slo, now: datetime) -> BudgetForecast | None:
        """Return the forecast of an SLO that was made last; None where nothing can be said."""
        made = self._newest.get(slo)
        found = None if made is None else made.forecast
        return found if found is not None and now - found.made_at < _KEPT_FOR else None

    async def refresh(self, budgets: Sequence[Budget]) -> None:
        """Forecast those of the budgets that have changed since, and forget all others than these."""
        newest: dict[Slo, _Made] = {}
        due: list[Budget] = []
        pace = Pacer()
        for budget in budgets:
            await pace()
            made = self._newest.get(budget.slo)
            if not _can_be_told(budget):
                continue
            if made is not None and made.holds_for(budget):
                newest[budget.slo] = made
            else:
                due.append(budget)
        for budget, found in zip(due, await self.forecast_all(due), strict=True):
            await pace()
            newest[budget.slo] = _Made(found, budget.remaining, budget.as_of)
        self._newest = newest

    def spread(self, service: str) -> float:
        """Return the calibration factor of a service's workspace."""
        found = self.scores.get(self._current.workspace.of(service).elsewhere)
        return 1.0 if found is None else found.spread

    async def forecast_all(
        self, budgets: Sequence[Budget], *, with_fan: bool = False
    ) -> list[BudgetForecast | None]:
        """Return the forecast of each budget; None where nothing can be said."""
        found: list[BudgetForecast | None] = [None] * len(budgets)
        known = [index for index, budget in enumerate(budgets) if _can_be_told(budget)]
        pace = Pacer()
        for first in range(0, len(known), _BUDGETS_AT_ONCE):
            some = known[first : first + _BUDGETS_AT_ONCE]
            days = await self._days([budgets[index] for index in some])
            for index, own in zip(some, days, strict=True):
                await pace()
                found[index] = self._forecast(budgets[index], own, with_fan=with_fan)
        return found

    def _forecast(self, budget: Budget, days: _Days, *, with_fan: bool) -> BudgetForecast | None:
        if len(days.whole) < LEAST_DAYS or budget.events is None or budget.as_of is None:
            return None
        slo, allowed = budget.slo, float(1 - budget.slo.objective)
        is_rolling = isinstance(slo.window, RollingWindow)
        newest = {length / _AN_HOUR: (each.bad, each.total) for length, each in budget.recent.items()}
        usual = statistics.median(bad for bad, _ in days.whole) / 24
        history = BudgetHistory(
            now=budget.as_of,
            days=days.whole,
            today=days.today,
            window=(budget.events.bad, budget.events.total),
            window_days=max(1, round(slo.window.full_length(budget.as_of) / _A_DAY)) if is_rolling else None,
            allowed=allowed,
            until=None if isinstance(slo.window, RollingWindow) else slo.window.period(budget.as_of).end,
            fixed_total=budget.events.total if isinstance(slo.sli, DowntimeSli) else None,
            present=present_burn(newest, usual=usual, allowed=allowed),
            hours=days.hours,
        )
        target = self._recovered_at(slo)
        return forecast(history, recovered_at=target, spread=self.spread(slo.service), with_fan=with_fan)

    def _recovered_at(self, slo: Slo) -> float:
        service = self._current.catalog.service_or_stand_in(slo.service)
        return float(service.policy_for(slo).unfreeze_at)

    async def _days(self, budgets: Sequence[Budget]) -> list[_Days]:
        counted = [budget.slo for budget in budgets if not isinstance(budget.slo.sli, DowntimeSli)]
        starts = [_oldest(budget, budget.as_of) for budget in budgets if budget.as_of is not None]
        if not budgets:
            return []
        newest = max(budget.as_of for budget in budgets if budget.as_of)
        span = Span(min(starts), newest + _A_DAY)
        cells = await self._ledger.cells_of_many(counted, span, DAY, newest)
        states = dict(zip(counted, await self._ledger.states(counted), strict=True))
        spent = [
            budget.slo
            for budget in budgets
            if budget.slo in cells
            and budget.remaining is not None
            and budget.remaining < self._recovered_at(budget.slo)
        ]
        hours = await self._ledger.cells_of_many(spent, span, HOUR, newest)
        return [
            _counted_days(start, budget, cells[budget.slo], hours.get(budget.slo), states[budget.slo])
            if budget.slo in cells
            else await self._downtime_days(start, budget)
            for start, budget in zip(starts, budgets, strict=True)
        ]

    async def _downtime_days(self, start: datetime, budget: Budget) -> _Days:
        end = budget.as_of or start
        midnight = _midnight(end)
        edges = [start + _A_DAY * day for day in range((midnight - start) // _A_DAY + 1)]
        spans = [Span(edge, min(end, edge + _A_DAY)) for edge in edges]
        cells = [(each.bad, 0.0) for each in await self._ledger.downtime_counts(budget.slo, spans)]
        return _Days(tuple(cells[:-1]), cells[-1])


def _can_be_told(budget: Budget) -> bool:
    length = budget.slo.window.full_length(budget.as_of) if budget.as_of else timedelta()
    return budget.state is SloState.OK and length >= _A_DAY


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _oldest(budget: Budget, as_of: datetime) -> datetime:
    """Return the first of the days that matter for a budget."""
    length = budget.slo.window.full_length(as_of)
    return _midnight(as_of) - _A_DAY * max(MOST_DAYS, round(length / _A_DAY))


def _counted_days(
    start: datetime,
    budget: Budget,
    days: Mapping[int, Cell],
    hours: Mapping[int, Cell] | None,
    state: LedgerState,
) -> _Days:
    """Return the days since the first whole one that was counted."""
    today = floor(seconds(budget.as_of or start), DAY)
    first = int(seconds(start))
    oldest = min((at for at, (_, total) in days.items() if total > 0), default=first)
    if state.filled_from is not None:
        first = max(first, oldest, ceil(seconds(state.filled_from), DAY))
    elif oldest > first:
        # Pushed events: nothing says that their first day was counted from midnight on.
        first = oldest + DAY
    whole = tuple(days.get(at, (0.0, 0.0)) for at in range(first, today, DAY))
    by_hour = tuple((hours or {}).get(at, (0.0, 0.0)) for at in range(first, today, HOUR)) if hours else ()
    return _Days(whole, days.get(today, (0.0, 0.0)), by_hour)
