"""The ledger: the good and bad events of every SLO, per stretch of time, in the store.

Budgets, burn rates and histories are sums over it. Buckets lie in a pyramid of widths (`tiers.py`);
whatever is written to a width is added to the wider ones as a difference, in the same transaction.
It knows nothing of sources: `collector.py` brings it what they say.
"""

import asyncio
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import String, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import EventCounts
from bot.budgets.downtime import BadSeconds, none_recorded
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger import pushed_events
from bot.budgets.ledger.buckets import Cell
from bot.budgets.ledger.pushed_events import PushedEvent, PushResult
from bot.budgets.ledger.retention import compact
from bot.budgets.ledger.rollups import (
    DAY,
    HOUR,
    MINUTE,
    PUSHED_BASE,
    WIDTHS,
    Segment,
    Tier,
    ceil,
    cover,
    floor,
    instant,
    only_hours_before,
    seconds,
    tiers,
)
from bot.budgets.ledger.state import OVERLAP, LedgerState, ReadFault, after_writing
from bot.budgets.ledger.sum_cache import SumCache, SumPlan, plan
from bot.budgets.source import Bucket
from bot.catalog.slo import EventsSli, Sli, Slo
from bot.catalog.window import Span
from bot.store import signals
from bot.store.database import Database
from bot.store.tables.core import slos as ledgers

__all__ = ["Ledger", "LedgerState", "PushResult", "PushedEvent", "ReadFault", "fingerprint"]

_Name = tuple[str, str, Sli]
_STATE = [ledgers.c[field.name] for field in dataclasses.fields(LedgerState)]
_FAULT = [column.name for column in _STATE].index("fault")


def fingerprint(sli: Sli) -> str:
    """Return a text that is the same as long as the SLI counts the same events."""
    fields = {"type": type(sli).__name__, **dataclasses.asdict(sli)}
    written = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()


