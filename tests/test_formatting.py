"""Numbers in words: exact where it matters, never a lie by rounding, never NaN."""

import math
from datetime import timedelta

import pytest

from bot import formatting as wording
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow

MINUS, NBSP = "\u2212", "\u00a0"


@pytest.mark.parametrize(
    ("fraction", "words"),
    [
        (-0.998002, f"{MINUS}99.8 %"),
        (1.0, "100.0 %"),
        (0.99999, "99.9 %"),
        (0.0, "0.0 %"),
        (-0.0, "0.0 %"),
        (0.0001, "under 0.1 %"),
        (-0.0001, "just below 0 %"),
        (-123.456, f"{MINUS}12,346 %"),
        (-1e300, f"under {MINUS}999,999 %"),
        (math.nan, "unknown"),
        (None, "unknown"),
    ],
)
def test_percent(fraction: float | None, words: str) -> None:
    assert wording.percent(fraction) == words.replace(" %", f"{NBSP}%")


@pytest.mark.parametrize(
    ("rate", "words"),
    [(14.4, "14.4×"), (1.998, "2.0×"), (0, "0.0×"), (1234.5, "1,234×"), (math.inf, "unknown")],
)
def test_burn(rate: float, words: str) -> None:
    assert wording.burn(rate) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(43.2, "43.2 min"), (10.08, "10.1 min"), (-4.92, f"{MINUS}4.9 min"), (72, "1 h 12 min"), (0.2, "12 s"),
     (-1500, f"{MINUS}1 d 1 h"), (math.nan, "unknown"), (1e300, "over 999,999 min")],
)  # fmt: skip
def test_minutes(minutes: float, words: str) -> None:
    assert wording.minutes(minutes).replace(NBSP, " ") == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "1 event"), (1234, "1,234 events"), (-1000, f"{MINUS}1,000 events"), (0.3, "0.3 events"),
     (-0.01, "0 events"), (1e300, "countless events"), (math.inf, "unknown")],
)  # fmt: skip
def test_events(count: float, words: str) -> None:
    assert wording.events(count).replace(NBSP, " ") == words


def test_windows_and_lists() -> None:
    assert wording.window(RollingWindow(timedelta(days=30))) == f"30{NBSP}d"
    assert wording.window(CalendarWindow(CalendarUnit.MONTH)) == "this month"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.share(0.9995) == f"99.95{NBSP}%"


def test_sparkline_puts_what_is_overspent_on_the_floor() -> None:
    assert wording.sparkline([1.0, 0.5, 0.0, -3.0, math.nan]) == "█▅▁▁"
