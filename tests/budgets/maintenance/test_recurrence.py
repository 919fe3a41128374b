"""When maintenance windows are: by the clocks of their zone, through changes of the clocks, to their end."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.maintenance.recurrence import (
    RecurrenceError,
    check_rule,
    largest_share,
    never_comes,
    next_start,
    occurrences,
    overlaps_itself,
)
from bot.catalog.maintenance import MaintenanceWindow
from bot.catalog.window import Span
from tests.support.clock import DAY, HOUR, MINUTE

BERLIN = "Europe/Berlin"
SUNDAY = datetime(2026, 1, 4, 2, 30)  # noqa: DTZ001 - a local time of any zone


def window(
    rule: str | None = "FREQ=WEEKLY;BYDAY=SU",
    *,
    start: datetime = SUNDAY,
    zone: str = BERLIN,
    duration: timedelta = HOUR,
) -> MaintenanceWindow:
    return MaintenanceWindow("night", start, zone, duration, "dropped", "upgrade", rule)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def starts(of: MaintenanceWindow, first: datetime, last: datetime) -> list[datetime]:
    return [time.start for time in occurrences(of, Span(first, last))]


def test_a_window_is_at_its_local_time_in_summer_and_winter() -> None:
    assert next_start(window(), utc(2026, 2, 1)) == utc(2026, 2, 1, 1, 30)
    assert next_start(window(), utc(2026, 7, 1)) == utc(2026, 7, 5, 0, 30)


def test_a_time_that_clocks_skip_is_as_much_later() -> None:
    # On 29 March clocks in Berlin go from 02:00 to 03:00: 02:30 is 03:30.
    (skipped,) = occurrences(window(), Span(utc(2026, 3, 29), utc(2026, 3, 30)))
    assert skipped == Span(utc(2026, 3, 29, 1, 30), utc(2026, 3, 29, 2, 30))


def test_of_a_time_that_comes_twice_it_is_the_first() -> None:
    # On 25 October clocks go from 03:00 back to 02:00.
    (twice,) = occurrences(window(), Span(utc(2026, 10, 25), utc(2026, 10, 26)))
    assert twice == Span(utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30))


def test_the_end_comes_its_duration_later_whatever_clocks_do() -> None:
    long = window(start=datetime(2026, 3, 28, 23), duration=5 * HOUR, rule=None)  # noqa: DTZ001
    (night,) = occurrences(long, Span(utc(2026, 3, 1), utc(2026, 4, 1)))
    assert night.length == 5 * HOUR
    assert night.end.astimezone(ZoneInfo(BERLIN)).hour == 5


def test_a_window_without_a_rule_comes_once() -> None:
    once = window(None)
    assert next_start(once, utc(2026, 1, 1)) == utc(2026, 1, 4, 1, 30)
    assert next_start(once, utc(2026, 1, 4, 1, 31)) is None


def test_count_and_until_end_a_window() -> None:
    year = utc(2026, 1, 1), utc(2027, 1, 1)
    assert len(starts(window("FREQ=WEEKLY;COUNT=3"), *year)) == 3
    # A day means all of it, a local time is included, and so is one in UTC.
    for until in ("20260118", "20260118T023000", "20260118T013000Z"):
        assert starts(window(f"FREQ=WEEKLY;UNTIL={until}"), *year)[-1] == utc(2026, 1, 18, 1, 30)
    assert len(starts(window("FREQ=WEEKLY;UNTIL=20260118T012900Z"), *year)) == 2
    assert next_start(window("FREQ=WEEKLY;COUNT=3"), utc(2026, 1, 19)) is None


def test_an_occurrence_that_has_begun_before_a_span_reaches_into_it() -> None:
    found = occurrences(window(), Span(utc(2026, 1, 4, 2), utc(2026, 1, 4, 12)))
    assert found == [Span(utc(2026, 1, 4, 1, 30), utc(2026, 1, 4, 2, 30))]
    assert occurrences(window(), Span(utc(2026, 1, 4, 2, 30), utc(2026, 1, 10))) == []


@given(
    rule=st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=YEARLY"]),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_one_is_the_first_of_all_that_follow(rule: str, zone: str, at: datetime) -> None:
    of = window(rule, zone=zone)
    found = next_start(of, at)
    assert found is not None
    assert found >= at
    following = starts(of, at, at + 800 * DAY)
    assert found == next(each for each in following if each >= at)
    assert following == sorted(set(following))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=HOURLY", "once a day at most"),
        ("FREQ=MINUTELY;INTERVAL=5", "once a day at most"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL cannot be `0`"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL cannot be `-1`"),
        ("FREQ=DAILY;COUNT=0", "COUNT cannot be `0`"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude each other"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL cannot be"),
        ("FREQ=DAILY;BYHOUR=2", "time of day is that of `start`"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY cannot be"),
        ("FREQ=WEEKLY;BYDAY=1SU", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=MONTHLY;BYMONTHDAY=45", "BYMONTHDAY cannot be"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs another"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "needs FREQ=YEARLY"),
        ("FREQ=DAILY;FREQ=WEEKLY", "named twice"),
        ("BYDAY=SU", "FREQ is missing"),
        ("every Sunday", "is not a part of a recurrence rule"),
        ("", "is not a part of a recurrence rule"),
        ("FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "is not a recurrence rule"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(rule: str, words: str) -> None:
    with pytest.raises(RecurrenceError) as caught:
        check_rule(rule)
    assert words in caught.value.message


def test_a_rule_is_read_as_people_write_it() -> None:
    assert check_rule(" rrule:freq=weekly;byday=su ") == "FREQ=WEEKLY;BYDAY=SU"


@pytest.mark.parametrize(
    ("rule", "never"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", True),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", True),
        ("FREQ=WEEKLY;UNTIL=20251231", True),
        ("FREQ=WEEKLY;UNTIL=20261332", True),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", False),
        ("FREQ=YEARLY;BYDAY=5SU;BYMONTH=2", False),
        (None, False),
    ],
)
def test_a_rule_that_never_comes_is_known_as_such(rule: str | None, never: bool) -> None:
    assert never_comes(window(rule)) is never


def test_a_window_must_be_over_before_it_comes_again() -> None:
    assert overlaps_itself(window("FREQ=DAILY", duration=25 * HOUR)) == 23 * HOUR
    assert overlaps_itself(window("FREQ=WEEKLY;BYDAY=SA,SU", duration=30 * HOUR)) == 24 * HOUR
    assert overlaps_itself(window("FREQ=WEEKLY", duration=7 * DAY - HOUR)) is None
    assert overlaps_itself(window(None, duration=7 * DAY)) is None


def test_the_share_of_four_weeks_counts_each_moment_once() -> None:
    nightly = window("FREQ=DAILY", duration=2 * HOUR, zone="UTC")
    assert largest_share([nightly]) == pytest.approx(2 / 24)
    assert largest_share([nightly, nightly]) == pytest.approx(2 / 24)
    later = window("FREQ=DAILY", start=SUNDAY + 2 * HOUR, duration=60 * MINUTE, zone="UTC")
    assert largest_share([nightly, later]) == pytest.approx(3 / 24)
    # A few long ones in a row weigh more than their share of a year.
    assert largest_share([window("FREQ=DAILY;COUNT=10", duration=20 * HOUR)]) == pytest.approx(200 / 672)
    assert largest_share([]) == 0
