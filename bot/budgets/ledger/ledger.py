"""The ledger: the good and bad events of every SLO, by time bucket, in the database.

Budgets, burn rates and histories are sums over it. There are buckets of several widths (`rollups.py`); a
write to one width is added to the wider ones as a difference, in the same transaction. It knows nothing
of sources: `collector.py` reads them and writes to it.
"""

import copy
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from bot.budgets.adjustments.effects import NOTHING_LEFT_OUT, LeftOutTime
from bot.budgets.budget import EventCounts
from bot.budgets.downtime import BadSeconds, none_recorded
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger import pushed_events
from bot.budgets.ledger.adjusted_sums import SumAdjuster, Supposition, adjusted_by, seconds_of
from bot.budgets.ledger.covers import segments_of
from bot.budgets.ledger.lateness import lateness_of
from bot.budgets.ledger.pushed_events import PushedEvent, PushResult
from bot.budgets.ledger.raised_delay import after_raising_delay
from bot.budgets.ledger.retention import delete_expired
from bot.budgets.ledger.rollups import (
    DAY,
    HOUR,
    MINUTE,
    PUSHED_BASE,
    WIDTHS,
    Rollup,
    ceil,
    floor,
    instant,
    only_hours_before,
    rollups_at,
    seconds,
)
from bot.budgets.ledger.state import OVERLAP, LedgerState, ReadFault
from bot.budgets.ledger.state_rows import read_states, record_write
from bot.budgets.ledger.sum_cache import SumCache, SumPlan, plan
from bot.budgets.source import Bucket, Cell
from bot.catalog.slo import EventsSli, Sli, Slo
from bot.catalog.window import Span
from bot.pacing import Pacer
from bot.store import signals
from bot.store.database import Database
from bot.store.tables.core import slos as ledgers
from bot.store.value_lists import is_one_of

__all__ = ["Ledger", "LedgerState", "PushResult", "PushedEvent", "ReadFault", "fingerprint"]

_LEDGERS_AT_ONCE = 500
_SECONDS_OF_A_NEW_LEDGER = timedelta(minutes=5)


