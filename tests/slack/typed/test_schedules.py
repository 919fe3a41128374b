"""When a planned freeze is, as people type it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.slack.arguments import UsageError
from bot.slack.typed.schedules import read_schedule

HERE = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
"""A Wednesday, 10:00 in Berlin."""


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=HERE)


@pytest.mark.parametrize(
    ("typed", "start", "end", "rule"),
    [
        ("from friday 15:00 until monday 7:00 sale", at(27, 15), at(30, 7), None),
        ("from friday 15:00 for 9h sale", at(27, 15), at(28, 0), None),
        ("from 2026-12-24 12:00 for 3d sale", at(24, 12, month=12), at(27, 12, month=12), None),
        ("from 18:00 until 20:00 sale", at(25, 18), at(25, 20), None),
        ("from 22:00 until 6:00 sale", at(25, 22), at(26, 6), None),
        ("from tomorrow 9:00 until tomorrow 18:00 sale", at(26, 9), at(26, 18), None),
        ("on friday 15:00 for 9h sale", at(27, 15), at(28, 0), None),
        ("from now until 18:00 sale", at(25, 10), at(25, 18), None),
        ("every friday 15:00 for 9h sale", at(27, 15), at(28, 0), "FREQ=WEEKLY;BYDAY=FR"),
        ("every fridays at 15:00 until 23:59 sale", at(27, 15), at(27, 23, 59), "FREQ=WEEKLY;BYDAY=FR"),
        ("every wed 9:00 for 1h sale", at(2, 9, month=12), at(2, 10, month=12), "FREQ=WEEKLY;BYDAY=WE"),
        ("every wednesday 11:00 for 1h sale", at(25, 11), at(25, 12), "FREQ=WEEKLY;BYDAY=WE"),
        ("every day 22:00 until 6:00 sale", at(25, 22), at(26, 6), "FREQ=DAILY"),
        ("every weekday 9am for 30m sale", at(26, 9), at(26, 9, 30), "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("Every Friday 3pm for 9h sale", at(27, 15), at(28, 0), "FREQ=WEEKLY;BYDAY=FR"),
    ],
)
def test_times_are_read_in_the_zone_of_whoever_types(
    typed: str, start: datetime, end: datetime, rule: str | None
) -> None:
    found = read_schedule(typed.split(), NOW, HERE)
    assert (found.start, found.start + found.duration, found.rule) == (start, end, rule)
    assert found.rest == ("sale",)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "Say when"),
        ("friday 15:00 for 9h sale", "Say when"),
        ("from someday for 9h sale", "Say when"),
        ("from friday 15:00 sale", "Say when"),
        ("from friday 15:00 for a while sale", "Say when"),
        ("from friday 15:00 until then sale", "Say when"),
        ("every", "Say when"),
        ("every other friday 15:00 for 9h sale", "Say when"),
        ("every friday for 9h sale", "Say when"),
        ("from 2020-01-01 09:00 for 9h sale", "has passed"),
        ("from friday 15:00 for 0m sale", "end after it begins"),
        ("from 2026-12-24 12:00 until 2026-12-01 sale", "end after it begins"),
        ("from friday 15:00 for 200d sale", "at most 90 days"),
        ("every day 9:00 for 2d sale", "begin again before it is over"),
        ("every friday 9:00 for 8d sale", "begin again before it is over"),
    ],
)
def test_what_cannot_be_meant_is_said(typed: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_schedule(typed.split(), NOW, HERE)


def test_an_end_keeps_to_whole_minutes() -> None:
    found = read_schedule(["from", "18:00", "for", "90s", "sale"], NOW, HERE)
    assert found.duration == timedelta(minutes=1)
