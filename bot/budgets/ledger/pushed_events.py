"""Pushed events: each is counted once, however often and to however many replicas it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import MOST_EVENTS
from bot.budgets.exact import NOTHING, exact
from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.rollups import DAY, MINUTE, PUSHED_BASE, ceil, floor, instant, rollups_at, seconds
from bot.budgets.ledger.state import LedgerState
from bot.budgets.source import Cell
from bot.catalog.slo import Slo
from bot.store.database import Database
from bot.store.tables.core import Instant, buckets, event_ids
from bot.store.tables.core import slos as ledgers
from bot.store.value_lists import is_one_of

SKEW = timedelta(minutes=1)
"""How far a sender's clock may be ahead of ours."""

_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class PushedEvent:
    """Good and bad events at one time. `id`, up to 200 characters, makes a repeat harmless."""

    slo: Slo
    good: float
    bad: float
    at: datetime
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PushResult:
    """How many pushed events were counted, and how many were duplicates."""

    accepted: int
    duplicates: int


class TooManyEventsError(Exception):
    """Events cannot be counted: `slo` would have more than `MOST_EVENTS` in all."""

    def __init__(self, slo: Slo) -> None:
        super().__init__(f"{slo.key} would have more than {MOST_EVENTS} events in all")
        self.slo = slo


def time_fault(at: datetime, now: datetime, longest: timedelta) -> str | None:
    """Return why events of that time cannot be counted, in words for their sender; None if they can."""
    if at > now + SKEW:
        return f"lies {(at - now).total_seconds():.0f} s in the future"
    if at < now - longest:
        return f"is older than the longest window, {longest.total_seconds() / 86_400:g} days"
    return None


async def count(
    database: Database,
    connection: AsyncConnection,
    events: Sequence[PushedEvent],
    ids: Mapping[Slo, int],
    now: datetime,
) -> PushResult:
    """Count the events within the caller's transaction; `ids` are the ids of their ledgers.

    Raises `TooManyEventsError`, after which the transaction must not be committed.
    """
    unseen = await _unseen(database, connection, events, ids, now)
    await _check_sums(connection, unseen, ids)
    rollups = rollups_at(LedgerState(base=PUSHED_BASE), now)
    cells: dict[tuple[int, int, int], Cell] = {}
    for event in unseen:
        at = seconds(event.at)
        for rollup in rollups:
            if at >= rollup.since:
                key = ids[event.slo], rollup.width, floor(at, rollup.width)
                bad, total = cells.get(key, (0.0, 0.0))
                cells[key] = (bad + event.bad, total + event.good + event.bad)
    await bucket_rows.add(database, connection, [(*key, *cell) for key, cell in cells.items()])
    await _extend_filled(connection, unseen, ids, now)
    return PushResult(len(unseen), len(events) - len(unseen))


async def _check_sums(
    connection: AsyncConnection, events: Sequence[PushedEvent], ids: Mapping[Slo, int]
) -> None:
    """Raise `TooManyEventsError` for an SLO that would have more events than can be told apart."""
    added: dict[Slo, Decimal] = {}
    for event in events:
        added[event.slo] = added.get(event.slo, NOTHING) + exact(event.good) + exact(event.bad)
    slo_ids = sorted(ids[slo] for slo in added)
    query = select(buckets.c.slo_id, func.sum(buckets.c.total).label("counted")).where(
        is_one_of(buckets.c.slo_id, slo_ids), buckets.c.width == DAY
    )
    rows = await connection.execute(query.group_by(buckets.c.slo_id))
    counted = {row.slo_id: row.counted for row in rows}
    for slo, more in added.items():
        # In decimals: in binary fractions one more than the most is the most.
        if more + Decimal(counted.get(ids[slo], 0)) > MOST_EVENTS:
            raise TooManyEventsError(slo)


async def _unseen(
    database: Database,
    connection: AsyncConnection,
    events: Sequence[PushedEvent],
    ids: Mapping[Slo, int],
    now: datetime,
) -> list[PushedEvent]:
    """Store the events' ids; return the events that were not counted before."""
    without_id = [event for event in events if event.id is None]
    by_id: dict[tuple[int, str], PushedEvent] = {}
    for event in events:
        if event.id is not None:
            by_id.setdefault((ids[event.slo], event.id), event)
    keys = sorted(by_id)
    unseen: list[PushedEvent] = []
    for at in range(0, len(keys), _ROWS_AT_ONCE):
        rows = [{"slo_id": slo, "id": event_id, "at": now} for slo, event_id in keys[at : at + _ROWS_AT_ONCE]]
        statement = database.insert(event_ids).values(rows).on_conflict_do_nothing()
        inserted = await connection.execute(statement.returning(event_ids.c.slo_id, event_ids.c.id))
        unseen += [by_id[slo_id, event_id] for slo_id, event_id in inserted]
    return without_id + unseen


async def _extend_filled(
    connection: AsyncConnection,
    events: Sequence[PushedEvent],
    ids: Mapping[Slo, int],
    now: datetime,
) -> None:
    """Extend the filled span of each ledger to its events."""
    times: dict[int, list[float]] = {}
    for event in events:
        times.setdefault(ids[event.slo], []).append(seconds(event.at))
    columns = ledgers.c
    for slo_id in sorted(times):
        first = literal(instant(floor(min(times[slo_id]), MINUTE)), Instant)
        last = literal(instant(ceil(max(times[slo_id]), PUSHED_BASE)), Instant)
        is_earlier = or_(columns.filled_from.is_(None), columns.filled_from > first)
        is_later = or_(columns.filled_to.is_(None), columns.filled_to < last)
        await connection.execute(
            update(ledgers)
            .where(columns.id == slo_id)
            .values(
                filled_from=case((is_earlier, first), else_=columns.filled_from),
                filled_to=case((is_later, last), else_=columns.filled_to),
                read_at=now,
            )
        )
