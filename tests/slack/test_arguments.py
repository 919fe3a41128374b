"""What people type is parsed, or answered with the correct usage."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.slack.arguments import UsageError, did_you_mean, read_duration, read_end, reason, split
from tests.support.clock import NOW

LONDON = ZoneInfo("Europe/London")


def ends(text: str, zone: str = "Europe/London") -> tuple[datetime | None, list[str]]:
    until, rest = read_end(split(text), now=NOW, zone=ZoneInfo(zone), zone_name=zone)
    return (until.at if until else None), rest


def test_odd_spaces_and_control_characters_part_words() -> None:
    assert split("checkout\u00a0for\u20034h\x00the\u200bsale\n") == ["checkout", "for", "4h", "the", "sale"]


def test_references_read_as_names() -> None:
    assert split("ask <@U123|dana> in <#C1|checkout> or <!subteam^S1|@sre>, see <https://x.io/a|x>") == [
        "ask", "@dana", "in", "#checkout", "or", "@sre,", "see", "https://x.io/a",
    ]  # fmt: skip


@pytest.mark.parametrize("typed", ['"peak sale"', "“peak sale”", "'peak sale'", "peak   sale", "„peak sale“"])
def test_quotes_around_a_reason_are_not_part_of_it(typed: str) -> None:
    assert reason(split(typed)) == "peak sale"


def test_long_reason_is_cut() -> None:
    assert len(reason(["x" * 600])) == 500


@pytest.mark.parametrize(
    ("word", "minutes"), [("90m", 90), ("4h", 240), ("1h30m", 90), ("2d", 2880), ("1W", 10080), ("1.5h", 90)]
)
def test_durations(word: str, minutes: int) -> None:
    assert read_duration(word) == timedelta(minutes=minutes)


@pytest.mark.parametrize("word", ["4", "h", "4x", "-4h", "4h ", "", "4hh"])
def test_words_that_are_no_duration(word: str) -> None:
    assert read_duration(word) is None


def test_the_nearest_names_are_suggested() -> None:
    assert did_you_mean(["a"]) == "Did you mean `a`?"
    assert did_you_mean(["a", "<b>"]) == "Did you mean `a` or `&lt;b&gt;`?"
    assert not did_you_mean([])


def test_for_counts_from_now() -> None:
    assert ends("for 4h peak sale") == (NOW + timedelta(hours=4), ["peak", "sale"])


def test_for_with_anything_but_a_length_belongs_to_the_reason() -> None:
    assert ends("for the release") == (None, ["for", "the", "release"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("until 2026-12-01 09:00 why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("until 2026-12-01T09:00 why", datetime(2026, 12, 1, 14, tzinfo=UTC)),
        ("until 2026-12-01T09:00Z why", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("until 2026-12-01 why", datetime(2026, 12, 1, 5, tzinfo=UTC)),
        # It is 04:00 in New York.
        ("until 05:00 why", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("until 03:00 why", datetime(2026, 11, 24, 8, tzinfo=UTC)),
    ],
)
def test_until_is_read_in_the_persons_zone(text: str, expected: datetime) -> None:
    assert ends(text, "America/New_York") == (expected, ["why"])


@pytest.mark.parametrize(
    "text",
    [
        "until 2026-11-23 03:00 why",
        "until 0001-01-01 why",
        "until 9999-12-31 23:59 why",
        "until Dana is back",
        "until",
        "until 25:00 why",
        "for 4x why",
        "for 0h why",
        "for 999999w why",
    ],
)
def test_end_that_cannot_be_is_answered_with_what_to_type(text: str) -> None:
    with pytest.raises(UsageError):
        ends(text)
