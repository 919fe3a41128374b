"""Scores of past forecasts, and the factor that follows from them."""

import pytest

from bot.budgets.statistics.scoring import ForecastScore, ScoredForecast, calibration, score


def scored(remaining: float, probability: float = 0.0, spread: float = 1.0) -> ScoredForecast:
    """A forecast of half the budget, between 40% and 60%."""
    return ScoredForecast(probability, 0.4, 0.5, 0.6, spread, remaining, exhausted=remaining <= 0)


def test_perfect_forecasts_score_nothing() -> None:
    assert score([scored(0.5, 0.0), scored(-0.1, 1.0)]) == ForecastScore(2, 0.0, 1.0, 0.5)


def test_the_base_rate_has_no_skill() -> None:
    found = score([scored(0.5, 0.25), scored(0.5, 0.25), scored(0.5, 0.25), scored(-0.1, 0.25)])
    assert found is not None
    assert found.skill == pytest.approx(0)
    assert found.brier == pytest.approx(0.1875)


def test_without_forecasts_there_is_no_score() -> None:
    assert score([]) is None
    assert calibration([]) == 1


def test_outcomes_at_twice_the_width_widen_the_next_forecasts() -> None:
    assert calibration([scored(0.7)] * 10_000) == pytest.approx(2, abs=0.05)
    assert 1 < calibration([scored(0.7)] * 5) < 1.1


def test_it_counts_from_the_spread_that_they_were_made_with() -> None:
    # What was made with a spread of 2 and is at its bounds in eight of ten, stays at 2.
    assert calibration([scored(0.6, spread=2.0)] * 10_000) == pytest.approx(2, abs=0.05)


def test_outcomes_in_the_middle_narrow_them_within_bounds() -> None:
    assert calibration([scored(0.505)] * 10_000) == 0.5
    assert calibration([scored(-5.0)] * 10_000) == 2.5
