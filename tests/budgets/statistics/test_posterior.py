"""The posterior of an error rate, against scipy and against what others published."""

import random

import pytest
from scipy.special import betaincc
from scipy.stats import beta

from bot.budgets.statistics.posterior import probability_above, upper_bound

SIZES = (1, 2, 10, 100, 10_000, 10**6, 10**9)
RATES = (0.5, 0.1, 0.01, 0.001, 0.0001, 0.00001)
DEVIATIONS = (-4.0, -1.0, 0.0, 1.0, 1.645, 3.0, 8.0)


@pytest.mark.parametrize("total", SIZES)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("deviations", DEVIATIONS)
def test_the_posterior_is_scipys(total: int, rate: float, deviations: float) -> None:
    expected_bad = total * rate
    bad = min(total, max(0, round(expected_bad + deviations * (expected_bad * (1 - rate)) ** 0.5)))
    reference = float(betaincc(bad + 0.5, total - bad + 0.5, rate))
    assert probability_above(rate, bad, total) == pytest.approx(reference, abs=1e-10, rel=1e-7)


def test_counts_that_are_no_whole_numbers_are_scipys_too() -> None:
    draw = random.Random(7)  # noqa: S311
    for _ in range(2_000):
        total = 10 ** draw.uniform(0, 8)
        rate = 10 ** draw.uniform(-5, -0.05)
        bad = min(total, total * rate * draw.uniform(0, 3))
        reference = float(betaincc(bad + 0.5, total - bad + 0.5, rate))
        assert probability_above(rate, bad, total) == pytest.approx(reference, abs=1e-10)


@pytest.mark.parametrize(
    ("ones", "published"),
    [(1, 0.8183), (2, 0.9244), (3, 0.9669), (4, 0.9850), (5, 0.9931), (10, 0.9998)],
)
def test_prices_problem_with_jeffreys_prior(ones: int, published: float) -> None:
    """Richard Price's appendix to Bayes' essay: how likely p > ½ is after only successes.

    The answers under Jeffreys' prior are from the notebook "Applications from Bayes and Laplace" of
    https://github.com/rnburn/bbai.
    """
    assert probability_above(0.5, ones, ones) == pytest.approx(published, abs=5e-5)


@pytest.mark.parametrize(
    ("bad", "low", "high"),
    [
        (25, 0.08462743, 0.176126),
        (10, 0.02599340, 0.08687509),
        (20, 0.06416642, 0.14729862),
        (50, 0.19387268, 0.31330266),
        (80, 0.33393964, 0.46893129),
    ],
)
def test_published_jeffreys_intervals(bad: int, low: float, high: float) -> None:
    """95 % intervals of `bad` of 200, as the manual of R's package RSurveillance 0.2.1 prints them.

    https://rdrr.io/cran/RSurveillance/man/binom.jeffreys.html
    """
    assert upper_bound(bad, 200, 0.025) == pytest.approx(low, abs=5e-8)
    assert upper_bound(bad, 200, 0.975) == pytest.approx(high, abs=5e-7)


@pytest.mark.parametrize("total", [1, 6, 60, 1_800, 10**6])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("confidence", [0.05, 0.5, 0.8, 0.975])
def test_an_upper_bound_is_scipys_quantile(total: int, share: float, confidence: float) -> None:
    bad = round(total * share)
    reference = float(beta.ppf(confidence, bad + 0.5, total - bad + 0.5))
    assert upper_bound(bad, total, confidence) == pytest.approx(reference, rel=1e-8)


def test_rates_at_the_ends_are_certain() -> None:
    assert probability_above(0.0, 0, 10) == 1.0
    assert probability_above(1.0, 10, 10) == 0.0
