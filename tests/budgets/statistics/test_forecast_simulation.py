"""Forecasts of services whose future is known: 200 that they were tuned on, and 50 that nobody looked at.

Each is forecast on three days. What was told is compared with what then happened, with telling everybody
the base rate, and with drawing the last hour's burn rate on as a straight line.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from bot.budgets.statistics.forecast import HORIZONS, BudgetForecast, BudgetHistory, forecast
from bot.budgets.statistics.present_burn import present_burn
from bot.budgets.statistics.scoring import ScoredForecast, calibration, score
from tests.support.synthetic_services import HOURS_A_DAY, SyntheticService, synthetic_service

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORIGINS = (60, 67, 75)
DAYS = ORIGINS[-1] + 30
KINDS = [("tuned", 200), ("unseen", 50)]


@dataclass(frozen=True)
class Told:
    """A forecast and what happened; `line` are the straight line's horizons within which it is exhausted."""

    found: BudgetForecast
    left: Sequence[float]
    hour: int
    line: float

    def scored(self, horizon: timedelta) -> ScoredForecast:
        # The interval is told for midnights; its first one ends the day of the forecast.
        days = horizon.days
        point = self.found.fan[days]
        at = (self.hour // HOURS_A_DAY + 1 + days) * HOURS_A_DAY
        ahead = self.left[self.hour : self.hour + days * HOURS_A_DAY + 1]
        return ScoredForecast(
            self.found.probability[horizon], point.low, point.middle, point.high, 1.0,
            remaining=self.left[at], exhausted=min(ahead) <= 0,
        )  # fmt: skip


@cache
def told(kind: str, number: int) -> list[Told]:
    return [each for index in range(number) for each in _of_service(f"{kind} {index}", index)]


def _of_service(seed: str, index: int) -> list[Told]:
    service = synthetic_service(seed, DAYS)
    left = service.remaining()
    hours = [origin * HOURS_A_DAY + index * 7 % HOURS_A_DAY for origin in ORIGINS]
    return [
        Told(found, left, hour, _line(service, left, hour))
        for hour in hours
        if (found := forecast(_history(service, hour), recovered_at=0.1, with_fan=True)) is not None
    ]


def _history(service: SyntheticService, hour: int) -> BudgetHistory:
    """What the bot knows by that hour: eight weeks of days, and the newest hours."""
    day, rest = divmod(hour, HOURS_A_DAY)
    days = [service.day(index) for index in range(day - 56, day)]
    hours = slice((day - 56) * HOURS_A_DAY, day * HOURS_A_DAY)
    newest = {
        float(length): (sum(service.bad[hour - length : hour]), sum(service.total[hour - length : hour]))
        for length in (1, 6)
    }
    usual = statistics.median(bad for bad, _ in days) / HOURS_A_DAY
    return BudgetHistory(
        now=MONDAY + HOUR * hour,
        days=days,
        today=service.day(day, rest),
        window=service.window(hour),
        window_days=service.window_days,
        allowed=service.allowed,
        present=present_burn(newest, usual=usual, allowed=service.allowed),
        hours=list(zip(service.bad[hours], service.total[hours], strict=True)),
    )


def _line(service: SyntheticService, left: Sequence[float], hour: int) -> float:
    """Return after how many days the last hour's burn rate spends the rest of the budget."""
    burn = service.bad[hour - 1] / max(1.0, service.total[hour - 1]) / service.allowed
    return left[hour] * service.window_days / burn if burn > 1 else float("inf")


def _open(kind: str, number: int) -> list[Told]:
    """Return the forecasts of budgets that were not spent already."""
    return [each for each in told(kind, number) if each.left[each.hour] > 0]


def _brier(outcomes: Sequence[tuple[float, bool]]) -> float:
    return statistics.fmean((probability - outcome) ** 2 for probability, outcome in outcomes)


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_intervals_hold_eight_of_ten_outcomes(kind: str, number: int) -> None:
    scored = [each.scored(horizon) for each in told(kind, number) for horizon in HORIZONS]
    found = score(scored)
    assert found is not None
    assert found.count > 2.9 * number * len(HORIZONS)
    assert 0.75 <= found.coverage <= 0.85, found


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_probabilities_are_better_than_the_base_rate_and_the_straight_line(kind: str, number: int) -> None:
    outcomes, by_base_rate, by_line = [], [], []
    for horizon in HORIZONS:
        scored = [(each.scored(horizon), each.line <= horizon.days) for each in _open(kind, number)]
        base = statistics.fmean(each.exhausted for each, _ in scored)
        outcomes += [(each.probability, each.exhausted) for each, _ in scored]
        by_base_rate += [(base, each.exhausted) for each, _ in scored]
        by_line += [(float(line), each.exhausted) for each, line in scored]
    assert sum(exhausted for _, exhausted in outcomes) > 0.05 * len(outcomes)
    assert _brier(outcomes) < _brier(by_base_rate) < _brier(by_line)


@pytest.mark.parametrize(("kind", "number"), KINDS)
def test_times_of_recovery_hold_eight_of_ten_outcomes(kind: str, number: int) -> None:
    inside = []
    for each in told(kind, number):
        if (recovers := each.found.recovers) is not None:
            ahead = range(each.hour, min(len(each.left), each.hour + 28 * HOURS_A_DAY + 1))
            reached = next((hour for hour in ahead if each.left[hour] >= 0.1), None)
            when = None if reached is None else MONDAY + HOUR * reached
            late_enough = when is None or when >= recovers.p10
            early_enough = recovers.p90 is None or (when is not None and when - HOUR <= recovers.p90)
            inside.append(late_enough and early_enough)
    assert len(inside) > 10
    assert statistics.fmean(inside) >= 0.75


def test_the_factor_that_follows_from_them_is_near_one() -> None:
    scored = [each.scored(horizon) for each in told("tuned", 200) for horizon in HORIZONS]
    assert 0.8 < calibration(scored) < 1.4
