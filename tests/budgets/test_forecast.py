"""When enough of a budget will be left again, if it burns on as in the last hour."""

from datetime import timedelta
from decimal import Decimal

from bot.budgets.budget import NO_EVENTS, EventCounts, recovers_at
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow
from tests.support.clock import DAY, HOUR, NOW
from tests.support.values import slo

# Ten days of 1,000 events a day; on the third, three days after which seven are left, 30 of them failed.
WINDOW = RollingWindow(10 * DAY)
DAYS = [NOW - day * DAY for day in range(9, -1, -1)]
AGING = [(ended, EventCounts(30.0 if index == 2 else 0.0, 1_000)) for index, ended in enumerate(DAYS)]
STEADY = EventCounts(0, 1_000 / 24)
PROMISE = slo(objective=0.999, window=WINDOW)


def test_a_budget_recovers_when_the_errors_have_left_the_window() -> None:
    when = recovers_at(PROMISE, AGING, hourly=STEADY, target=Decimal("0.1"), now=NOW)
    assert when == AGING[2][0] + WINDOW.length == NOW + 3 * DAY


def test_it_does_not_while_it_burns_on() -> None:
    burning = EventCounts(1, 1_000 / 24)
    assert recovers_at(PROMISE, AGING, hourly=burning, target=Decimal("0.1"), now=NOW) is None


def test_it_does_where_what_goes_on_is_within_the_budget() -> None:
    mild = EventCounts(0.0004 * 1_000 / 24, 1_000 / 24)
    assert recovers_at(PROMISE, AGING, hourly=mild, target=Decimal("0.5"), now=NOW) == NOW + 3 * DAY


def test_without_traffic_nobody_can_tell() -> None:
    nothing = [(ended, NO_EVENTS) for ended in DAYS]
    assert recovers_at(PROMISE, nothing, hourly=NO_EVENTS, target=Decimal("0.1"), now=NOW) is None


def test_a_calendar_window_begins_anew_at_its_end() -> None:
    monthly = slo(window=CalendarWindow(CalendarUnit.MONTH, "Europe/London"))
    when = recovers_at(monthly, AGING, hourly=STEADY, target=Decimal("0.1"), now=NOW)
    assert when is not None
    assert when - NOW == timedelta(days=7) + 15 * HOUR
