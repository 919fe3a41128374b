"""The periods into which a picture divides a span: days, or weeks from Monday on. Pure; no clock.

They begin at fixed times, whatever the span is, so that a picture of tomorrow shows the same past.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.catalog.window import Span

MOST_PERIODS: Final = 20
"""As many as Slack draws."""

_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_LONGEST_BY_DAY: Final = timedelta(days=14)
_WEEKS: Final = (1, 2, 4, 8, 13, 26)


def periods_of(span: Span) -> Sequence[Span]:
    """Return the periods, oldest first, at most twenty; the first and the last are cut at the span's ends."""
    if span.length <= _LONGEST_BY_DAY:
        return _divided(span, _DAY)
    widths = (timedelta(weeks=weeks) for weeks in _WEEKS)
    divided = (_divided(span, width) for width in widths)
    return next((each for each in divided if len(each) <= MOST_PERIODS), [span])


def _divided(span: Span, width: timedelta) -> list[Span]:
    start = _MONDAY + (span.start - _MONDAY) // width * width
    found = []
    while start < span.end:
        found.append(Span(max(start, span.start), min(start + width, span.end)))
        start += width
    return found
