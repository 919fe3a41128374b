"""Phrases about budgets that replies and announcements share."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow
from bot.http.serializers import window_text as window_code
from bot.slack.announcements.budget_phrases import forecast_text, window_text
from tests.support.clock import NOW
from tests.support.values import budget


def test_window_of_an_slo_as_text() -> None:
    assert window_text(RollingWindow(timedelta(days=30))) == "30\u00a0d"
    assert window_text(CalendarWindow(CalendarUnit.MONTH)) == "this month"
    assert window_text(CalendarWindow(CalendarUnit.YEAR, "Europe/London")) == "this year"


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (CalendarUnit.WEEK, "this week (from Tuesday)"),
        (CalendarUnit.MONTH, "this month (from day 21)"),
        (CalendarUnit.QUARTER, "this quarter (from 21 January)"),
        (CalendarUnit.YEAR, "this year (from 21 January)"),
    ],
)
def test_a_window_with_a_start_of_its_own_as_text(unit: CalendarUnit, text: str) -> None:
    window = CalendarWindow(unit, start=datetime.fromisoformat("2020-01-21T12:30"))
    assert window_text(window) == text
    assert window_code(window) == f"calendar {unit} from 2020-01-21T12:30 (UTC)"


@pytest.mark.parametrize(
    ("earliest", "latest", "text"),
    [
        (90, 90, "Runs out in 1 h 30 min (T) at this rate."),
        (90, 441, "Runs out in 1 h 30 min to 7 h 21 min (T to T) at this rate."),
        (15, 30, "Runs out in 15 to 30 min (T to T) at this rate."),
        (15, 90, "Runs out in 15 min to 1 h 30 min (T to T) at this rate."),
        (90, None, "Runs out in 1 h 30 min (T) at the earliest."),
        (0.2, 20, "Runs out within 20 min (by T) at this rate."),
    ],
)
def test_when_a_budget_runs_out_is_a_range_while_an_alert_burns(
    earliest: float, latest: float | None, text: str
) -> None:
    end = None if latest is None else NOW + timedelta(minutes=latest)
    half = replace(budget(0.5), exhausts_at=NOW + timedelta(minutes=earliest), exhausts_latest=end)
    said = re.sub("<[^>]*>", "T", forecast_text(half, NOW).replace("\u00a0", " "))
    assert said == text