def fingerprint(sli: Sli) -> str:
    """Return a hash that stays the same as long as the SLI counts the same events."""
    fields = {"type": type(sli).__name__, **dataclasses.asdict(sli)}
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """The ledgers of all SLOs in one database. Any number of processes may use it at once.

    An SLO gets a ledger by its first use.
    """

    def __init__(self, database: Database, downtime: BadSeconds = none_recorded) -> None:
        self.downtime = downtime
        """The recorded downtime, for SLOs of the kind `downtime`; it is not in the ledger."""
        self._database = database
        self._adjuster = SumAdjuster(database)
        self._ids: dict[tuple[str, str], dict[Sli, int]] = defaultdict(dict)
        self._registered: set[int] = set()
        self._sums = SumCache()

    async def register(self, slos: Sequence[Slo]) -> None:
        """Make these the catalog's SLOs. A changed SLI gets a new ledger."""
        self._registered = set((await self._identify(slos)).values())

    async def states(self, slos: Sequence[Slo]) -> list[LedgerState]:
        """Return the state of each SLO's ledger, in the order given."""
        ids = await self._identify(slos)
        async with self._database.reading() as connection:
            states = await read_states(connection, ids.values())
        return [states[ids[slo]] for slo in slos]

    async def state(self, slo: Slo) -> LedgerState:
        """Return how far the ledger is filled, and whether its last read failed."""
        return (await self.states([slo]))[0]

    async def write(
        self,
        readings: Sequence[tuple[Slo, Sequence[Bucket]]],
        span: Span,
        width: timedelta,
        now: datetime,
        newest: Mapping[Slo, datetime] | None = None,
    ) -> dict[Slo, LedgerState]:
        """Replace the events of `span` by these buckets of `width`, and clear the fault.

        `newest` are the newest samples of the SLOs whose source lags behind the end of the span.

        All SLOs are written in one transaction; returns their ledgers' states after it. The span is
        aligned to the width. Where it does not adjoin the filled span, it replaces it. Raises `ValueError`
        for a span or width that does not fit the ledger's rollups.
        """
        width_s = int(width.total_seconds())
        start, end = _aligned(span, width_s)
        ids = await self._identify([slo for slo, _ in readings])
        new_cells = {ids[slo]: bucket_rows.cells(buckets, width_s) for slo, buckets in readings}
        wider = tuple(each for each in WIDTHS if each > width_s)
        if not new_cells:
            return {}
        self._sums.invalidate(new_cells, start)
        async with self._database.transaction(in_turn=False) as connection:
            states = await read_states(connection, new_cells, lock=True)
            for slo, slo_id in ids.items():
                if width_s not in (states[slo_id].base, *WIDTHS[:-1]):
                    raise ValueError(f"{slo.key} keeps no buckets of {width_s} s")
            old_cells = await bucket_rows.between_of_many(connection, list(new_cells), width_s, start, end)
            rows: list[bucket_rows.Row] = []
            late: dict[int, timedelta] = {}
            pace = Pacer()
            for slo_id, cells in new_cells.items():
                await pace()
                changes = bucket_rows.differences(old_cells.get(slo_id, {}), cells, start, end)
                rows += bucket_rows.rows_of(slo_id, changes, width_s, wider)
                lateness = lateness_of(changes, width_s, states[slo_id], end)
                if lateness is not None:
                    late[slo_id] = lateness
            await bucket_rows.add(self._database, connection, rows)
            samples = {ids[slo]: _start_of_minute(at) for slo, at in (newest or {}).items()}
            after = await record_write(connection, states, span, width_s, now, newest=samples, late=late)
        return {slo: after[slo_id] for slo, slo_id in ids.items()}

    async def refine(self, readings: Sequence[tuple[Slo, Sequence[Bucket]]], hour: Span) -> Collection[Slo]:
        """Keep an old hour minute by minute beside the hour's own bucket, replacing the last such hour.

        Minutes that do not add up to the hour are rejected: the source no longer has all of them. Returns
        the SLOs whose minutes were accepted.
        """
        start, end = _aligned(hour, HOUR)
        ids = await self._identify([slo for slo, _ in readings])
        new_cells = {ids[slo]: bucket_rows.cells(buckets, MINUTE) for slo, buckets in readings}
        if not new_cells:
            return ()
        async with self._database.transaction(in_turn=False) as connection:
            await read_states(connection, new_cells, lock=True)
            hours = await bucket_rows.between_of_many(connection, list(new_cells), HOUR, start, end)
            old_cells = await bucket_rows.between_of_many(connection, list(new_cells), MINUTE, start, end)
            rows: list[bucket_rows.Row] = []
            accepted = {
                slo_id
                for slo_id, minutes in new_cells.items()
                if bucket_rows.add_up(minutes.values(), hours.get(slo_id, {}).get(start, (0.0, 0.0)))
            }
            for slo_id in accepted:
                changes = bucket_rows.differences(old_cells.get(slo_id, {}), new_cells[slo_id], start, end)
                rows += bucket_rows.rows_of(slo_id, changes, MINUTE)
            await bucket_rows.add(self._database, connection, rows)
            await connection.execute(
                update(ledgers).where(is_one_of(ledgers.c.id, accepted)).values(refined=hour.start)
            )
        return {slo for slo, slo_id in ids.items() if slo_id in accepted}

    async def change_resolution(self, slos: Sequence[Slo], base: int, now: datetime) -> None:
        """Make `base` seconds the finest width of these ledgers.

        One in use has it from the next minute on, a new one for the last minutes: the seconds of hours would
        be thousands of buckets, which no decision needs.
        """
        ids = sorted((await self._identify(slos)).values())
        for first in range(0, len(ids), _LEDGERS_AT_ONCE):
            async with self._database.transaction(in_turn=False) as connection:
                states = await read_states(connection, ids[first : first + _LEDGERS_AT_ONCE], lock=True)
                alike: dict[datetime | None, list[int]] = defaultdict(list)
                for slo_id, state in states.items():
                    if state.base != base:
                        alike[_base_from(state, base, now)].append(slo_id)
                for base_from, changed in alike.items():
                    await bucket_rows.delete_below_minute(connection, changed)
                    values = {"base": base, "base_from": base_from}
                    await connection.execute(
                        update(ledgers).where(is_one_of(ledgers.c.id, changed)).values(values)
                    )

    async def truncate(self, slo: Slo, now: datetime) -> None:
        """Delete what was filled by a clock that was ahead: all times that have buckets finer than hours.

        The hours before are in the past by any clock.
        """
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.transaction(in_turn=False) as connection:
            state = (await read_states(connection, [slo_id], lock=True))[slo_id]
            since = only_hours_before(now)
            self._sums.invalidate([slo_id], since)
            await bucket_rows.delete_from(self._database, connection, slo_id, since)
            filled_from = min(state.filled_from or instant(since), instant(since))
            complete_since = dict.fromkeys(("base_from", "minutes_from", "fives_from"), instant(since))
            is_kept = state.refined is not None and state.refined < instant(since)
            values = {
                "filled_from": filled_from,
                "filled_to": instant(since),
                "refined": state.refined if is_kept else None,
                "newest": None,
                **complete_since,
            }
            await connection.execute(update(ledgers).where(ledgers.c.id == slo_id).values(**values))

    async def change_delay(self, states: Mapping[Slo, LedgerState], delay: timedelta, now: datetime) -> None:
        """Set how late the source's events come, of ledgers in these states.

        Where that is later than it was, what was read may lack events: nothing is known then of the time of
        which minutes are kept, until it is read again.
        """
        ids = await self._identify(list(states))
        alike: dict[tuple[tuple[str, datetime | None], ...], list[int]] = defaultdict(list)
        for slo, state in states.items():
            alike[tuple(after_raising_delay(state, delay, now).items())].append(ids[slo])
        values = {"delay_s": int(delay.total_seconds()), "late_s": None, "late_at": None}
        async with self._database.transaction(in_turn=False) as connection:
            for changes, slo_ids in alike.items():
                await connection.execute(
                    update(ledgers).where(is_one_of(ledgers.c.id, slo_ids)).values(values | dict(changes))
                )

    async def record_failure(self, slos: Sequence[Slo], fault: ReadFault, problem: str) -> None:
        """Store that the last read failed, and why, in words for the policy's owner."""
        ids = (await self._identify(slos)).values()
        async with self._database.transaction(in_turn=False) as connection:
            await connection.execute(
                update(ledgers).where(is_one_of(ledgers.c.id, ids)).values(fault=fault, problem=problem)
            )

    async def push(self, events: Sequence[PushedEvent], now: datetime) -> PushResult:
        """Count pushed events, all or none; one whose id is known for its SLO is a duplicate.

        Raises `TooManyEventsError` where an SLO would have more than can be counted exactly.
        """
        ids = await self._identify([event.slo for event in events])
        async with self._database.transaction(in_turn=False) as connection:
            signals.mark(connection, signals.Topic.EVENTS)
            return await pushed_events.count(self._database, connection, events, ids, now)

    async def counts(self, slo: Slo, spans: Sequence[Span], now: datetime) -> list[EventCounts]:
        """Sum the events of each span."""
        return (await self.counts_of_many([(slo, spans)], now))[0]

    async def counts_of_many(
        self,
        requests: Sequence[tuple[Slo, Sequence[Span]]],
        now: datetime,
        states: Mapping[Slo, LedgerState] | None = None,
    ) -> list[list[EventCounts]]:
        """Sum the events of each span of each SLO, with one statement for all of them.

        Everything counted up to `now` is included; where a span begins within the narrowest bucket that
        is kept, that bucket's share is taken. `states` are the ledgers' states, if they were just read.
        Adjustments in force are subtracted: such sums are `AdjustedCounts`.
        """
        ids = await self._identify([slo for slo, _ in requests])
        async with self._database.reading() as connection:
            if states is None:
                states_by_id = await read_states(connection, ids.values())
                states = {slo: states_by_id[slo_id] for slo, slo_id in ids.items()}
            # SLOs with the same state and spans share a plan: thousands of SLOs need few plans.
            plans: dict[tuple[LedgerState, bool, tuple[Span, ...]], SumPlan] = {}
            sum_requests = []
            pace = Pacer()
            for slo, spans in requests:
                await pace()
                state, is_pushed = states[slo], isinstance(slo.sli, EventsSli)
                key = state, is_pushed, tuple(spans)
                if key not in plans:
                    covers = [segments_of(state, span, now) for span in spans]
                    plans[key] = plan(covers, 0 if is_pushed else _final_until(state))
                sum_requests.append((ids[slo], state, plans[key]))
            counted = await self._sums.sums(self._database, connection, sum_requests)
            known = states
            return await self._adjuster.adjust(
                connection, requests, counted, lambda slo: (ids[slo], known[slo]), now
            )

    async def downtime_counts(self, slo: Slo, spans: Sequence[Span]) -> list[EventCounts]:
        """Return the seconds of each span, of an SLO that counts recorded downtime, after adjustments."""

        async def sum_spans(needed: Sequence[Span]) -> list[EventCounts]:
            return seconds_of(needed, await self.downtime(slo.service, needed))

        counted = await sum_spans(spans)
        if not spans:
            return counted
        async with self._database.reading() as connection:
            since = min(span.start for span in spans)
            planner = (await self._adjuster.planners(connection, [slo], since)).get(slo)
        return counted if planner is None else await adjusted_by(planner, spans, counted, sum_spans)

    async def left_out(self, slo: Slo, since: datetime) -> LeftOutTime:
        """Return the times of an SLO that adjustments in force leave out and that end after `since`."""
        async with self._database.reading() as connection:
            planner = (await self._adjuster.planners(connection, [slo], since)).get(slo)
        return NOTHING_LEFT_OUT if planner is None else planner.left_out

    def supposing(self, supposition: Supposition) -> "Ledger":
        """Return this ledger as its sums would be under a supposition; it is not to be written to."""
        supposed = copy.copy(self)
        supposed._adjuster = self._adjuster.supposing(supposition)  # noqa: SLF001 - a copy of itself
        return supposed

    async def history(self, slo: Slo, span: Span, points: int, now: datetime) -> Sequence[Bucket]:
        """Return the span as about `points` adjoining buckets of one width, oldest first.

        The first begins where the stored bucket begins that contains the span's start. Empty buckets are
        included, with zeros.
        """
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.reading() as connection:
            state = (await read_states(connection, [slo_id]))[slo_id]
            stored = _width_for(span, points, rollups_at(state, now))
            start, end = floor(seconds(span.start), stored), ceil(seconds(span.end), stored)
            cells = await bucket_rows.between(connection, slo_id, stored, start, end)
            width = stored * max(1, round((end - start) / stored / points))
            merged = [_merged(cells, at, min(width, end - at), stored) for at in range(start, end, width)]
            spans = [Span(bucket.start, bucket.start + bucket.width) for bucket in merged]
            counted = [[EventCounts(bucket.bad, bucket.total) for bucket in merged]]
            (counts,) = await self._adjuster.adjust(
                connection, [(slo, spans)], counted, lambda _: (slo_id, state), now
            )
        return [
            dataclasses.replace(bucket, bad=events.bad, total=events.total)
            for bucket, events in zip(merged, counts, strict=True)
        ]

    async def cells_of_many(
        self, slos: Sequence[Slo], span: Span, width: int, now: datetime
    ) -> dict[Slo, dict[int, Cell]]:
        """Return the stored buckets of one width (an hour or a day, seconds) that begin in a span.

        They are by their start, in seconds since the epoch; each is bad events and all events, after
        adjustments.
        """
        if not slos:
            return {}
        ids = await self._identify(slos)
        start, end = int(seconds(span.start)), int(seconds(span.end))
        async with self._database.reading() as connection:
            cells = await bucket_rows.between_of_many(connection, list(ids.values()), width, start, end)
            adjusted = list(await self._adjuster.planners(connection, slos, span.start))
            states = await read_states(connection, [ids[slo] for slo in adjusted]) if adjusted else {}
            requests = [(slo, _spans_of(cells.get(ids[slo], {}), width)) for slo in adjusted]
            counted = [[EventCounts(*cell) for cell in cells.get(ids[slo], {}).values()] for slo in adjusted]
            counts = await self._adjuster.adjust(
                connection, requests, counted, lambda slo: (ids[slo], states[ids[slo]]), now
            )
        for slo, events in zip(adjusted, counts, strict=True):
            starts = cells.get(ids[slo], {})
            cells[ids[slo]] = {at: (each.bad, each.total) for at, each in zip(starts, events, strict=True)}
        return {slo: cells.get(slo_id, {}) for slo, slo_id in ids.items()}

    async def counted_from(self, slo: Slo, span: Span) -> datetime | None:
        """Return since when events are counted within a span: its first day with any, or where reading began.

        None without events.
        """
        first_day = instant(floor(seconds(span.start), DAY))
        days = (await self.cells_of_many([slo], Span(first_day, span.end), DAY, span.end))[slo]
        oldest = min((at for at, (_, total) in days.items() if total > 0), default=None)
        if oldest is None:
            return None
        filled_from = (await self.state(slo)).filled_from
        return instant(oldest) if filled_from is None else max(instant(oldest), filled_from)

    async def delete_expired(self, now: datetime, longest: timedelta) -> None:
        """Delete expired buckets, old event ids, and ledgers long out of use.

        `longest` is the longest window of the catalog.
        """
        await delete_expired(self._database, self._registered, now, longest)
        async with self._database.reading() as connection:
            remaining = set(await connection.scalars(select(ledgers.c.id)))
        for name, ids in list(self._ids.items()):
            self._ids[name] = {sli: slo_id for sli, slo_id in ids.items() if slo_id in remaining}
            if not self._ids[name]:
                del self._ids[name]
        self._sums.retain(remaining)

    async def _identify(self, slos: Sequence[Slo]) -> Mapping[Slo, int]:
        """Return the ids of the SLOs' ledgers; create missing ledgers."""
        found: dict[Slo, int] = {}
        pace = Pacer()
        for slo in slos:
            await pace()
            slo_id = self._known_id(slo)
            if slo_id is not None:
                found[slo] = slo_id
        unknown = [slo for slo in slos if slo not in found]
        if unknown:
            missing = {(slo.service, slo.name, fingerprint(slo.sli)): slo.sli for slo in unknown}
            async with self._database.transaction(in_turn=False) as connection:
                insert = self._database.insert(ledgers).on_conflict_do_nothing()
                rows = [_new_row(*key, sli) for key, sli in sorted(missing.items(), key=lambda i: i[0])]
                await connection.execute(insert, rows)
                columns = ledgers.c.id, ledgers.c.service, ledgers.c.name, ledgers.c.fingerprint
                stored = (await connection.execute(select(*columns))).all()
            # Not before the commit: an id found here is read through other connections.
            for row in stored:
                sli = missing.get((row.service, row.name, row.fingerprint))
                if sli is not None:
                    self._ids[row.service, row.name][sli] = row.id
            found |= {slo: self._ids[slo.service, slo.name][slo.sli] for slo in unknown}
        return found

    def _known_id(self, slo: Slo) -> int | None:
        # Nearly always there is one, the same object: to hash an SLI takes longer.
        for sli, slo_id in self._ids.get((slo.service, slo.name), {}).items():
            if sli is slo.sli or sli == slo.sli:
                return slo_id
        return None


