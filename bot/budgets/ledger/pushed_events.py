"""Events that are pushed: counted once each, however often and to however many replicas they are sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, literal, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.ledger import buckets as bucket_rows
from bot.budgets.ledger.rollups import MINUTE, PUSHED_BASE, ceil, floor, instant, seconds, tiers
from bot.budgets.ledger.state import LedgerState
from bot.catalog.slo import Slo
from bot.store.database import Database
from bot.store.tables.core import Instant, event_ids
from bot.store.tables.core import slos as ledgers

SKEW = timedelta(minutes=1)
"""How far a sender's clock may be ahead of ours."""

_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class PushedEvent:
    """Some good and bad events of one moment. `id`, up to 200 characters, makes a repeat harmless."""

    slo: Slo
    good: float
    bad: float
    at: datetime
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PushResult:
    """How many pushed events were counted, and how many had been counted before."""

    accepted: int
    duplicates: int


def time_fault(at: datetime, now: datetime, longest: timedelta) -> str | None:
    """Return why events of that time cannot be counted, fit for their sender; None if they can."""
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
    """Count the events within the caller's transaction; `ids` are their ledgers' numbers."""
    new = await _unseen(database, connection, events, ids, now)
    pyramid = tiers(LedgerState(base=PUSHED_BASE), now)
    rows: bucket_rows.Rows = {}
    for event in new:
        at = seconds(event.at)
        for tier in pyramid:
            if at >= tier.since:
                key = ids[event.slo], tier.width, floor(at, tier.width)
                bad, total = rows.get(key, (0.0, 0.0))
                rows[key] = (bad + event.bad, total + event.good + event.bad)
    await bucket_rows.add(database, connection, rows)
    await _extend(connection, new, ids, now)
    return PushResult(len(new), len(events) - len(new))


async def _unseen(
    database: Database,
    connection: AsyncConnection,
    events: Sequence[PushedEvent],
    ids: Mapping[Slo, int],
    now: datetime,
) -> list[PushedEvent]:
    """Return the events that were not counted before, and remember their ids."""
    anonymous = [event for event in events if event.id is None]
    named: dict[tuple[int, str], PushedEvent] = {}
    for event in events:
        if event.id is not None:
            named.setdefault((ids[event.slo], event.id), event)
    keys = sorted(named)
    new: list[PushedEvent] = []
    for at in range(0, len(keys), _ROWS_AT_ONCE):
        rows = [{"slo_id": slo, "id": name, "at": now} for slo, name in keys[at : at + _ROWS_AT_ONCE]]
        statement = database.insert(event_ids).values(rows).on_conflict_do_nothing()
        kept = await connection.execute(statement.returning(event_ids.c.slo_id, event_ids.c.id))
        new += [named[slo_id, name] for slo_id, name in kept]
    return anonymous + new


async def _extend(
    connection: AsyncConnection,
    events: Sequence[PushedEvent],
    ids: Mapping[Slo, int],
    now: datetime,
) -> None:
    """Stretch what is filled over the events."""
    times: dict[int, list[float]] = {}
    for event in events:
        times.setdefault(ids[event.slo], []).append(seconds(event.at))
    column = ledgers.c
    for slo_id in sorted(times):
        first = literal(instant(floor(min(times[slo_id]), MINUTE)), Instant)
        last = literal(instant(ceil(max(times[slo_id]), PUSHED_BASE)), Instant)
        earlier = or_(column.filled_from.is_(None), column.filled_from > first)
        later = or_(column.filled_to.is_(None), column.filled_to < last)
        await connection.execute(
            update(ledgers)
            .where(column.id == slo_id)
            .values(
                filled_from=case((earlier, first), else_=column.filled_from),
                filled_to=case((later, last), else_=column.filled_to),
                read_at=now,
            )
        )
