"""The comparison of two groups: its e-value against scipy, and what it promises at any time."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom, nchypergeom_fisher

from bot.budgets.statistics.two_samples import RATIOS, GroupCounts, e_value, log_e_value

BUCKETS = (
    GroupCounts(0, 12, 1, 180),
    GroupCounts(3, 9, 0, 211),
    GroupCounts(0, 0, 4, 190),
    GroupCounts(2, 30, 2, 170),
)


def test_the_e_value_is_a_mean_of_products_of_binomial_likelihood_ratios() -> None:
    products = []
    for ratio in RATIOS:
        product = 1.0
        for each in BUCKETS:
            share, failed = each.total / (each.total + each.other_total), each.bad + each.other_bad
            raised = ratio * share / (1 + share * (ratio - 1))
            product *= binom.pmf(each.bad, failed, raised) / binom.pmf(each.bad, failed, share)
        products.append(product)
    assert e_value(BUCKETS) == pytest.approx(math.fsum(products) / len(RATIOS), rel=1e-9)


@pytest.mark.parametrize("failed", [1, 3, 20, 90, 119])
@pytest.mark.parametrize(("on", "off"), [(5, 95), (50, 70), (100, 20)])
def test_a_bucket_of_equal_groups_is_expected_to_add_nothing(failed: int, on: int, off: int) -> None:
    """Given the failures, those of the first group are hypergeometric, at any error rate."""
    possible = range(max(0, failed - off), min(failed, on) + 1)
    for distribution in (
        hypergeom(on + off, on, failed),
        # The first group fails less often.
        nchypergeom_fisher(on + off, on, failed, 0.5),
    ):
        expected = math.fsum(
            e_value([GroupCounts(bad, on, failed - bad, off)]) * distribution.pmf(bad)
            for bad in possible
            if failed - bad <= off
        )
        assert expected <= 1 + 1e-9


def test_wald_s_sequential_test_of_two_proportions() -> None:
    """With halves of the traffic and one ratio, each failure adds log(2u/(1+u)) or log(2/(1+u))."""
    ratio = 3.0
    buckets = [GroupCounts(1, 10, 0, 10)] * 5 + [GroupCounts(0, 10, 1, 10)] * 2
    expected = 5 * math.log(2 * ratio / (1 + ratio)) + 2 * math.log(2 / (1 + ratio))
    assert log_e_value(buckets, [ratio]) == pytest.approx(expected, rel=1e-12)


def test_looking_after_every_bucket_raises_few_false_alarms() -> None:
    draw = random.Random(5)  # noqa: S311
    alarms = 0
    for _ in range(400):
        buckets = []
        for _ in range(60):
            # The traffic and its share change all the time, and a tenth of it fails.
            on, off = draw.randrange(0, 12), draw.randrange(1, 60)
            bad = sum(draw.random() < 0.1 for _ in range(on))
            buckets.append(GroupCounts(bad, on, sum(draw.random() < 0.1 for _ in range(off)), off))
            if log_e_value(buckets) >= math.log(20):
                alarms += 1
                break
    assert alarms <= 400 / 20


def test_without_the_other_group_nothing_is_shown() -> None:
    assert log_e_value([]) == 0
    assert log_e_value([GroupCounts(9, 9, 0, 0), GroupCounts(0, 0, 9, 9)]) == 0


def test_a_group_that_fails_a_hundred_times_as_often_is_found_at_once() -> None:
    assert e_value([GroupCounts(4, 20, 0, 380)]) >= 100
    assert e_value([GroupCounts(4, 20, 20, 380)]) < 100
    assert e_value([GroupCounts(410_000, 12_000_000, 3, 11_900_000)]) == math.inf


counts = st.integers(0, 10**9)


@given(st.lists(st.tuples(counts, st.floats(0, 1), counts, st.floats(0, 1)), max_size=5))
def test_any_counts_have_an_e_value(found: list[tuple[int, float, int, float]]) -> None:
    buckets = [GroupCounts(on * bad, on, off * other, off) for on, bad, off, other in found]
    assert math.isfinite(log_e_value(buckets))
    assert e_value(buckets) >= 0