class Ledger:
    """The ledgers of all SLOs in one database. Any number of processes may use it at once.

    SLOs that were not enrolled are enrolled by their first use.
    """

    def __init__(self, database: Database, downtime: BadSeconds = none_recorded) -> None:
        self.downtime = downtime
        """What SLOs of the kind `downtime` are counted from; it is kept elsewhere."""
        self._database = database
        self._ids: dict[_Name, int] = {}
        self._catalog: set[int] = set()
        self._sums = SumCache()

    async def enrol(self, slos: Sequence[Slo]) -> None:
        """Take these as the catalog's SLOs. A changed SLI begins a ledger of its own."""
        self._catalog = set((await self._identify(slos)).values())

    async def states(self, slos: Sequence[Slo]) -> list[LedgerState]:
        """Return how far each ledger is filled, in the order asked."""
        ids = await self._identify(slos)
        async with self._database.reading() as connection:
            found = await _states(connection, ids.values())
        return [found[ids[slo]] for slo in slos]

    async def state(self, slo: Slo) -> LedgerState:
        """Return how far the ledger is filled, and how its last reading went."""
        return (await self.states([slo]))[0]

    async def write(
        self,
        told: Sequence[tuple[Slo, Sequence[Bucket]]],
        span: Span,
        width: timedelta,
        now: datetime,
    ) -> dict[Slo, LedgerState]:
        """Replace what was counted in `span` by these buckets of `width`, and clear the fault.

        All SLOs' in one transaction; answers how far they are filled then. The span is aligned to the
        width. Where it does not adjoin what is filled, what is filled begins anew with it. Raises
        `ValueError` for a span or width that the pyramid has no place for.
        """
        wide = int(width.total_seconds())
        start, end = _aligned(span, wide)
        ids = await self._identify([slo for slo, _ in told])
        new = {ids[slo]: bucket_rows.cells(buckets, wide) for slo, buckets in told}
        widths = (wide, *(tier for tier in WIDTHS if tier > wide))
        if not new:
            return {}
        self._sums.forget(new, start)
        async with self._database.transaction(in_turn=False) as connection:
            states = await _states(connection, new, lock=True)
            for slo, slo_id in ids.items():
                if wide not in (states[slo_id].base, *WIDTHS[:-1]):
                    raise ValueError(f"{slo.key} keeps no buckets of {wide} s")
            old = await bucket_rows.between_of_many(connection, list(new), wide, start, end)
            rows: bucket_rows.Rows = {}
            for slo_id, cells in new.items():
                changes = bucket_rows.differences(old.get(slo_id, {}), cells, start, end)
                rows |= bucket_rows.spread(slo_id, changes, widths)
            await bucket_rows.add(self._database, connection, rows)
            after = await _note_written(connection, states, span, wide, now)
        return {slo: after[slo_id] for slo, slo_id in ids.items()}

    async def refine(self, told: Sequence[tuple[Slo, Sequence[Bucket]]], hour: Span) -> Collection[Slo]:
        """Keep an old hour minute by minute beside the hour's own bucket, in place of the last such.

        Minutes that do not add up to the hour are not taken: the source has forgotten some. Answers
        whose were taken.
        """
        start, end = _aligned(hour, HOUR)
        ids = await self._identify([slo for slo, _ in told])
        new = {ids[slo]: bucket_rows.cells(buckets, MINUTE) for slo, buckets in told}
        if not new:
            return ()
        async with self._database.transaction(in_turn=False) as connection:
            await _states(connection, new, lock=True)
            hours = await bucket_rows.between_of_many(connection, list(new), HOUR, start, end)
            old = await bucket_rows.between_of_many(connection, list(new), MINUTE, start, end)
            rows: bucket_rows.Rows = {}
            taken = {
                slo_id
                for slo_id, minutes in new.items()
                if bucket_rows.add_up(minutes.values(), hours.get(slo_id, {}).get(start, (0.0, 0.0)))
            }
            for slo_id in taken:
                changes = bucket_rows.differences(old.get(slo_id, {}), new[slo_id], start, end)
                rows |= bucket_rows.spread(slo_id, changes, (MINUTE,))
            await bucket_rows.add(self._database, connection, rows)
            await connection.execute(
                update(ledgers).where(ledgers.c.id.in_(sorted(taken))).values(refined=hour.start)
            )
        return {slo for slo, slo_id in ids.items() if slo_id in taken}

    async def rebase(self, slo: Slo, base: int, now: datetime) -> None:
        """Make `base` seconds the finest width; a ledger in use has it from the next minute on."""
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.transaction(in_turn=False) as connection:
            state = (await _states(connection, [slo_id], lock=True))[slo_id]
            if state.base == base:
                return
            await bucket_rows.forget_below_minute(connection, slo_id)
            begins = None if state.filled_to is None else instant(ceil(seconds(now), MINUTE))
            await connection.execute(
                update(ledgers).where(ledgers.c.id == slo_id).values(base=base, base_from=begins)
            )

    async def cut_back(self, slo: Slo, now: datetime) -> None:
        """Forget what a clock that was ahead has filled: all times of which more than hours are kept.

        The hours before were told of times that have passed by any clock.
        """
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.transaction(in_turn=False) as connection:
            state = (await _states(connection, [slo_id], lock=True))[slo_id]
            since = only_hours_before(now)
            self._sums.forget([slo_id], since)
            await bucket_rows.forget_from(self._database, connection, slo_id, since)
            begins = min(state.filled_from or instant(since), instant(since))
            complete = dict.fromkeys(("base_from", "minutes_from", "fives_from"), instant(since))
            values = {"filled_from": begins, "filled_to": instant(since), **complete}
            await connection.execute(update(ledgers).where(ledgers.c.id == slo_id).values(**values))

    async def note_failure(self, slos: Sequence[Slo], fault: ReadFault, problem: str, now: datetime) -> None:
        """Remember that the last reading failed, and why, in words for the policy's owner."""
        del now  # the age of what is counted is told by `filled_to`
        ids = (await self._identify(slos)).values()
        async with self._database.transaction(in_turn=False) as connection:
            await connection.execute(
                update(ledgers).where(ledgers.c.id.in_(sorted(ids))).values(fault=fault, problem=problem)
            )

    async def push(self, events: Sequence[PushedEvent], now: datetime) -> PushResult:
        """Count pushed events, all or none; one whose id was seen for its SLO counts no more."""
        ids = await self._identify([event.slo for event in events])
        async with self._database.transaction(in_turn=False) as connection:
            signals.mark(connection, signals.Topic.EVENTS)
            return await pushed_events.count(self._database, connection, events, ids, now)

    async def counts(self, slo: Slo, spans: Sequence[Span], now: datetime) -> list[EventCounts]:
        """Sum the events of each span."""
        return (await self.counts_of_many([(slo, spans)], now))[0]

    async def counts_of_many(
        self,
        asked: Sequence[tuple[Slo, Sequence[Span]]],
        now: datetime,
        known: Mapping[Slo, LedgerState] | None = None,
    ) -> list[list[EventCounts]]:
        """Sum the events of each span of each SLO, with one statement for all of them.

        Up to `now` everything counted is in; where a span begins amid the narrowest bucket that is
        kept, that bucket's share is taken. `known` are the ledgers' states, if they were just asked for.
        """
        ids = await self._identify([slo for slo, _ in asked])
        async with self._database.reading() as connection:
            if known is None:
                found = await _states(connection, ids.values())
                known = {slo: found[slo_id] for slo, slo_id in ids.items()}
            # The same for all that are counted alike: thousands of SLOs need few plans.
            plans: dict[tuple[LedgerState, bool, tuple[Span, ...]], SumPlan] = {}
            questions = []
            for slo, spans in asked:
                state, is_pushed = known[slo], isinstance(slo.sli, EventsSli)
                key = state, is_pushed, tuple(spans)
                if key not in plans:
                    covers = [_segments(state, span, now) for span in spans]
                    plans[key] = plan(covers, 0 if is_pushed else _lasts_until(state))
                    # Nobody else should wait for the planning of thousands that are not alike.
                    await asyncio.sleep(0)
                questions.append((ids[slo], state, plans[key]))
            return await self._sums.of(self._database, connection, questions)

    async def history(self, slo: Slo, span: Span, points: int, now: datetime) -> Sequence[Bucket]:
        """Return the span as about `points` adjoining buckets of one width, oldest first.

        They begin at the kept bucket that the span begins in. Empty ones are there, with zeros.
        """
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.reading() as connection:
            state = (await _states(connection, [slo_id]))[slo_id]
            tier = _tier_for(span, points, tiers(state, now))
            start, end = floor(seconds(span.start), tier), ceil(seconds(span.end), tier)
            found = await bucket_rows.between(connection, slo_id, tier, start, end)
        wide = tier * max(1, round((end - start) / tier / points))
        return [_merged(found, at, min(wide, end - at), tier) for at in range(start, end, wide)]

    async def compact(self, now: datetime, longest: timedelta) -> None:
        """Drop buckets that no tier keeps any more, old event ids, and ledgers long out of use.

        `longest` is the longest window of the catalog.
        """
        await compact(self._database, self._catalog, now, longest)
        async with self._database.reading() as connection:
            left = set(await connection.scalars(select(ledgers.c.id)))
        self._ids = {name: slo_id for name, slo_id in self._ids.items() if slo_id in left}
        self._sums.keep(left)

    async def _identify(self, slos: Sequence[Slo]) -> Mapping[Slo, int]:
        """Return the ledgers' numbers; begin those that are not there."""
        unknown = {_name(slo) for slo in slos if _name(slo) not in self._ids}
        if unknown:
            wanted = {(service, name, fingerprint(sli)): sli for service, name, sli in unknown}
            async with self._database.transaction(in_turn=False) as connection:
                begin = self._database.insert(ledgers).on_conflict_do_nothing()
                rows = [_beginning(*key, sli) for key, sli in sorted(wanted.items(), key=lambda i: i[0])]
                await connection.execute(begin, rows)
                columns = ledgers.c.id, ledgers.c.service, ledgers.c.name, ledgers.c.fingerprint
                known = (await connection.execute(select(*columns))).all()
            # Not before the commit: whoever finds a number here reads its row through another connection.
            for row in known:
                sli = wanted.get((row.service, row.name, row.fingerprint))
                if sli is not None:
                    self._ids[row.service, row.name, sli] = row.id
        return {slo: self._ids[_name(slo)] for slo in slos}


