"""Retention: deletes expired buckets, ids of pushed events and ledgers out of use."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ScalarSelect, and_, delete, func, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.adjustments.records import read_edges
from bot.budgets.ledger.rollups import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    MINUTE,
    WIDTHS,
    floor,
    instant,
    kept_from,
    seconds,
)
from bot.store.database import Database
from bot.store.retention.deletion import delete_rows
from bot.store.retention.rules import RULES, UNUSED
from bot.store.tables.core import buckets, event_ids
from bot.store.tables.core import slos as ledgers
from bot.store.value_lists import is_one_of

_SEEN_AT_ONCE = 1_000
_LEDGERS_AT_ONCE = 10
"""So many ledgers' hour is deleted in one transaction: some hundred rows."""


async def delete_expired(
    database: Database, used: Collection[int], now: datetime, longest: timedelta
) -> None:
    """Delete expired rows in small transactions, so that no other writer waits long.

    `used` are the ids of the ledgers in the catalog, `longest` is the longest window.
    """
    async with database.reading() as connection:
        edges = await read_edges(connection, instant(kept_from(HOUR, now, longest)))
    adjusted = {service: _cut_hours(times) for service, times in edges.items()}
    await _note_seen(database, sorted(used), now)
    await delete_rows(database, event_ids, RULES[event_ids].expired_at(now))
    await _delete_unused(database, now)
    async with database.reading() as connection:
        remaining = list(await connection.scalars(select(ledgers.c.id).order_by(ledgers.c.id)))
    for first in range(0, len(remaining), _LEDGERS_AT_ONCE):
        async with database.transaction(in_turn=False) as connection:
            await _delete_expired_buckets(
                connection, remaining[first : first + _LEDGERS_AT_ONCE], now, longest, adjusted
            )


async def _note_seen(database: Database, used: Sequence[int], now: datetime) -> None:
    """Record which ledgers are in use; one that never was counts from now on as out of use."""
    for first in range(0, len(used), _SEEN_AT_ONCE):
        are_used = is_one_of(ledgers.c.id, used[first : first + _SEEN_AT_ONCE])
        async with database.transaction(in_turn=False) as connection:
            await connection.execute(update(ledgers).where(are_used).values(seen_at=now))
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(update(ledgers).where(ledgers.c.seen_at.is_(None)).values(seen_at=now))


async def _delete_unused(database: Database, now: datetime) -> None:
    """Delete the ledgers that are out of use, their thousands of buckets first and little by little."""
    is_unused = ledgers.c.seen_at < now - UNUSED
    unused = select(ledgers.c.id).where(is_unused)
    for table in (buckets, event_ids):
        await delete_rows(database, table, table.c.slo_id.in_(unused))
    await delete_rows(database, ledgers, is_unused)


async def _delete_expired_buckets(
    connection: AsyncConnection,
    ids: Collection[int],
    now: datetime,
    longest: timedelta,
    adjusted: Mapping[str, Collection[int]],
) -> None:
    """Delete expired buckets; `adjusted` are the hours in which adjustments begin or end, by service."""

    def newest(width: int) -> ScalarSelect[int]:
        buckets_of_width = (buckets.c.slo_id == ledgers.c.id) & (buckets.c.width == width)
        return select(func.max(buckets.c.start)).where(buckets_of_width).scalar_subquery()

    query = select(
        ledgers.c.id, ledgers.c.service, ledgers.c.base, ledgers.c.refined, newest(MINUTE), newest(DAY)
    )
    rows = await connection.execute(query.where(is_one_of(ledgers.c.id, ids)))
    for slo_id, service, base, refined, newest_minute, newest_day in rows.all():
        # From the newest events, not only from now: a clock that runs ahead for an hour must not cost
        # the history.
        newest_end = newest_minute + MINUTE if newest_minute is not None else (newest_day or 0) + DAY
        horizon = min(now, instant(newest_end))
        for width in {base or MINUTE, *WIDTHS}:
            expired = and_(
                buckets.c.slo_id == slo_id,
                buckets.c.width == width,
                buckets.c.start < kept_from(width, horizon, longest),
            )
            if width == MINUTE and refined is not None:
                hour = int(seconds(refined))
                expired &= not_(buckets.c.start.between(hour, hour + HOUR - 1))
            if width in (MINUTE, FIVE_MINUTES) and service in adjusted:
                hour_of = buckets.c.start - buckets.c.start % HOUR
                expired &= hour_of.not_in(sorted(adjusted[service]))
            await connection.execute(delete(buckets).where(expired))


def _cut_hours(times: Collection[datetime]) -> frozenset[int]:
    """Return the starts of the hours within which one of the times lies."""
    return frozenset(floor(seconds(at), HOUR) for at in times if seconds(at) % HOUR)
