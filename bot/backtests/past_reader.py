"""Reads SLOs' pasts from the ledger, after adjustments. Neither a ledger nor anything else comes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.backtests.past_counts import Cells, PastCounts, PastTimes, counted_cells, edges_of
from bot.backtests.replay import SloPast
from bot.budgets.adjustments.effects import AdjustmentPlanner
from bot.budgets.budget import EventCounts
from bot.budgets.downtime import BadSeconds
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.adjusted_sums import SumAdjuster, SumSpans, adjusted_by, seconds_of
from bot.budgets.ledger.covers import segments_of
from bot.budgets.ledger.exact_sums import exact_sums
from bot.budgets.ledger.ledger import fingerprint
from bot.budgets.ledger.rollups import FIVE_MINUTES, HOUR, MINUTE, ceil, instant, rollups_at, seconds
from bot.budgets.ledger.state import LedgerState
from bot.budgets.ledger.state_rows import read_states
from bot.budgets.source import Cell
from bot.catalog.slo import DowntimeSli, EventsSli, Slo
from bot.catalog.window import RollingWindow, Span, Window
from bot.formatting import duration_code
from bot.store.database import Database
from bot.store.tables.core import buckets
from bot.store.tables.core import slos as ledgers
from bot.store.value_lists import is_one_of

_WIDTHS = (HOUR, FIVE_MINUTES, MINUTE)


@dataclass(frozen=True, slots=True)
class _Stored:
    """An SLO's ledger: its id, its state, and the second from which on everything is counted."""

    id: int
    state: LedgerState
    first: int


class PastReader:
    """Reads the pasts of SLOs up to `now`; `downtime` is recorded beside the ledger."""

    def __init__(self, database: Database, downtime: BadSeconds, now: datetime) -> None:
        self._database = database
        self._downtime = downtime
        self._now = now
        self._times: dict[tuple[int, ...], PastTimes] = {}

    async def read(
        self, slos: Sequence[Slo], since: datetime, longest_burn: timedelta = timedelta()
    ) -> dict[Slo, SloPast | str]:
        """Return for each SLO its past, known so that it can be judged from `since` on, or why it cannot be.

        One of which less is known is judged from when its whole window is known. `longest_burn` is the
        longest time over which a burn rate is looked at.
        """

        def first_needed(slo: Slo) -> datetime:
            return min(slo.window.span(since).start, since - longest_burn)

        found: dict[Slo, SloPast | str] = {}
        async with self._database.reading() as connection:
            stored = await self._stored(connection, slos)
            start = min(map(first_needed, slos), default=since)
            cells = await self._cells(connection, sorted({each.id for each in stored.values()}), start)
            planners = await SumAdjuster(self._database).planners(connection, slos, start)
            for slo in slos:
                planner = planners.get(slo)
                if isinstance(slo.sli, DowntimeSli):
                    found[slo] = await self._recorded(slo, first_needed(slo), since, planner)
                elif slo not in stored:
                    found[slo] = _NEVER_COUNTED
                else:
                    ledger, own = stored[slo], cells.get(stored[slo].id, {})
                    found[slo] = await self._past(
                        slo, connection, ledger, own, (start, since), planner=planner
                    )
        return found

    async def _stored(self, connection: AsyncConnection, slos: Iterable[Slo]) -> dict[Slo, _Stored]:
        """Return the ledgers of those SLOs that have one with anything in it."""
        keys = {
            slo: (slo.service, slo.name, fingerprint(slo.sli))
            for slo in slos
            if not isinstance(slo.sli, DowntimeSli)
        }
        columns = ledgers.c
        query = select(columns.id, columns.service, columns.name, columns.fingerprint).where(
            is_one_of(columns.service, {slo.service for slo in keys})
        )
        rows = await connection.execute(query)
        id_of = {(row.service, row.name, row.fingerprint): row.id for row in rows}
        # Two sets of policies may set different objectives for what is counted alike.
        ids = {slo: id_of[key] for slo, key in keys.items() if key in id_of}
        states = await read_states(connection, ids.values())
        hours = select(buckets.c.slo_id, func.min(buckets.c.start)).where(
            is_one_of(buckets.c.slo_id, ids.values()), buckets.c.width == HOUR
        )
        oldest = {row[0]: row[1] for row in await connection.execute(hours.group_by(buckets.c.slo_id))}
        return {
            slo: _Stored(slo_id, states[slo_id], _first_second(slo, states[slo_id], oldest[slo_id]))
            for slo, slo_id in ids.items()
            if slo_id in oldest
        }

    async def _cells(
        self, connection: AsyncConnection, ids: Sequence[int], start: datetime
    ) -> Mapping[int, Cells]:
        """Return the stored buckets of ledgers, by the ledger's id."""
        found: dict[int, dict[int, Mapping[int, Cell]]] = {slo_id: {} for slo_id in ids}
        first, last = int(seconds(start)) - HOUR, int(seconds(self._now)) + HOUR
        for width in _WIDTHS if ids else ():
            for slo_id, cells in (
                await bucket_rows.between_of_many(connection, ids, width, first, last)
            ).items():
                found[slo_id][width] = cells
        return found

    async def _past(
        self,
        slo: Slo,
        connection: AsyncConnection,
        stored: _Stored,
        cells: Cells,
        times_needed: tuple[datetime, datetime],
        *,
        planner: AdjustmentPlanner | None,
    ) -> SloPast | str:
        """Return a counted past; `times_needed` are from when it is read and from when it is judged."""
        start, since = times_needed
        whole_from = _whole_from(slo.window, stored.first, since)
        if whole_from >= self._now:
            return _too_short(slo, stored.first)
        times = self._times_of(edges_of(rollups_at(stored.state, self._now), start, self._now))
        counted = counted_cells(times, cells)

        async def sum_spans(needed: Sequence[Span]) -> Sequence[EventCounts]:
            covers = [(span, segments_of(stored.state, span, self._now)) for span in needed]
            return await exact_sums(self._database, connection, (stored.id, stored.state), covers)

        is_adjusted = planner is not None and await _adjust(planner, times, counted, sum_spans)
        counted_from = None if isinstance(slo.sli, EventsSli) else instant(stored.first)
        return SloPast(PastCounts(times, counted), whole_from, is_adjusted, counted_from)

    async def _recorded(
        self, slo: Slo, start: datetime, since: datetime, planner: AdjustmentPlanner | None
    ) -> SloPast:
        """Return the recorded downtime as a past: every minute of the last hours, hours before.

        Its total is what adjustments add to the length of the time.
        """
        times = self._times_of(edges_of(rollups_at(LedgerState(base=MINUTE), self._now), start, self._now))
        recorded = await self._downtime(slo.service, _parts(times))
        lengths = [end - begin for begin, end in pairwise(times.edges)]
        cells: list[Cell] = list(zip(recorded, map(float, lengths), strict=True))

        async def sum_spans(needed: Sequence[Span]) -> Sequence[EventCounts]:
            return seconds_of(needed, await self._downtime(slo.service, needed))

        is_adjusted = planner is not None and await _adjust(planner, times, cells, sum_spans)
        added = [(bad, total - length) for (bad, total), length in zip(cells, lengths, strict=True)]
        return SloPast(PastCounts(times, added), since, is_adjusted=is_adjusted)

    def _times_of(self, edges: Sequence[int]) -> PastTimes:
        return self._times.setdefault(tuple(edges), PastTimes(edges))


