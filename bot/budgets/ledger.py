"""The ledger: the good and bad events of every SLO, per stretch of time, in the store.

Budgets, burn rates and histories are sums over it. Buckets lie in a pyramid of widths (`tiers.py`);
whatever is written to a width is added to the wider ones as a difference, in the same transaction.
It knows nothing of sources: `collector.py` brings it what they say.
"""

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets import bucket_rows, pushed_events
from bot.budgets.bucket_rows import Asked, Cell
from bot.budgets.budget import Events
from bot.budgets.compaction import compact
from bot.budgets.downtime import BadSeconds, none_recorded
from bot.budgets.ledger_state import Fault, LedgerState, after_writing
from bot.budgets.pushed_events import Pushed, PushedEvent
from bot.budgets.slo import EventsSli, Sli, Slo
from bot.budgets.source import Bucket
from bot.budgets.tiers import (
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
from bot.budgets.window import Span
from bot.store.database import Database
from bot.store.tables import slos as ledgers

__all__ = ["Fault", "Ledger", "LedgerState", "Pushed", "PushedEvent", "fingerprint"]

_Name = tuple[str, str, Sli]
_AT_A_STRETCH = 10


def fingerprint(sli: Sli) -> str:
    """Answer a text that is the same as long as the SLI counts the same events."""
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

    async def enrol(self, slos: Sequence[Slo]) -> None:
        """Take these as the catalog's SLOs. A changed SLI begins a ledger of its own."""
        self._catalog = set((await self._identify(slos)).values())

    async def states(self, slos: Sequence[Slo]) -> list[LedgerState]:
        """Answer how far each ledger is filled, in the order asked."""
        ids = await self._identify(slos)
        async with self._database.reading() as connection:
            found = await _states(connection, ids.values())
        return [found[ids[slo]] for slo in slos]

    async def state(self, slo: Slo) -> LedgerState:
        """Answer how far the ledger is filled, and how its last reading went."""
        return (await self.states([slo]))[0]

    async def write(
        self, slo: Slo, span: Span, buckets: Sequence[Bucket], width: timedelta, now: datetime
    ) -> None:
        """Replace what was counted in `span` by these buckets of `width`, and clear the fault.

        The span is aligned to the width. Where it does not adjoin what is filled, what is filled
        begins anew with it. Raises `ValueError` for a span or width that the pyramid has no place for.
        """
        wide = int(width.total_seconds())
        start, end = _aligned(span, wide)
        new = bucket_rows.cells(buckets, wide)
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.transaction(in_turn=False) as connection:
            state = (await _states(connection, [slo_id], lock=True))[slo_id]
            if wide not in (state.base, *WIDTHS[:-1]):
                raise ValueError(f"{slo.key} keeps no buckets of {wide} s")
            old = await bucket_rows.between(connection, slo_id, wide, start, end)
            changes = bucket_rows.differences(old, new, start, end)
            wider = [tier for tier in WIDTHS if tier > wide]
            rows = bucket_rows.spread(slo_id, changes, (wide, *wider))
            await bucket_rows.add(self._database, connection, rows)
            await connection.execute(
                update(ledgers)
                .where(ledgers.c.id == slo_id)
                .values(**after_writing(state, span, wide), read_at=now, fault=None, problem=None)
            )

    async def refine(self, slo: Slo, hour: Span, buckets: Sequence[Bucket]) -> bool:
        """Keep an old hour minute by minute beside the hour's own bucket, in place of the last such.

        Minutes that do not add up to the hour are not taken: the source has forgotten some. Answers
        whether they were taken.
        """
        start, end = _aligned(hour, HOUR)
        slo_id = (await self._identify([slo]))[slo]
        minutes = bucket_rows.cells(buckets, MINUTE)
        async with self._database.transaction(in_turn=False) as connection:
            await _states(connection, [slo_id], lock=True)
            whole = (await bucket_rows.between(connection, slo_id, HOUR, start, end)).get(start, (0.0, 0.0))
            if not bucket_rows.add_up(minutes.values(), whole):
                return False
            old = await bucket_rows.between(connection, slo_id, MINUTE, start, end)
            changes = bucket_rows.differences(old, minutes, start, end)
            rows = bucket_rows.spread(slo_id, changes, (MINUTE,))
            await bucket_rows.add(self._database, connection, rows)
            await connection.execute(update(ledgers).where(ledgers.c.id == slo_id).values(refined=hour.start))
        return True

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
            await bucket_rows.forget_from(self._database, connection, slo_id, since)
            begins = min(state.filled_from or instant(since), instant(since))
            complete = dict.fromkeys(("base_from", "minutes_from", "fives_from"), instant(since))
            values = {"filled_from": begins, "filled_to": instant(since), **complete}
            await connection.execute(update(ledgers).where(ledgers.c.id == slo_id).values(**values))

    async def note_failure(self, slo: Slo, fault: Fault, problem: str, now: datetime) -> None:
        """Remember that the last reading failed, and why, in words for the policy's owner."""
        del now  # the age of what is counted is told by `filled_to`
        slo_id = (await self._identify([slo]))[slo]
        async with self._database.transaction(in_turn=False) as connection:
            await connection.execute(
                update(ledgers).where(ledgers.c.id == slo_id).values(fault=fault, problem=problem)
            )

    async def push(self, events: Sequence[PushedEvent], now: datetime) -> Pushed:
        """Count pushed events, all or none; one whose id was seen for its SLO counts no more."""
        ids = await self._identify([event.slo for event in events])
        async with self._database.transaction(in_turn=False) as connection:
            return await pushed_events.count(self._database, connection, events, ids, now)

    async def counts(self, slo: Slo, spans: Sequence[Span], now: datetime) -> list[Events]:
        """Sum the events of each span."""
        return (await self.counts_of_many([(slo, spans)], now))[0]

    async def counts_of_many(
        self, asked: Sequence[tuple[Slo, Sequence[Span]]], now: datetime
    ) -> list[list[Events]]:
        """Sum the events of each span of each SLO, with one statement for all of them.

        Up to `now` everything counted is in; where a span begins amid the narrowest bucket that is
        kept, that bucket's share is taken.
        """
        ids = await self._identify([slo for slo, _ in asked])
        async with self._database.reading() as connection:
            found = await _states(connection, ids.values())
            questions = []
            for number, (slo, spans) in enumerate(asked):
                covered = tuple(_segments(found[ids[slo]], span, now) for span in spans)
                questions.append(Asked(ids[slo], covered))
                if number % _AT_A_STRETCH == 0:
                    # Thousands of SLOs take a while to plan: nobody else should wait for all of it.
                    await asyncio.sleep(0)
            return await bucket_rows.sums(self._database, connection, questions)

    async def history(self, slo: Slo, span: Span, points: int, now: datetime) -> Sequence[Bucket]:
        """Answer the span as about `points` adjoining buckets of one width, oldest first.

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

    async def _identify(self, slos: Sequence[Slo]) -> Mapping[Slo, int]:
        """Answer the ledgers' numbers; begin those that are not there."""
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
    names = [field.name for field in dataclasses.fields(LedgerState)]
    columns = [ledgers.c[name] for name in names]
    query = select(ledgers.c.id, *columns).where(ledgers.c.id.in_(list(ids)))
    if lock:
        query = query.with_for_update()
    found = {}
    for slo_id, *values in await connection.execute(query):
        state = LedgerState(*values)
        fault = None if state.fault is None else Fault(state.fault)
        found[slo_id] = dataclasses.replace(state, fault=fault)
    return found


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
