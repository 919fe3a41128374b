"""When periods of a rotation begin: at the same time of day, through changes of the clocks."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bot.catalog.rotation import Rotation
from tests.support.clock import HOUR

ZONES = ("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def rotation(zone: str = "Europe/London", at: time = time(10), days: int = 14) -> Rotation:
    start = date(2026, 3, 16)
    return Rotation("shop", ("checkout",), (), (), timedelta(days=days), start, at, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_each_period_begins_at_the_same_time_of_day(zone: str) -> None:
    shop = rotation(zone)
    begins = [shop.begin_of(index).astimezone(ZoneInfo(zone)) for index in range(27)]

    assert {begin.time() for begin in begins} == {time(10)}
    assert {later.date() - begin.date() for begin, later in pairwise(begins)} == {timedelta(days=14)}


@pytest.mark.parametrize("zone", ZONES)
def test_every_moment_lies_in_the_period_that_began_last(zone: str) -> None:
    shop, moment = rotation(zone, days=1), datetime(2026, 3, 16, tzinfo=UTC)
    for _ in range(366 * 4):
        moment += 6 * HOUR
        begun, following = shop.begun(moment), shop.next_begin(moment)
        assert begun is None or begun <= moment < following
        assert shop.begins_after(moment, 2)[0] == following


def test_a_time_that_the_clocks_skip_begins_later_and_one_that_comes_twice_at_the_first() -> None:
    skipping = rotation("Europe/London", time(1, 30), days=13)
    assert skipping.begin_of(1) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    twice = Rotation("shop", (), (), (), timedelta(days=1), date(2026, 10, 25), time(1, 30), "Europe/London")
    assert twice.begin_of(0) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_before_the_first_day_there_is_no_period_yet() -> None:
    shop = rotation()
    before = shop.begin_of(0) - HOUR

    assert shop.begun(before) is None
    assert shop.next_begin(before) == shop.begin_of(0)