async def _adjust(
    planner: AdjustmentPlanner, times: PastTimes, cells: list[Cell], sum_spans: SumSpans
) -> bool:
    """Put adjusted events in place of those of the parts that adjustments reach; return whether any is."""
    reached = [(index, span) for index, span in enumerate(_parts(times)) if planner.plan(span).parts]
    counted = [EventCounts(*cells[index]) for index, _ in reached]
    spans = [span for _, span in reached]
    adjusted = await adjusted_by(planner, spans, counted, sum_spans)
    for (index, _), after in zip(reached, adjusted, strict=True):
        cells[index] = after.bad, after.total
    return bool(reached)


def _parts(times: PastTimes) -> list[Span]:
    instants = [instant(edge) for edge in times.edges]
    return [Span(begin, end) for begin, end in pairwise(instants)]


_NEVER_COUNTED = (
    "the ledger holds nothing of it: it is new, or its SLI counts other events than before. "
    "What the policy would have done can be told once its window has been counted"
)


def _too_short(slo: Slo, first: int) -> str:
    begins = f"{instant(first):%Y-%m-%d %H:%M} UTC"
    if isinstance(slo.window, RollingWindow):
        window = f"less than one window of {duration_code(slo.window.length)}"
    else:
        window = f"no {slo.window.unit} that has started since"
    return f"the ledger reaches back to {begins}, {window}"


def _first_second(slo: Slo, state: LedgerState, oldest: int) -> int:
    """Return the whole hour from which on everything is counted."""
    if state.filled_from is not None and not isinstance(slo.sli, EventsSli):
        return max(oldest, ceil(seconds(state.filled_from), HOUR))
    # Of pushed events nothing says that their first hour was counted from its beginning.
    return oldest + HOUR


def _whole_from(window: Window, first: int, since: datetime) -> datetime:
    """Return from when on, not before `since`, the window holds nothing that was not counted."""
    counted_from = instant(first)
    if isinstance(window, RollingWindow):
        return max(since, counted_from + window.length)
    if window.span(since).start >= counted_from:
        return since
    period = window.period(counted_from)
    return max(since, period.start if period.start >= counted_from else period.end)
