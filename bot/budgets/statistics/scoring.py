"""How good past forecasts were, and how much wider or narrower the next ones should be. Pure.

The Brier score is the mean square of (probability - outcome): 0 is perfect. The skill is by how much it is
better than telling everybody the base rate, the share of forecasts that came true: 1 is perfect, 0 no
better, below 0 worse. Coverage is the share of outcomes within the interval that should hold eight in ten.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

INTERVAL = 0.8
"""The share of outcomes that an interval should hold."""

_LEAST_WIDTH = 1e-9
_DOUBT = 100
"""So many scored forecasts weigh as much as what was assumed before there were any."""

_NARROWEST, _WIDEST = 0.5, 2.5


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """A forecast beside what happened; `spread` is the calibration factor that it was made with."""

    probability: float
    low: float
    middle: float
    high: float
    spread: float
    remaining: float
    exhausted: bool


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """How good `count` forecasts were. `skill` is None where all came out the same way."""

    count: int
    brier: float
    skill: float | None
    coverage: float


@dataclass(frozen=True, slots=True)
class WorkspaceScore:
    """How good a workspace's forecasts of the last 90 days were, and the calibration factor that follows."""

    score: ForecastScore
    spread: float


def score(scored: Sequence[ScoredForecast]) -> ForecastScore | None:
    """Return how good the forecasts were; None without any."""
    if not scored:
        return None
    brier = statistics.fmean((each.probability - each.exhausted) ** 2 for each in scored)
    base = statistics.fmean(each.exhausted for each in scored)
    uncertainty = base * (1 - base)
    return ForecastScore(
        count=len(scored),
        brier=brier,
        skill=1 - brier / uncertainty if uncertainty else None,
        coverage=statistics.fmean(each.low <= each.remaining <= each.high for each in scored),
    )


def calibration(scored: Sequence[ScoredForecast]) -> float:
    """Return the spread with which eight in ten of the outcomes would have been within the interval.

    With few forecasts it stays near 1; it is never below 0.5 or above 2.5.
    """
    needed = sorted(factor for each in scored if (factor := _needed(each)) is not None)
    if not needed:
        return 1.0
    at = needed[min(len(needed) - 1, math.ceil(INTERVAL * len(needed)) - 1)]
    weight = len(needed) / (len(needed) + _DOUBT)
    return min(_WIDEST, max(_NARROWEST, math.pow(max(at, _LEAST_WIDTH), weight)))


def _needed(forecast: ScoredForecast) -> float | None:
    """Return the spread with which the outcome would have been at the interval's bound; None if any does."""
    is_above = forecast.remaining > forecast.middle
    width = forecast.high - forecast.middle if is_above else forecast.middle - forecast.low
    return (
        None if width < _LEAST_WIDTH else forecast.spread * abs(forecast.remaining - forecast.middle) / width
    )
