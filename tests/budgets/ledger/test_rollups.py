"""The rollups cover every span exactly once."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.ledger.rollups import (
    DAY,
    HOUR,
    MINUTE,
    Rollup,
    Segment,
    base_width,
    cover,
    floor,
    instant,
    kept_from,
    rollups_at,
    seconds,
)
from bot.budgets.ledger.state import LedgerState
from bot.catalog.window import Span
from tests.support.clock import NOW


@pytest.mark.parametrize(
    ("every", "base"),
    [(0.5, 1), (1, 1), (7, 6), (10, 10), (14, 12), (15, 15), (45, 30), (59, 30), (60, 60), (3_600, 60)],
)
def test_the_base_is_the_widest_part_of_a_minute_within_the_interval(every: float, base: int) -> None:
    assert base_width(timedelta(seconds=every)) == base


def test_the_rollups_at_a_time() -> None:
    at = NOW + timedelta(minutes=7, seconds=8)
    now = int(seconds(NOW))
    assert rollups_at(LedgerState(base=10), at) == (
        Rollup(10, now - 2 * HOUR + 7 * MINUTE),
        Rollup(60, now - 12 * HOUR + 5 * MINUTE),
        Rollup(300, now - 4 * DAY),
        Rollup(3_600, 0),
        Rollup(86_400, 0),
    )
    assert rollups_at(LedgerState(base=60), at)[0].width == 60
    assert rollups_at(LedgerState(base=10, base_from=NOW), at)[0].since == now


def test_a_span_takes_the_widest_buckets_that_fit() -> None:
    start = floor(seconds(NOW), DAY) - DAY - 2 * HOUR
    end = start + 2 * HOUR + DAY + 3 * HOUR + 10 * MINUTE
    span = Span(instant(start), instant(end))
    assert cover(span, rollups_at(LedgerState(base=60), span.end)) == [
        Segment(HOUR, start, start + 2 * HOUR),
        Segment(DAY, start + 2 * HOUR, start + 2 * HOUR + DAY),
        Segment(HOUR, start + 2 * HOUR + DAY, end - 10 * MINUTE),
        Segment(300, end - 10 * MINUTE, end),
    ]


def test_an_old_edge_is_a_share_of_its_hour() -> None:
    start = int(seconds(NOW)) - 30 * DAY
    span = Span(instant(start + 45 * MINUTE), instant(start + HOUR))
    assert cover(span, rollups_at(LedgerState(base=60), NOW)) == [Segment(HOUR, start, start + HOUR, 0.25)]
    refined = cover(span, rollups_at(LedgerState(base=60), NOW), instant(start))
    assert refined == [Segment(MINUTE, start + 45 * MINUTE, start + HOUR)]


def test_an_empty_span_has_no_segments() -> None:
    assert cover(Span(NOW, NOW), rollups_at(LedgerState(base=60), NOW)) == []
    assert cover(Span(NOW, NOW - timedelta(hours=1)), rollups_at(LedgerState(base=60), NOW)) == []


@given(
    back=st.floats(0, 100 * DAY),
    length=st.floats(0, 100 * DAY),
    base=st.sampled_from([1, 10, 30, 60]),
    shift=st.integers(0, DAY),
)
def test_segments_add_up_to_the_span_and_never_overlap(
    back: float, length: float, base: int, shift: int
) -> None:
    now = NOW + timedelta(seconds=shift)
    end = now - timedelta(seconds=back)
    span = Span(end - timedelta(seconds=length), end)
    rollups = rollups_at(LedgerState(base=base), now)
    segments = cover(span, rollups)
    covered = sum((part.end - part.start) * part.share for part in segments)
    assert covered == pytest.approx(span.length.total_seconds(), abs=0.01)
    since = {rollup.width: rollup.since for rollup in rollups}
    for part in segments:
        assert part.start % part.width == part.end % part.width == 0
        assert part.start >= since[part.width]
        assert 0 < part.share <= 1
    assert len(segments) <= 11
    whole = [part for part in segments if part.share == 1]
    assert all(a.end <= b.start for a, b in itertools.pairwise(whole))


@given(shift=st.integers(0, DAY), base=st.sampled_from([1, 15, 60]))
def test_nothing_that_a_sum_may_use_is_dropped(shift: int, base: int) -> None:
    now: datetime = NOW + timedelta(seconds=shift)
    narrower_than_hours = rollups_at(LedgerState(base=base), now)[:-2]
    assert narrower_than_hours
    for rollup in narrower_than_hours:
        assert kept_from(rollup.width, now, timedelta(days=30)) <= rollup.since