def _name(slo: Slo) -> _Name:
    return slo.service, slo.name, slo.sli


def _beginning(service: str, name: str, mark: str, sli: Sli) -> dict[str, object]:
    base = PUSHED_BASE if isinstance(sli, EventsSli) else None
    return {"service": service, "name": name, "fingerprint": mark, "base": base}


async def _states(
    connection: AsyncConnection, ids: Iterable[int], *, lock: bool = False
) -> dict[int, LedgerState]:
    """Return the ledgers' states, one object for all that are alike, as thousands are."""
    wanted = select(ledgers.c.id, *_STATE).where(ledgers.c.id.in_(list(ids)))
    if lock:
        # In one order, so that two writers never wait for each other crosswise.
        wanted = wanted.order_by(ledgers.c.id).with_for_update()
    rows = wanted.subquery()
    state = [rows.c[column.name] for column in _STATE]
    alike = func.aggregate_strings(cast(rows.c.id, String), ",")
    found: dict[int, LedgerState] = {}
    for numbers, *values in await connection.execute(select(alike, *state).group_by(*state)):
        if values[_FAULT] is not None:
            values[_FAULT] = ReadFault(values[_FAULT])
        found |= dict.fromkeys(map(int, numbers.split(",")), LedgerState(*values))
    return found


