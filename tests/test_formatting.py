"""Numbers in words: exact where it matters, never a lie by rounding, never NaN."""

import math
import re
from datetime import timedelta

import pytest

from bot import formatting as wording

MINUS, NBSP = "\u2212", "\u00a0"


@pytest.mark.parametrize(
    ("fraction", "words"),
    [
        (-0.998002, f"{MINUS}99.8%"),
        (1.0, "100.0%"),
        (0.99999, "99.9%"),
        (0.0, "0.0%"),
        (-0.0, "0.0%"),
        (0.0001, "under 0.1%"),
        (-0.0001, "just below 0%"),
        (-123.456, f"{MINUS}12,346%"),
        (-1e300, f"under {MINUS}999,999%"),
        (math.nan, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_part_of_a_budget(fraction: float | None, words: str) -> None:
    assert wording.budget_text(fraction) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(14.4, "14.4×"), (1.998, "2.0×"), (0, "0.0×"), (1234.5, "1,234×"), (math.inf, "unknown")],
)
def test_burn(rate: float, words: str) -> None:
    assert wording.burn_rate_text(rate) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(43.2, "43.2 min"), (10.08, "10.1 min"), (-4.92, f"{MINUS}4.9 min"), (72, "1 h 12 min"), (0.2, "12 s"),
     (-1500, f"{MINUS}1 d 1 h"), (math.nan, "unknown"), (1e300, "over 999,999 min")],
)  # fmt: skip
def test_minutes(minutes: float, words: str) -> None:
    assert wording.minutes_text(minutes).replace(NBSP, " ") == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 event"), (1234, "1,234 events"), (-1000, f"{MINUS}1,000 events"), (0.3, "0.3 events"),
     (-0.01, "0 events"), (1e300, "countless events"), (math.inf, "unknown")],
)  # fmt: skip
def test_events(count: float, words: str) -> None:
    assert wording.event_count_text(count).replace(NBSP, " ") == words


def test_lists() -> None:
    assert wording.listed([]) == ""
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(["a", "b"], "or") == "a or b"


@pytest.mark.parametrize(
    ("fraction", "digits", "shown", "plain"),
    [
        (0.9995, None, "99.95%", "99.95%"),
        (1 / 3, None, "33.3333%", "33.3333%"),
        (0.25, None, "25%", "25%"),
        (1.0, 1, "100.0%", "100.0%"),
        (1.4881, 1, "148.8%", "148.8%"),
        (-0.1, None, f"{MINUS}10%", "-10%"),
        (-0.998, 1, f"{MINUS}99.8%", "-99.8%"),
        (0.0, 1, "0.0%", "0.0%"),
    ],
)
def test_percentages(fraction: float, digits: int | None, shown: str, plain: str) -> None:
    assert wording.percent_text(fraction, digits=digits) == shown
    assert wording.percent_text(fraction, digits=digits, plain=True) == plain


def test_a_threshold_of_minus_nothing_is_nothing() -> None:
    assert wording.percent_text(-0.0) == "0%"
    assert wording.percent_text(-0.0001, digits=1, plain=True) == "0.0%"
    assert wording.budget_text(-0.0001, plain=True) == "just below 0%"
    assert wording.budget_text(-0.5, plain=True) == "-50.0%"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(days=30), "30 d"),
        (timedelta(days=1, hours=2, minutes=3), "1 d 2 h"),
        (timedelta(days=1, minutes=3), "1 d"),
        (timedelta(hours=1, minutes=5), "1 h 5 min"),
        (timedelta(seconds=42), "42 s"),
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_durations_in_their_two_largest_units(length: timedelta, words: str) -> None:
    assert wording.duration_text(length) == re.sub(r" (?=[a-z])", NBSP, words)
    assert wording.duration_text(length, plain=True) == words


def test_a_duration_can_stop_at_hours() -> None:
    assert wording.duration_text(timedelta(days=50, minutes=5), largest="h", plain=True) == "1200 h 5 min"
    assert wording.duration_text(timedelta(days=1_200)) == f"1,200{NBSP}d"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 minute"), (300, "5 minutes"), (90, "90 seconds"), (1, "1 second"), (7_200, "120 minutes")],
)
def test_durations_in_full_words(seconds: int, words: str) -> None:
    assert wording.duration_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (timedelta(weeks=4), "28d"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=6), "6h"),
        (timedelta(seconds=45), "45s"),
        (timedelta(milliseconds=300), "300ms"),
        (timedelta(seconds=1, milliseconds=500), "1500ms"),
        (timedelta(0), "0s"),
    ],
)
def test_durations_as_policies_write_them(length: timedelta, code: str) -> None:
    assert wording.duration_code(length) == code


def test_sparkline_puts_what_is_overspent_on_the_floor() -> None:
    assert wording.sparkline([1.0, 0.5, 0.0, -3.0, math.nan]) == "█▅▁▁"
