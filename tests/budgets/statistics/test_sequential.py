"""The sequential test: its e-value against scipy, a published plan, and what it promises at any time."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bot.budgets.statistics.sequential import alternatives, e_value, log_e_value, null_rate


@pytest.mark.parametrize(("bad", "total"), [(0, 1), (1, 1), (3, 150), (0, 5_000), (40, 900), (100, 100)])
def test_the_e_value_is_a_mean_of_likelihood_ratios(bad: int, total: int) -> None:
    null, rates = 0.001, (0.0144, 0.02, 0.2)
    ratios = [math.exp(binom.logpmf(bad, total, rate) - binom.logpmf(bad, total, null)) for rate in rates]
    assert e_value(bad, total, null, rates) == pytest.approx(math.fsum(ratios) / 3, rel=1e-9)


def test_the_e_value_is_the_formula_of_the_documentation() -> None:
    null, multiples, bad, total = 0.001, (15, 20, 40), 3, 150
    expected = sum(
        multiple**bad * ((1 - multiple * null) / (1 - null)) ** (total - bad) for multiple in multiples
    )
    rates = [multiple * null for multiple in multiples]
    assert e_value(bad, total, null, rates) == pytest.approx(expected / 3, rel=1e-9)


def test_a_published_sequential_plan() -> None:
    """Rejects where the plan of the NIST/SEMATECH e-Handbook, section 6.2.6, does.

    p1 = 0.01, p2 = 0.10, alpha = 0.05 and beta = 0.10 give the rejection line x = 1.205 + 0.0397 n.
    https://www.itl.nist.gov/div898/handbook/pmc/section2/pmc26.htm
    """
    reject_at = math.log((1 - 0.10) / 0.05)
    for total in (10, 24, 26, 50, 75, 100):
        on_the_line = 1.205 + 0.0397 * total
        evidence = log_e_value(on_the_line, total, 0.01, [0.10])
        assert evidence == pytest.approx(reject_at, abs=0.02)
        assert log_e_value(math.ceil(on_the_line), total, 0.01, [0.10]) >= reject_at
        assert log_e_value(math.floor(on_the_line), total, 0.01, [0.10]) < reject_at


@pytest.mark.parametrize("null", [1e-6, 0.001, 0.02, 0.5, 0.9])
@pytest.mark.parametrize("least", [1e-5, 0.0144, 0.9, 1.44])
def test_one_more_event_is_expected_to_add_nothing_while_the_rate_is_the_null(
    null: float, least: float
) -> None:
    rates = alternatives(null, least)
    assert all(null < rate < 1 for rate in rates)
    for rate in (null, null / 2, 0.0):
        expected = rate * e_value(1, 1, null, rates) + (1 - rate) * e_value(0, 1, null, rates)
        assert expected <= 1 + 1e-12


@given(st.integers(0, 10**9), st.floats(0, 1), st.floats(1e-6, 0.5), st.floats(1e-6, 2))
def test_any_counts_have_an_e_value(total: int, share: float, null: float, least: float) -> None:
    rates = alternatives(null, least)
    assert e_value(total * share, total, null, rates) >= 0
    assert math.isfinite(log_e_value(total * share, total, null, rates))


def test_looking_after_every_event_raises_few_false_alarms() -> None:
    draw, null = random.Random(3), 0.02  # noqa: S311
    rates = alternatives(null, 0.04)
    alarms = 0
    for _ in range(400):
        bad = 0
        for total in range(1, 601):
            bad += draw.random() < null
            if log_e_value(bad, total, null, rates) >= math.log(20):
                alarms += 1
                break
    assert alarms <= 400 / 20


def test_ten_times_as_much_is_found_soon() -> None:
    rates = alternatives(0.001, 0.0144)
    assert e_value(3, 150, 0.001, rates) >= 100
    assert e_value(2, 150, 0.001, rates) < 100


@pytest.mark.parametrize(
    ("bad", "total", "expected"),
    [(0, 0, 0.001), (0, 1_800, 0.001), (2, 1_800, 0.00202), (20, 1_000, 0.0240), (10**9, 10**9, 1 - 1e-9)],
)
def test_a_change_answers_only_for_what_was_not_there_before(bad: int, total: int, expected: float) -> None:
    assert null_rate(0.001, bad, total) == pytest.approx(expected, rel=0.01)
    assert all(rate < 1 for rate in alternatives(null_rate(0.001, bad, total), 0.0144))
