"""When digests are due: by the clock on the wall, once a period, through changes of that clock."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from bot.catalog.digests import DigestKind, DigestSettings, DigestTimes
from bot.teams.digests.schedule import DigestSchedule, begins, is_too_late, schedules
from tests.support.clock import DAY, HOUR, NOW
from tests.support.values import catalog, service

MONDAYS = DigestTimes(time(9), frozenset({0}))
DAILY = DigestTimes(time(2, 30), frozenset(range(7)))


def schedule(
    times: DigestTimes = MONDAYS, zone: str = "UTC", kind: DigestKind = DigestKind.WEEKLY
) -> DigestSchedule:
    return DigestSchedule("#checkout", kind, times, zone, ("checkout",))


def test_a_digest_that_is_due_now_is_not_the_next() -> None:
    assert schedule().next_after(NOW).at == NOW + 7 * DAY
    assert schedule().next_after(NOW - timedelta(seconds=1)).at == NOW


def test_the_clock_on_the_wall_counts() -> None:
    berlin = schedule(zone="Europe/Berlin")
    winter, summer = datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 7, 6, tzinfo=UTC)
    assert berlin.next_after(winter).at == winter + 8 * HOUR
    assert berlin.next_after(summer).at == summer + 7 * HOUR
    honolulu = schedule(zone="Pacific/Honolulu")
    assert honolulu.next_after(winter).at == winter + 19 * HOUR


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # 02:30 does not exist on the day on which the clock goes from 02:00 to 03:00: it comes at 03:30.
        ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
        # 02:30 comes twice on the day on which the clock goes from 03:00 to 02:00: the first one counts.
        ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_time_that_the_change_of_clocks_leaves_out_or_doubles_comes_once(
    zone: str, day: datetime, expected: datetime
) -> None:
    daily = schedule(DAILY, zone, DigestKind.STAND_UP)
    due = daily.next_after(day - timedelta(seconds=1))
    assert due.at == expected
    following = daily.next_after(due.at, period=due.period)
    assert 22 * HOUR < following.at - due.at < 26 * HOUR


def test_a_week_has_one_digest_however_it_is_moved() -> None:
    due = schedule().next_after(NOW - DAY)
    assert (due.period, due.at) == ("2026-W48", NOW)
    wednesdays = schedule(DigestTimes(time(9), frozenset({2})))
    assert wednesdays.next_after(NOW, period=due.period).at == NOW + 9 * DAY
    moved = wednesdays.in_period("2026-W49", NOW + 7 * DAY)
    assert moved is not None
    assert moved.at == NOW + 9 * DAY


def test_late_digests_are_sent_while_they_are_of_use() -> None:
    assert not is_too_late(DigestKind.WEEKLY, NOW, NOW + 24 * HOUR)
    assert is_too_late(DigestKind.WEEKLY, NOW, NOW + 25 * HOUR)
    assert not is_too_late(DigestKind.STAND_UP, NOW, NOW + 3 * HOUR)
    assert is_too_late(DigestKind.STAND_UP, NOW, NOW + 4 * HOUR)


def test_a_stand_up_line_tells_what_happened_since_the_one_before() -> None:
    working_days = DigestTimes(time(9), frozenset(range(5)))
    assert begins(NOW, working_days, "UTC") == NOW - 3 * DAY
    assert begins(NOW + DAY, working_days, "UTC") == NOW
    after_the_change = datetime(2026, 3, 30, 7, tzinfo=UTC)
    assert begins(after_the_change, MONDAYS, "Europe/Berlin") == datetime(2026, 3, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize("late", [timedelta(), timedelta(minutes=1), 10 * HOUR, 24 * HOUR])
def test_a_late_digest_tells_of_the_time_since_the_one_before_was_due(late: timedelta) -> None:
    evenings = DigestTimes(time(23), frozenset({0}))
    due = NOW + 14 * HOUR
    assert begins(due + late, evenings, "UTC") == due - 7 * DAY


def test_services_of_one_channel_share_a_digest() -> None:
    late = DigestSettings(DigestTimes(time(17), frozenset({4})), MONDAYS)
    off = DigestSettings(None)
    shared = [
        replace(service("b"), channel="#shop", digests=late),
        replace(service("a"), channel="#shop", time_zone="Asia/Tokyo"),
        replace(service("c"), channel="#shop", digests=off),
        replace(service("d"), channel="#other", digests=off),
    ]
    found = schedules(catalog(*shared))
    assert [(each.kind, each.channel, each.services, each.time_zone) for each in found] == [
        (DigestKind.WEEKLY, "#shop", ("a", "b"), "Asia/Tokyo"),
        (DigestKind.STAND_UP, "#shop", ("b",), "UTC"),
    ]
    assert found[0].times == MONDAYS
