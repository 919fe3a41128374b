"""When something ends, read from what people type before or after a reason."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.slack.arguments import UsageError, split
from bot.slack.typed.ends import EndReader
from tests.support.clock import NOW

HOUR = timedelta(hours=1)


def ends(text: str, zone: str = "Europe/London", now: datetime = NOW) -> tuple[datetime | None, str]:
    end, rest = EndReader(now, ZoneInfo(zone), zone).read(split(text))
    return (end.at if end else None), " ".join(rest)


@pytest.mark.parametrize(
    ("text", "length", "reason"),
    [
        ("for 4h peak sale", 4 * HOUR, "peak sale"),
        ("2h db migration", 2 * HOUR, "db migration"),
        ("for “2h” x", 2 * HOUR, "x"),
        ("for ‘2h’ x", 2 * HOUR, "x"),
        ('for "2 hours" x', 2 * HOUR, "x"),
        ("for 2 hours x", 2 * HOUR, "x"),
        ("For 2 Hours x", 2 * HOUR, "x"),
        ("for 1 hour 30 minutes x", 1.5 * HOUR, "x"),
        ("for an hour x", HOUR, "x"),
        ("for a day x", 24 * HOUR, "x"),
        ("for 90min, x", 1.5 * HOUR, "x"),
        ("load test for 2h", 2 * HOUR, "load test"),
        ("load test for 2 hours", 2 * HOUR, "load test"),
        ("load test, for 2h", 2 * HOUR, "load test,"),
        ("for 4h waiting for the release", 4 * HOUR, "waiting for the release"),
        ("for 4h “rebuild takes 2h”", 4 * HOUR, "“rebuild takes 2h”"),
    ],
)
def test_a_length_before_or_after_the_reason(text: str, length: timedelta, reason: str) -> None:
    assert ends(text) == (NOW + length, reason)


@pytest.mark.parametrize(
    "text",
    ["for the release", "waiting for 2 people", "“load test for 2h”", '"2h db migration"', "v2 of the shop",
     "for", "2 hosts are down", "closed until Dana is back", "x"],
)  # fmt: skip
def test_reasons_without_an_end(text: str) -> None:
    assert ends(text) == (None, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("until 2026-12-01 09:00 why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("until 2026–12–01 09:00 why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("until 2026-12-01T09:00 why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("until 2026-12-01T09:00Z why", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("until 2026-12-01 09:00 UTC why", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("until 2026-12-01 why", datetime(2026, 12, 1, 5, tzinfo=UTC)),
        ("until 1 dec why", datetime(2026, 12, 1, 5, tzinfo=UTC)),
        ("until Dec 1st at 9am why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        # It is Monday, 04:00 in New York.
        ("until 05:00 why", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("till 05:00 why", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("til 5am why", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("until 5:00 am why", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("until 03:00 why", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("until noon why", datetime(2026, 11, 23, 17, tzinfo=UTC)),
        ("until 18.00 why", datetime(2026, 11, 23, 23, tzinfo=UTC)),
        ("until tomorrow 09:00 why", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        ("until tomorrow at 9am why", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        ("until 09:00 tomorrow why", datetime(2026, 11, 24, 14, tzinfo=UTC)),
        ("until tomorrow why", datetime(2026, 11, 24, 5, tzinfo=UTC)),
        ("until friday why", datetime(2026, 11, 27, 5, tzinfo=UTC)),
        ("until Fri 18:00 why", datetime(2026, 11, 27, 23, tzinfo=UTC)),
        ("until monday 18:00 why", datetime(2026, 11, 23, 23, tzinfo=UTC)),
        ("until monday 03:00 why", datetime(2026, 11, 30, 8, tzinfo=UTC)),
        ("until monday why", datetime(2026, 11, 30, 5, tzinfo=UTC)),
        ("why until friday", datetime(2026, 11, 27, 5, tzinfo=UTC)),
        ("why till 18:00", datetime(2026, 11, 23, 23, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_the_persons_zone(text: str, expected: datetime) -> None:
    assert ends(text, "America/New_York") == (expected, "why")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("until 2026-11-23 03:00 why", "has passed"),
        ("until yesterday why", "has passed"),
        ("until 0001-01-01 why", "has passed"),
        ("until 9999-12-31 23:59 why", "more than a year away"),
        ("for 999999w why", "more than a year away"),
        ("for 0h why", "more than nothing"),
        ("for -2h why", "cannot read"),
        ("for –2h why", "cannot read"),
        ("-2h why", "has passed"),
        ("for 4x why", "cannot read"),
        ("until Dana is back", "cannot read"),
        ("until 25:00 why", "cannot read"),
        ("until", "cannot read"),
        ("until 9 why", "`09:00` or `21:00`"),
        ("until friday 9 why", "`09:00` or `21:00`"),
        ("until 6/7 why", "Europe"),
        ("until 06/07/2026 why", "Europe"),
        ("load test for 2h of the shop", "Does it end `for 2h`"),
        ("the rebuild takes 2h", "Does it end `for 2h`"),
        ("for 4h rebuild for 2h", "Does it end `for 2h`"),
        ("load until 18:00 of the shop", "Does it end `until 18:00`"),
    ],
)
def test_what_cannot_be_or_has_two_meanings_is_asked(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ends(text)


def test_a_time_that_clocks_skip_is_an_error_and_one_that_comes_twice_is_the_first_to_come() -> None:
    """London skips 01:30 on 29 March 2026, and shows it twice on 25 October, at 00:30 and 01:30 UTC."""
    before = datetime(2026, 3, 28, 22, tzinfo=UTC)
    with pytest.raises(UsageError, match="There is no `01:30` on 2026-03-29"):
        ends("until 2026-03-29 01:30 x", now=before)
    with pytest.raises(UsageError, match="There is no `01:30` on 2026-03-29"):
        ends("until 01:30 x", now=before)
    with pytest.raises(UsageError, match="There is no `01:30` on 2026-03-29"):
        ends("until 2026-03-29T01:30 x", now=before)
    for now, end in [("2026-10-25T00:00", "2026-10-25T00:30"), ("2026-10-25T00:45", "2026-10-25T01:30")]:
        at = datetime.fromisoformat(now).replace(tzinfo=UTC)
        assert ends("until 01:30 x", now=at) == (datetime.fromisoformat(end).replace(tzinfo=UTC), "x")
