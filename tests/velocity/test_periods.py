"""The periods of a picture begin at the same times whatever is asked for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import Span
from bot.velocity.periods import MOST_PERIODS, periods_of
from tests.velocity.history import at

TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes the zone apart


@given(TIMES, st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_periods_cover_a_span_without_gaps(start: datetime, length: timedelta) -> None:
    span = Span(start, start + length)
    periods = periods_of(span)
    assert 1 <= len(periods) <= MOST_PERIODS
    assert (periods[0].start, periods[-1].end) == (span.start, span.end)
    assert all(one.end == following.start for one, following in pairwise(periods))


@given(TIMES, st.integers(0, 20))
def test_a_later_picture_shows_the_same_weeks(end: datetime, days: int) -> None:
    earlier, later = (
        periods_of(Span(until - timedelta(days=90), until)) for until in (end, end + timedelta(days=days))
    )
    inner = {(each.start, each.end) for each in earlier[1:-1]}
    same = {(each.start, each.end) for each in later[1:-1]}
    assert all(each in same for each in inner if each[0] >= later[1].start)


def test_weeks_begin_on_monday() -> None:
    periods = periods_of(Span(at("03-04 12:00"), at("06-02 12:00")))
    assert {each.start.weekday() for each in periods[1:]} == {0}
    assert periods[1].start == at("03-09 00:00")
