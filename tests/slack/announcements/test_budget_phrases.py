"""Phrases about budgets that replies and announcements share."""

from datetime import timedelta

from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow
from bot.slack.announcements.budget_phrases import window_text


def test_window_of_an_slo_as_text() -> None:
    assert window_text(RollingWindow(timedelta(days=30))) == "30\u00a0d"
    assert window_text(CalendarWindow(CalendarUnit.MONTH)) == "this month"
