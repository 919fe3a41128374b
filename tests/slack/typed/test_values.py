"""Lengths of time, shares and severities as keyboards and phones write them."""

from datetime import timedelta

import pytest

from bot.incidents.incident import Severity
from bot.slack.arguments import UsageError
from bot.slack.typed.lengths import is_number, read_length
from bot.slack.typed.numbers import read_number
from bot.slack.typed.severities import read_severity, severity_of_number
from bot.slack.typed.shares import read_share, read_shares
from bot.slack.typed.words import plain, take_name


@pytest.mark.parametrize(
    ("text", "minutes", "used"),
    [("90m", 90, 1), ("4h x", 240, 1), ("1h30m", 90, 1), ("2d", 2_880, 1), ("1W", 10_080, 1), ("1.5h", 90, 1),
     ("2 hours x", 120, 2), ("1 hour 30 min x", 90, 4), ("an hour x", 60, 2), ("“2h” x", 120, 1),
     ("２h x", 120, 1), ("2 h, x", 120, 2)],
)  # fmt: skip
def test_lengths(text: str, minutes: int, used: int) -> None:
    assert read_length(text.split()) == (timedelta(minutes=minutes), used)


@pytest.mark.parametrize("text", ["4", "h", "4x", "-4h", "", "4hh", "a release", "the hour"])
def test_words_that_are_no_length(text: str) -> None:
    assert read_length(text.split()) is None


def test_numbers_are_told_from_words() -> None:
    assert all(is_number(word) for word in ("4x", "-2h", "–2h", "“2”", "+1"))
    assert not any(is_number(word) for word in ("x4", "the", "-", "“"))


@pytest.mark.parametrize(
    ("word", "number"),
    [("12", 12), ("#12", 12), ("0", 0), ("9" * 15, 10**15 - 1), ("9" * 16, None), ("9" * 5_000, None),
     ("-1", None), ("1.5", None), ("", None), ("#", None), ("\u0663", None), ("twelve", None)],
)  # fmt: skip
def test_numbers_of_things(word: str, number: int | None) -> None:
    assert read_number(word) == number


@pytest.mark.parametrize(
    ("text", "share", "used"),
    [("25%", 0.25, 1), ("0.5%", 0.005, 1), ("0,5%", 0.005, 1), ("25 x", 0.25, 1), ("25 % x", 0.25, 2),
     ("25％", 0.25, 1), ("“25%”", 0.25, 1), ("25%,", 0.25, 1), ("100%", 1, 1), ("0%", 0, 1)],
)  # fmt: skip
def test_shares(text: str, share: float, used: int) -> None:
    assert read_share(text.split()) == (share, used)


@pytest.mark.parametrize("text", ["", "a lot", "-3%", "25%%", "1e2%", "٢٥%"])
def test_words_that_are_no_share(text: str) -> None:
    assert read_share(text.split()) is None


def test_more_than_everyone_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 100%"):
        read_share(["101%"])


@pytest.mark.parametrize(
    "text", ["1% 5% 100% x", "1%, 5%, 100% x", "1%,5%,100% x", "1 % 5 % 100 % x", "1 5 100 x"]
)
def test_several_shares(text: str) -> None:
    assert read_shares(text.split()) == ([0.01, 0.05, 1.0], ["x"])


@pytest.mark.parametrize("text", ["sev2", "SEV-2", "Sev 2", "severity 2", "sev_2", "“sev2”", "sev–2"])
def test_severities(text: str) -> None:
    assert read_severity([*text.split(), "x"]) == (Severity.SEV2, len(text.split()))


def test_words_that_are_no_severity() -> None:
    assert [read_severity([word]) for word in ("sev", "sev5", "2", "several", "sev22")] == [None] * 5
    assert severity_of_number("1") is Severity.SEV1
    assert severity_of_number("5") is None


def test_names_of_several_words_stand_in_quotes() -> None:
    assert take_name(["PR-12", "x"]) == ("PR-12", ["x"])
    assert take_name(["“PR", "12”", "x"]) == ("PR 12", ["x"])
    assert take_name(['"PR-12"', "x"]) == ("PR-12", ["x"])
    assert take_name(["“PR", "12", "x"]) == ("“PR", ["12", "x"])


def test_a_word_is_read_without_what_keyboards_add() -> None:
    assert [plain(word) for word in ("“2H”,", "25％", "2026–12–01", "’til")] == [
        "2h",
        "25%",
        "2026-12-01",
        "til",
    ]
