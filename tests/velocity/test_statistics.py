"""The quantiles and the interval, against published and independent values."""

import statistics
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bot.velocity.statistics import DurationQuantiles, duration_quantiles, proportion


def test_interval_of_one_in_four_is_wide() -> None:
    share = proportion(1, 4)
    assert share.value == 0.25
    assert share.low == pytest.approx(0.0456, abs=1e-4)
    assert share.high == pytest.approx(0.6994, abs=1e-4)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_wilsons(counted: tuple[int, int]) -> None:
    count, n = counted
    expected = binomtest(count, n).proportion_ci(method="wilson")
    found = proportion(count, n)
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)
    assert found.low <= count / n <= found.high  # type: ignore[operator]


def test_a_share_of_nothing_is_not_known() -> None:
    found = proportion(0, 0)
    assert (found.value, found.low, found.high) == (None, None, None)


def test_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2 is not a share"):
        proportion(3, 2)


def test_quantiles_of_nothing_are_not_known() -> None:
    assert duration_quantiles([]) == DurationQuantiles(0, None, None)


def test_quantiles_lie_between_the_two_nearest_values() -> None:
    hours = [timedelta(hours=each) for each in (4, 1, 3, 2)]
    assert duration_quantiles(hours) == DurationQuantiles(
        4, timedelta(hours=2, minutes=30), timedelta(hours=3, minutes=42)
    )


@given(st.lists(st.integers(0, 10**7), min_size=2, max_size=60))
def test_quantiles_are_those_of_the_standard_library(seconds: list[int]) -> None:
    cuts = statistics.quantiles(seconds, n=10, method="inclusive")
    found = duration_quantiles(timedelta(seconds=each) for each in seconds)
    assert found.p50 is not None
    assert found.p90 is not None
    assert found.p50.total_seconds() == pytest.approx(cuts[4], abs=1e-5)
    assert found.p90.total_seconds() == pytest.approx(cuts[8], abs=1e-5)
