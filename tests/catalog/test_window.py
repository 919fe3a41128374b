"""Windows begin and end where people's calendars say, through leap years and daylight saving."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
WEEK, MONTH, QUARTER, YEAR = CalendarUnit
STARTS = st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)).map(  # noqa: DTZ001 - local times
    lambda start: start.replace(second=0, microsecond=0)
)
STEPS = {
    WEEK: relativedelta(weeks=1),
    MONTH: relativedelta(months=1),
    QUARTER: relativedelta(months=3),
    YEAR: relativedelta(years=1),
}
AVERAGE_DAYS = {WEEK: 7, MONTH: 365.2425 / 12, QUARTER: 365.2425 / 4, YEAR: 365.2425}
ZONES = ["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CALENDARS = st.builds(CalendarWindow, st.sampled_from(CalendarUnit), st.sampled_from(ZONES))
STARTED = st.builds(CalendarWindow, st.sampled_from(CalendarUnit), st.sampled_from(ZONES), STARTS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@given(now=MOMENTS, minutes=st.integers(1, 200_000))
def test_a_rolling_window_ends_now_and_has_its_length(now: datetime, minutes: int) -> None:
    window = RollingWindow(timedelta(minutes=minutes))
    assert window.span(now) == Span(now - timedelta(minutes=minutes), now)
    assert window.span(now).length == window.full_length(now) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("unit", "zone", "now", "start", "end"),
    [
        (WEEK, "UTC", "2026-11-23T09:00Z", "2026-11-23T00:00Z", "2026-11-30T00:00Z"),
        (WEEK, "UTC", "2026-11-22T23:59Z", "2026-11-16T00:00Z", "2026-11-23T00:00Z"),
        (MONTH, "UTC", "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        (MONTH, "UTC", "2028-02-29T12:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        (MONTH, "UTC", "2100-02-28T12:00Z", "2100-02-01T00:00Z", "2100-03-01T00:00Z"),
        (QUARTER, "UTC", "2026-11-23T09:00Z", "2026-10-01T00:00Z", "2027-01-01T00:00Z"),
        (QUARTER, "UTC", "2026-03-31T23:59Z", "2026-01-01T00:00Z", "2026-04-01T00:00Z"),
        (YEAR, "UTC", "2026-03-31T23:59Z", "2026-01-01T00:00Z", "2027-01-01T00:00Z"),
        (YEAR, "America/New_York", "2027-01-01T04:59Z", "2026-01-01T05:00Z", "2027-01-01T05:00Z"),
        # Local midnight, also where the date differs from UTC's.
        (MONTH, "Asia/Kolkata", "2026-10-31T18:29Z", "2026-09-30T18:30Z", "2026-10-31T18:30Z"),
        (MONTH, "Asia/Kolkata", "2026-10-31T18:30Z", "2026-10-31T18:30Z", "2026-11-30T18:30Z"),
        (MONTH, "America/New_York", "2026-12-01T03:00Z", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),
        (WEEK, "Europe/London", "2026-03-29T12:00Z", "2026-03-23T00:00Z", "2026-03-29T23:00Z"),
        (WEEK, "Europe/London", "2026-10-25T01:30Z", "2026-10-18T23:00Z", "2026-10-26T00:00Z"),
        # Midnight itself is skipped: the day begins at one o'clock.
        (MONTH, "America/Havana", "2026-03-08T12:00Z", "2026-03-01T05:00Z", "2026-04-01T04:00Z"),
        # A day that never was: Samoa went from Thursday to Saturday at the end of 2011.
        (WEEK, "Pacific/Apia", "2011-12-31T12:00Z", "2011-12-26T10:00Z", "2012-01-01T10:00Z"),
    ],
)
def test_calendar_periods(unit: CalendarUnit, zone: str, now: str, start: str, end: str) -> None:
    window = CalendarWindow(unit, zone)
    assert window.period(at(now)) == Span(at(start), at(end))
    assert window.span(at(now)) == Span(at(start), at(now))


@pytest.mark.parametrize(
    ("now", "zone", "unit", "length"),
    [
        ("2026-03-25T12:00Z", "Europe/London", WEEK, 7 * DAY - HOUR),
        ("2026-10-21T12:00Z", "Europe/London", WEEK, 7 * DAY + HOUR),
        ("2026-07-15T12:00Z", "Europe/London", WEEK, 7 * DAY),
        ("2026-03-15T12:00Z", "America/New_York", MONTH, 31 * DAY - HOUR),
        ("2026-11-15T12:00Z", "America/New_York", MONTH, 30 * DAY + HOUR),
        ("2026-10-15T12:00Z", "Australia/Lord_Howe", MONTH, 31 * DAY - HOUR / 2),
        ("2028-02-15T12:00Z", "UTC", MONTH, 29 * DAY),
        ("2027-02-15T12:00Z", "UTC", MONTH, 28 * DAY),
        ("2028-02-15T12:00Z", "UTC", QUARTER, 91 * DAY),
        ("2027-02-15T12:00Z", "UTC", QUARTER, 90 * DAY),
        ("2027-02-15T12:00Z", "Europe/London", YEAR, 365 * DAY),
        ("2028-02-15T12:00Z", "Europe/London", YEAR, 366 * DAY),
    ],
)
def test_full_lengths_count_daylight_saving_and_leap_days(
    now: str, zone: str, unit: CalendarUnit, length: timedelta
) -> None:
    assert CalendarWindow(unit, zone).full_length(at(now)) == length


@pytest.mark.parametrize(
    ("unit", "zone", "start", "now", "begins", "ends"),
    [
        (MONTH, "UTC", "2020-01-21T12:30", "2026-11-21T12:29Z", "2026-10-21T12:30Z", "2026-11-21T12:30Z"),
        (MONTH, "UTC", "2020-01-21T12:30", "2026-11-21T12:30Z", "2026-11-21T12:30Z", "2026-12-21T12:30Z"),
        # Long before the first start.
        (MONTH, "UTC", "2040-01-21T12:30", "2026-11-21T12:30Z", "2026-11-21T12:30Z", "2026-12-21T12:30Z"),
        # A month that lacks the day begins on its last.
        (MONTH, "UTC", "2020-01-31T00:00", "2027-02-28T00:00Z", "2027-02-28T00:00Z", "2027-03-31T00:00Z"),
        (MONTH, "UTC", "2020-01-31T00:00", "2028-02-28T23:00Z", "2028-01-31T00:00Z", "2028-02-29T00:00Z"),
        (QUARTER, "UTC", "2020-11-30T00:00", "2027-03-01T00:00Z", "2027-02-28T00:00Z", "2027-05-30T00:00Z"),
        (YEAR, "UTC", "2020-02-29T00:00", "2026-11-23T09:00Z", "2026-02-28T00:00Z", "2027-02-28T00:00Z"),
        (YEAR, "UTC", "2020-10-01T00:00", "2026-11-23T09:00Z", "2026-10-01T00:00Z", "2027-10-01T00:00Z"),
        (WEEK, "UTC", "2020-01-07T18:00", "2026-11-23T09:00Z", "2026-11-17T18:00Z", "2026-11-24T18:00Z"),
        # 02:30 is skipped in spring: 03:30. In autumn 01:30 comes twice: the first.
        (
            MONTH,
            "Europe/Berlin",
            "2020-01-29T02:30",
            "2026-03-29T01:30Z",
            "2026-03-29T01:30Z",
            "2026-04-29T00:30Z",
        ),
        (
            MONTH,
            "Europe/London",
            "2020-01-25T01:30",
            "2026-10-25T01:00Z",
            "2026-10-25T00:30Z",
            "2026-11-25T01:30Z",
        ),
    ],
)
def test_periods_with_a_start_of_their_own(  # noqa: PLR0917 - a row of the table
    unit: CalendarUnit, zone: str, start: str, now: str, begins: str, ends: str
) -> None:
    window = CalendarWindow(unit, zone, datetime.fromisoformat(start))
    assert window.period(at(now)) == Span(at(begins), at(ends))


@given(window=STARTED, now=MOMENTS)
def test_periods_begin_so_many_units_after_the_start(window: CalendarWindow, now: datetime) -> None:
    assert window.start is not None
    period, zone = window.period(now), ZoneInfo(window.time_zone)
    # Of the periods about there, the one that `dateutil` finds by counting.
    about = round((now.replace(tzinfo=None) - window.start) / DAY / AVERAGE_DAYS[window.unit])
    starts = [
        (window.start + (about + n) * STEPS[window.unit]).replace(tzinfo=zone).astimezone(UTC)
        for n in range(-3, 4)
    ]
    assert period.start == max(start for start in starts if start <= now)
    assert period.end == min(start for start in starts if start > now)


@given(window=CALENDARS | STARTED, now=MOMENTS)
def test_every_moment_lies_in_its_period_and_periods_adjoin(window: CalendarWindow, now: datetime) -> None:
    period = window.period(now)
    assert period.start <= now < period.end
    assert window.period(period.start) == period
    assert window.period(period.end).start == period.end
    assert window.period(period.start - timedelta(microseconds=1)).end == period.start


@given(window=CALENDARS, now=MOMENTS)
def test_periods_begin_at_the_first_moment_of_a_local_day(window: CalendarWindow, now: datetime) -> None:
    zone = ZoneInfo(window.time_zone)
    start = window.period(now).start
    first = start.astimezone(zone)
    assert (start - timedelta(seconds=1)).astimezone(zone).date() < first.date()
    match window.unit:
        case CalendarUnit.WEEK:
            assert first.weekday() == 0
        case CalendarUnit.MONTH:
            assert first.day == 1
        case CalendarUnit.QUARTER:
            assert (first.day, first.month % 3) == (1, 1)
        case CalendarUnit.YEAR:
            assert (first.day, first.month) == (1, 1)
