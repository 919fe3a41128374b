"""Counts the events of an SLO before and after a change, apart from one another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.budgets.budget import HOUR, NO_EVENTS, EventCounts
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import PUSHED_BASE, base_width
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import EventsSli, Slo
from bot.catalog.window import Span
from bot.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """What was counted in the hour before a change, since it, and in the newest part of the time since."""

    before: EventCounts = NO_EVENTS
    since: EventCounts = NO_EVENTS
    recent: EventCounts = NO_EVENTS


class ChangeCounter:
    """Counts events around a change from the ledger."""

    def __init__(self, ledger: Ledger, current: CurrentCatalog, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._clock = clock

    async def count(
        self, slo: Slo, changed_at: datetime, recent: timedelta, until: datetime | None = None
    ) -> ChangeCounts:
        """Return the events around a change up to `until`, now if it is left out.

        Those of the change's own bucket are left out: they may have come before it or after.
        """
        every, now = self._current.catalog.workspace.evaluate_every, self._clock.now()
        end = now if until is None else min(until, now)
        width = timedelta(seconds=PUSHED_BASE if isinstance(slo.sli, EventsSli) else base_width(every))
        bucket = changed_at - (changed_at - _EPOCH) % width
        start = bucket if bucket == changed_at else bucket + width
        spans = [Span(bucket - HOUR, bucket)]
        if start < end:
            spans += [Span(start, end), Span(max(start, end - recent), end)]
        counted = await self._ledger.counts(slo, spans, now)
        return ChangeCounts(*counted)
