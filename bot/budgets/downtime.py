"""The port to recorded downtime, for SLOs of the kind `downtime`: time itself is the event."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from bot.budgets.budget import EventCounts
from bot.catalog.slo import Slo
from bot.catalog.window import Span

_SECOND = timedelta(seconds=1)

BadSeconds = Callable[[str, Sequence[Span]], Awaitable[Sequence[float]]]
"""Returns how many seconds of full outage of a service were recorded within each span."""


async def none_recorded(service: str, spans: Sequence[Span]) -> Sequence[float]:
    """Return no downtime for each span."""
    del service
    return [0.0] * len(spans)


async def window_and_recent(
    bad_seconds: BadSeconds, slo: Slo, recent: Sequence[timedelta], now: datetime
) -> tuple[EventCounts, dict[timedelta, EventCounts]]:
    """Return the events of the SLO's window, whose total is the full window, and of the recent lengths."""
    spans = [slo.window.span(now), *(Span(now - length, now) for length in recent)]
    bad, *others = await bad_seconds(slo.service, spans)
    window_events = EventCounts(bad, slo.window.full_length(now) / _SECOND)
    return window_events, {
        length: EventCounts(seconds, length / _SECOND) for length, seconds in zip(recent, others, strict=True)
    }


async def equal_parts(
    bad_seconds: BadSeconds, slo: Slo, span: Span, points: int
) -> list[tuple[datetime, EventCounts]]:
    """Return the span's events in `points` equal parts, each with its end, oldest first.

    Their total is the window's full length: of a calendar window, the days to come count too.
    """
    width = span.length / points
    cuts = [*(span.start + width * number for number in range(points)), span.end]
    bad = await bad_seconds(slo.service, [Span(start, end) for start, end in pairwise(cuts)])
    total = slo.window.full_length(span.end) / _SECOND / points
    return [(end, EventCounts(seconds, total)) for end, seconds in zip(cuts[1:], bad, strict=True)]


async def full_windows(bad_seconds: BadSeconds, slo: Slo, moments: Sequence[datetime]) -> list[EventCounts]:
    """Return the events of the windows that ended at past moments, each with its full length as its total."""
    bad = await bad_seconds(slo.service, [slo.window.span(at) for at in moments])
    return [
        EventCounts(seconds, slo.window.full_length(at) / _SECOND)
        for at, seconds in zip(moments, bad, strict=True)
    ]


async def recent_events(bad_seconds: BadSeconds, slo: Slo, span: Span) -> EventCounts:
    """Return the events of one span; its total is its length in seconds."""
    (bad,) = await bad_seconds(slo.service, [span])
    return EventCounts(bad, span.length / _SECOND)
