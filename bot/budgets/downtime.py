"""The port to recorded downtime, for SLOs of the kind `downtime`: time itself is the event."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from bot.budgets.budget import EventCounts
from bot.catalog.slo import Slo
from bot.catalog.window import Span

_SECOND = timedelta(seconds=1)

BadSeconds = Callable[[str, Sequence[Span]], Awaitable[Sequence[float]]]
"""Returns how many seconds of full outage of a service were recorded within each span."""

DowntimeCounts = Callable[[Slo, Sequence[Span]], Awaitable[Sequence[EventCounts]]]
"""Returns the seconds of each span as events, after adjustments: the ledger's `downtime_counts`."""


async def none_recorded(service: str, spans: Sequence[Span]) -> Sequence[float]:
    """Return no downtime for each span."""
    del service
    return [0.0] * len(spans)


async def window_and_recent(
    counts: DowntimeCounts, slo: Slo, recent: Sequence[timedelta], now: datetime
) -> tuple[EventCounts, dict[timedelta, EventCounts]]:
    """Return the events of the SLO's window, whose total is the full window, and of the recent lengths."""
    span = slo.window.span(now)
    so_far, *others = await counts(slo, [span, *(Span(now - length, now) for length in recent)])
    to_come = (slo.window.full_length(now) - span.length) / _SECOND
    window_events = replace(so_far, total=so_far.total + to_come)
    return window_events, dict(zip(recent, others, strict=True))


async def equal_parts(
    counts: DowntimeCounts, slo: Slo, span: Span, points: int
) -> list[tuple[datetime, EventCounts]]:
    """Return the span's events in `points` equal parts, each with its end, oldest first.

    Their total is the window's full length: of a calendar window, the days to come count too.
    """
    width = span.length / points
    cuts = [*(span.start + width * number for number in range(points)), span.end]
    parts = [Span(start, end) for start, end in pairwise(cuts)]
    to_come = (slo.window.full_length(span.end) - span.length) / _SECOND / points
    counted = await counts(slo, parts)
    return [
        (part.end, EventCounts(events.bad, events.total + to_come))
        for part, events in zip(parts, counted, strict=True)
    ]


async def full_windows(counts: DowntimeCounts, slo: Slo, moments: Sequence[datetime]) -> list[EventCounts]:
    """Return the events of the windows that ended at past moments, each with its full length as its total."""
    spans = [slo.window.span(at) for at in moments]
    counted = await counts(slo, spans)
    return [
        EventCounts(events.bad, events.total + (slo.window.full_length(at) - span.length) / _SECOND)
        for at, span, events in zip(moments, spans, counted, strict=True)
    ]


async def recent_events(counts: DowntimeCounts, slo: Slo, span: Span) -> EventCounts:
    """Return the events of one span; its total is its length in seconds."""
    (events,) = await counts(slo, [span])
    return events
