"""Durations as people type them: one grammar, whoever asks for it."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.gate import parse_since, parse_wait
from bot.durations import CANONICAL_FORM, LONGEST, DurationError, parse_duration
from bot.formatting import duration_code
from bot.policy.documents import quantities
from bot.slack.flags.arguments import read_flag_with_end, read_ramp
from bot.slack.incidents.arguments import parse_report
from bot.slack.typed.ends import EndReader
from bot.slack.typed.lengths import read_length

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
UNITS_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("4h", 14_400), ("7d", 604_800), ("4w", 2_419_200), ("300ms", 0.3), ("0s", 0),
     ("1h30m", 5_400), ("30m1h", 5_400), ("1h1h", 7_200), ("1w2d", 777_600), ("2.5s", 2.5), (".5h", 1_800),
     ("1H", 3_600), ("5 m", 300), ("5min", 300), ("90 seconds", 90), ("1 hour, 30 minutes", 5_400),
     ("2 days 4hrs", 187_200), ("2mo", 5_184_000), ("1y", 31_536_000), ("1Week", 604_800)],
)  # fmt: skip
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "30", "h", "4x", "4hh", "4h ", " 4h", "4h,", "-4h", "+4h", "1:30", "1:30:00", "1.h", "1.2.3h",
     "1,5h", "1e3s", "4h30", "s5", "5m\n", "٣",
     "\u0663h", "1\u0663h", "3ſ", "3\u212as", "soon", "2026-11-23", "20261123T100000Z"],
)  # fmt: skip
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 400 + "w", "9" * 5_000 + "ms", "99999999d", "99999w" * 20_000])
def test_a_duration_is_never_longer_than_what_can_be_added_to_a_date(text: str) -> None:
    assert parse_duration(text) == LONGEST
    assert NOW + parse_duration(text) > NOW - parse_duration(text)


@given(st.text(alphabet="0123456789.,:/+- wdhmsyoeiT٣ſ\n"))
def test_odd_texts_are_read_or_refused_never_worse(text: str) -> None:
    with suppress(DurationError):
        assert timedelta(0) <= parse_duration(text) <= LONGEST


@given(st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from(sorted(UNITS_S))), min_size=1))
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert parse_duration(text) == timedelta(seconds=sum(count * UNITS_S[unit] for count, unit in parts))


@given(st.integers(0, LONGEST // timedelta(milliseconds=1)))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(duration_code(duration)) == duration
    assert re.fullmatch(CANONICAL_FORM, duration_code(duration))


@given(st.integers(0, 10**10))
def test_policies_read_their_narrower_form_the_same_way(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert quantities.parse_duration(duration_code(duration)) == duration
    seconds, rest = divmod(milliseconds, 1_000)
    assert quantities.parse_duration(f"{seconds}s{rest}ms") == duration


@pytest.mark.parametrize("typed", ["90m", "1h30m", "1.5h", "90min", "5400s"])
def test_every_caller_reads_every_form(typed: str) -> None:
    length = timedelta(minutes=90)
    assert read_length([typed]) == (length, 1)
    ends = EndReader(NOW, UTC, "UTC")
    end, reason = ends.read(["for", typed, "sale"])
    assert (end and end.at, reason) == (NOW + length, ["sale"])
    words = ["flag", "for", typed, "a", "demo"]
    assert read_flag_with_end(words, ["staging"], "on FLAG", ends)[1] == length
    assert read_ramp(["flag", "5%", "every", typed], ["staging"]).every == length
    assert parse_wait(typed) == length
    assert parse_since(typed, NOW) == (NOW - length).isoformat()
    assert parse_report(["1w2d"], []).length == timedelta(days=9)


def test_the_command_line_forgives_spaces_around_and_says_what_to_write() -> None:
    assert parse_wait(" 5m ") == timedelta(minutes=5)
    assert parse_wait(None) == timedelta(0)
    assert parse_since("2026-11-20T09:00Z", NOW) == "2026-11-20T09:00:00+00:00"
    with pytest.raises(ValueError, match=r"`--wait 1:30` is not a duration: write 30s, 5m or 2h"):
        parse_wait("1:30")
    with pytest.raises(ValueError, match=r"`--since then` is neither a duration \(7d\) nor a time"):
        parse_since("then", NOW)
