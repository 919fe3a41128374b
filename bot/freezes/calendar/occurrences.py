"""When a freeze window comes, in UTC, without the days that it leaves out. Pure; no clock, no I/O."""

import hashlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.budgets.maintenance.recurrence import next_start
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.window import Span

_A_MOMENT = timedelta(seconds=1)
_MOST_LEFT_OUT = 1_000


def next_occurrence(window: FreezeWindow, at: datetime) -> Span | None:
    """Return the first occurrence that begins at that time or later; None if it does not come again."""
    for _ in range(_MOST_LEFT_OUT):
        start = next_start(window, at)
        if start is None:
            return None
        if start.astimezone(ZoneInfo(window.time_zone)).date() not in window.exceptions:
            return Span(start, start + window.duration)
        at = start + _A_MOMENT
    return None


def current_occurrence(window: FreezeWindow, now: datetime) -> Span | None:
    """Return the occurrence that has begun and is not over; None if there is none."""
    found = next_occurrence(window, now - window.duration + _A_MOMENT)
    return found if found is not None and found.start <= now < found.end else None


def fingerprint(window: FreezeWindow) -> str:
    """Return what changes when the window's times do."""
    days = sorted(day.isoformat() for day in window.exceptions)
    text = repr((window.start, window.time_zone, window.duration, window.rule, days))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