def _start_of_minute(at: datetime) -> datetime:
    """Return the start of the minute of a sample: other series may lack samples of it yet."""
    return instant(floor(seconds(at), MINUTE))


def _new_row(service: str, name: str, fingerprint: str, sli: Sli) -> dict[str, object]:
    base = PUSHED_BASE if isinstance(sli, EventsSli) else None
    return {"service": service, "name": name, "fingerprint": fingerprint, "base": base}


def _aligned(span: Span, width: int) -> tuple[int, int]:
    start, end = seconds(span.start), seconds(span.end)
    if start % width or end % width or start > end:
        raise ValueError(f"{span} is not made of buckets of {width} s")
    return int(start), int(end)


def _final_until(state: LedgerState) -> int:
    """Return the second, a whole hour, before which no bucket is written again."""
    return 0 if state.counted_to is None else floor(seconds(state.counted_to - OVERLAP), HOUR)


def _width_for(span: Span, points: int, rollups: Sequence[Rollup]) -> int:
    widest = span.length.total_seconds() / points
    widths = [rollup.width for rollup in rollups if rollup.since <= seconds(span.start)]
    return max((width for width in widths if width <= widest), default=min(widths, default=DAY))


def _spans_of(cells: Mapping[int, Cell], width: int) -> list[Span]:
    return [Span(instant(at), instant(at + width)) for at in cells]


def _merged(cells: Mapping[int, Cell], start: int, width: int, stored: int) -> Bucket:
    merged = [cells[second] for second in range(start, start + width, stored) if second in cells]
    bad, total = (sum(values) for values in zip(*merged, strict=True)) if merged else (0.0, 0.0)
    return Bucket(instant(start), timedelta(seconds=width), bad, total)


def _base_from(state: LedgerState, base: int, now: datetime) -> datetime | None:
    """Return from when on a ledger whose finest width becomes `base` has it (None: from the start)."""
    if state.filled_to is not None:
        return instant(ceil(seconds(now), MINUTE))
    return None if base == MINUTE else instant(ceil(seconds(now - _SECONDS_OF_A_NEW_LEDGER), MINUTE))
