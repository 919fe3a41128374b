"""Whom an occasion mentions, and when it is quiet."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from bot.catalog.notify import APPROVERS, DEVELOPMENT, RELIABILITY, TEAMS, Notify, Occasion, QuietHours
from bot.catalog.teams import Teams

BERLIN = ZoneInfo("Europe/Berlin")
TWO_TEAMS = Teams(("@checkout-devs",), ("U0SAM", "U0MORGAN"))
NIGHT = QuietHours(time(22), time(7))
WEEKEND = QuietHours(time(0), time(0), frozenset({5, 6}))
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_freeze_and_a_page_mention_both_teams_an_approval_those_who_may_and_nothing_else_anybody() -> None:
    told = {
        occasion: Notify().mentioned(occasion, TWO_TEAMS, NOON, UTC, approvers=["@sre"])
        for occasion in Occasion
    }
    teams = ("@checkout-devs", "U0SAM", "U0MORGAN")
    assert {occasion: names for occasion, names in told.items() if names} == {
        Occasion.PAGE: teams,
        Occasion.FREEZE: teams,
        Occasion.APPROVAL: ("@sre",),
    }


@pytest.mark.parametrize(
    ("names", "mentioned"),
    [
        ((), ()),
        ((DEVELOPMENT,), ("@checkout-devs",)),
        ((RELIABILITY, "@leads", "U0SAM"), ("U0SAM", "U0MORGAN", "@leads")),
        ((TEAMS, DEVELOPMENT), ("@checkout-devs", "U0SAM", "U0MORGAN")),
        ((APPROVERS, "@leads"), ("U0RILEY", "@leads")),
    ],
)
def test_names_stand_for_teams_and_nobody_is_mentioned_twice(
    names: tuple[str, ...], mentioned: tuple[str, ...]
) -> None:
    notify = Notify(approval=names, warning=names)
    for occasion in (Occasion.APPROVAL, Occasion.WARNING):
        assert notify.mentioned(occasion, TWO_TEAMS, NOON, UTC, approvers=["U0RILEY"]) == mentioned


def test_quiet_hours_mention_nobody_but_for_a_page() -> None:
    notify = Notify(quiet_hours=(NIGHT,))
    at = berlin("2026-11-26T22:00")
    told = [occasion for occasion in Occasion if notify.mentioned(occasion, TWO_TEAMS, at, BERLIN)]
    assert told == [Occasion.PAGE]


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-26T21:59", None),
        ("2026-11-26T22:00", "2026-11-27T07:00"),
        ("2026-11-27T06:59", "2026-11-27T07:00"),
        ("2026-11-27T07:00", None),
        # From Friday night on it is quiet until Monday: each ends where the next begins.
        ("2026-11-27T23:00", "2026-11-30T07:00"),
        ("2026-11-28T12:00", "2026-11-30T07:00"),
        # The night in which summer time begins is an hour shorter, the one in which it ends an hour longer.
        ("2026-03-25T23:00", "2026-03-26T07:00"),
        ("2026-03-29T03:30", "2026-03-30T07:00"),
    ],
)
def test_it_is_quiet_until_no_quiet_hours_follow(at: str, until: str | None) -> None:
    expected = berlin(until) if until else None
    assert Notify(quiet_hours=(NIGHT, WEEKEND)).quiet_until(berlin(at), BERLIN) == expected


def test_the_days_are_those_on_which_quiet_hours_begin_in_their_own_zone() -> None:
    friday_night = QuietHours(time(22), time(7), frozenset({4}), "America/New_York")
    assert friday_night.includes(datetime(2026, 11, 28, 3, tzinfo=UTC), BERLIN)
    assert friday_night.includes(datetime(2026, 11, 28, 11, 59, tzinfo=UTC), BERLIN)
    assert not friday_night.includes(datetime(2026, 11, 28, 12, tzinfo=UTC), BERLIN)
    assert not friday_night.includes(datetime(2026, 11, 27, 3, 30, tzinfo=UTC), BERLIN)


def test_quiet_hours_that_never_end_do_not_hang() -> None:
    assert Notify(quiet_hours=(QuietHours(time(0), time(0)),)).quiet_until(NOON, UTC) is not None