async def _note_written(
    connection: AsyncConnection, states: Mapping[int, LedgerState], span: Span, width: int, now: datetime
) -> dict[int, LedgerState]:
    """Write down how far ledgers are filled after `span` was told; answer their states."""
    alike: dict[LedgerState, list[int]] = defaultdict(list)
    for slo_id, state in states.items():
        alike[state].append(slo_id)
    after: dict[int, LedgerState] = {}
    for state, ids in alike.items():
        values: dict[str, Any] = {
            **after_writing(state, span, width),
            "read_at": now,
            "fault": None,
            "problem": None,
        }
        await connection.execute(update(ledgers).where(ledgers.c.id.in_(sorted(ids))).values(values))
        after |= dict.fromkeys(ids, dataclasses.replace(state, **values))
    return after


def _aligned(span: Span, width: int) -> tuple[int, int]:
    start, end = seconds(span.start), seconds(span.end)
    if start % width or end % width or start > end:
        raise ValueError(f"{span} is not made of buckets of {width} s")
    return int(start), int(end)


def _segments(state: LedgerState, span: Span, now: datetime) -> tuple[Segment, ...]:
    pyramid = tiers(state, now)
    end = seconds(span.end)
    if span.end >= min(now, state.filled_to or now):
        # Nothing is counted after this moment: the bucket that holds it counts as a whole.
        finest = next(tier for tier in pyramid if tier.since <= floor(end, MINUTE))
        span = Span(span.start, instant(floor(end, finest.width) + finest.width))
    return _covering(span, pyramid, state.refined)


def _lasts_until(state: LedgerState) -> int:
    """Return the second, a whole hour, before which nothing is read again."""
    return 0 if state.filled_to is None else floor(seconds(state.filled_to - OVERLAP), HOUR)


@lru_cache(maxsize=4_096)
def _covering(span: Span, pyramid: tuple[Tier, ...], refined: datetime | None) -> tuple[Segment, ...]:
    """Remember what covers a span: it is the same for all SLOs that are counted alike."""
    return tuple(cover(span, pyramid, refined))


def _tier_for(span: Span, points: int, pyramid: Sequence[Tier]) -> int:
    wanted = span.length.total_seconds() / points
    kept = [tier.width for tier in pyramid if tier.since <= seconds(span.start)]
    return max((width for width in kept if width <= wanted), default=min(kept, default=DAY))


def _merged(found: Mapping[int, Cell], start: int, width: int, tier: int) -> Bucket:
    cells = [found[at] for at in range(start, start + width, tier) if at in found]
    bad, total = (sum(values) for values in zip(*cells, strict=True)) if cells else (0.0, 0.0)
    return Bucket(instant(start), timedelta(seconds=width), bad, total)
