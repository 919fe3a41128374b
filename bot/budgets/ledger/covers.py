"""Which buckets of a ledger cover a span, the newest ones included. Pure."""

from datetime import datetime
from functools import lru_cache

from bot.budgets.ledger.rollups import (
    MINUTE,
    Rollup,
    Segment,
    ceil,
    cover,
    floor,
    instant,
    rollups_at,
    seconds,
)
from bot.budgets.ledger.state import LedgerState
from bot.catalog.window import Span


def segments_of(state: LedgerState, span: Span, now: datetime) -> tuple[Segment, ...]:
    """Return the segments whose sum is the span's, of a ledger in this state."""
    rollups = rollups_at(state, now)
    end = seconds(span.end)
    if span.end >= min(now, state.filled_to or now):
        # Nothing is counted after the end: the bucket that contains it counts as a whole.
        width = next(rollup.width for rollup in rollups if rollup.since <= floor(end, MINUTE))
        # Only where a delay was raised, what comes next was counted before: reads end with a whole bucket.
        until = ceil(end, width) if state.delay else floor(end, width) + width
        span = Span(span.start, instant(until))
    return _cached_cover(span, rollups, state.refined)


@lru_cache(maxsize=1_024)
def _cached_cover(span: Span, rollups: tuple[Rollup, ...], refined: datetime | None) -> tuple[Segment, ...]:
    """Cache the cover of a span: it is the same for all SLOs with the same state."""
    return tuple(cover(span, rollups, refined))
