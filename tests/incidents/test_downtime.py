"""How much downtime impacts amount to: overlaps, edges, shares, to the second."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import Span
from bot.incidents.downtime import Impact, bad_seconds, restated
from tests.support.clock import HOUR, MINUTE, NOW

SECOND = timedelta(seconds=1)
LAST_HOUR = Span(NOW - HOUR, NOW)


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def impact(start: float, end: float | None, share: float = 1.0) -> Impact:
    """An impact from so many minutes ago until so many minutes ago."""
    return Impact(ago(start), None if end is None else ago(end), share)


@pytest.mark.parametrize(
    ("impacts", "seconds"),
    [
        ([], 0),
        ([impact(30, 15)], 900),
        ([impact(30, 15, 0.3)], 270),
        ([impact(70, 50)], 600),
        ([impact(5, -5)], 300),
        ([impact(120, -60)], 3600),
        ([impact(120, 60)], 0),
        ([impact(10, None)], 600),
        ([impact(40, 20), impact(30, 10)], 1800),
        ([impact(40, 10), impact(30, 20, 0.5)], 1800),
        ([impact(40, 20, 0.25), impact(30, 10, 0.5)], 0.25 * 600 + 0.5 * 1200),
        ([impact(40, 30), impact(30, 20)], 1200),
        ([impact(40, 30), impact(40, 30)], 600),
        ([impact(20, 20)], 0),
        ([impact(30, 15, 0.0)], 0),
    ],
)
def test_the_highest_share_counts_at_each_instant(impacts: list[Impact], seconds: float) -> None:
    assert bad_seconds(impacts, LAST_HOUR) == pytest.approx(seconds, abs=1e-9)


def test_seconds_are_exact() -> None:
    start = NOW - 12 * MINUTE - 7 * SECOND
    assert bad_seconds([Impact(start, start + 61 * SECOND)], LAST_HOUR) == 61


_MOMENTS = st.integers(0, 120).map(lambda seconds: NOW - seconds * SECOND)
_IMPACTS = st.lists(
    st.builds(
        lambda one, other, share: Impact(min(one, other), max(one, other), share),
        _MOMENTS,
        _MOMENTS,
        st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    ),
    max_size=6,
)


@given(_IMPACTS, st.tuples(_MOMENTS, _MOMENTS))
def test_the_sum_is_that_of_every_second_looked_at_alone(
    impacts: list[Impact], edges: tuple[datetime, datetime]
) -> None:
    span = Span(min(edges), max(edges))
    seconds = int(span.length / SECOND)
    moments = [span.start + number * SECOND for number in range(seconds)]
    worst = [
        max((one.share for one in impacts if one.start <= at < (one.end or NOW)), default=0.0)
        for at in moments
    ]
    assert bad_seconds(impacts, span) == pytest.approx(sum(worst), abs=1e-6)


def of(service: str | None, start: float, end: float | None, share: float = 1.0) -> Impact:
    return replace(impact(start, end, share), service=service)


@pytest.mark.parametrize(
    ("known", "new", "after"),
    [
        ([impact(40, 10)], impact(40, 10, 0.1), [impact(40, 10, 0.1)]),
        ([impact(30, 20)], impact(40, 10, 0.1), [impact(40, 10, 0.1)]),
        ([impact(40, 10)], impact(30, 20, 0.1), [impact(40, 30), impact(30, 20, 0.1), impact(20, 10)]),
        ([impact(40, 20)], impact(30, 10, 0.1), [impact(40, 30), impact(30, 10, 0.1)]),
        ([impact(30, 10)], impact(40, 20, 0.1), [impact(40, 20, 0.1), impact(20, 10)]),
        ([impact(40, 30)], impact(30, 20, 0.1), [impact(40, 30), impact(30, 20, 0.1)]),
        ([impact(40, None)], impact(30, 20, 0.1), [impact(40, 30), impact(30, 20, 0.1), impact(20, None)]),
        ([impact(40, 10)], impact(30, None, 0.1), [impact(40, 30), impact(30, None, 0.1)]),
        ([impact(40, None)], impact(40, None, 0.1), [impact(40, None, 0.1)]),
        ([impact(40, 20), impact(15, 10)], impact(40, 20, 0.0), [impact(15, 10)]),
        ([impact(40, 20)], impact(50, 10, 0.0), [impact(50, 10, 0.0)]),
        ([of("a", 40, 10)], of("b", 40, 10, 0.1), [of("a", 40, 10), of("b", 40, 10, 0.1)]),
        ([of("a", 40, 10), of("b", 30, 20)], impact(40, 10, 0.1), [impact(40, 10, 0.1)]),
        ([impact(40, 10)], of("a", 40, 20, 0.1), [of("b", 40, 20), of("a", 40, 20, 0.1), impact(20, 10)]),
    ],
)
def test_what_is_stated_later_counts_for_what_it_speaks_of(
    known: list[Impact], new: Impact, after: list[Impact]
) -> None:
    assert list(restated(known, new, ("a", "b"))) == after


@given(_IMPACTS, _IMPACTS, _MOMENTS)
def test_at_each_instant_the_last_statement_counts(
    known: list[Impact], more: list[Impact], at: datetime
) -> None:
    impacts: tuple[Impact, ...] = ()
    for new in (*known, *more):
        impacts = restated(impacts, new, ())
    covering = [one.share for one in (*known, *more) if one.start <= at < (one.end or NOW)]
    assert bad_seconds(impacts, Span(at, at + SECOND)) == pytest.approx(covering[-1] if covering else 0.0)
