"""Retention: deletes expired buckets, ids of pushed events and ledgers out of use."""

from collections.abc import Collection, Mapping
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
from bot.store.tables.core import buckets, event_ids
from bot.store.tables.core import slos as ledgers

ID_RETENTION = timedelta(days=7)
"""How long a pushed event's id is kept: a sender may repeat it for that long."""

UNUSED_RETENTION = timedelta(days=30)
"""How long the ledger of an SLO is kept that is not in the catalog: a policy may be restored."""

_LEDGERS_AT_ONCE = 100


async def delete_expired(
    database: Database, used: Collection[int], now: datetime, longest: timedelta
) -> None:
    """Delete expired rows in small transactions, so that no other writer waits long.

    `used` are the ids of the ledgers in the catalog, `longest` is the longest window.
    """
    async with database.reading() as connection:
        edges = await read_edges(connection, instant(kept_from(HOUR, now, longest)))
    adjusted = {service: _cut_hours(times) for service, times in edges.items()}
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(update(ledgers).where(ledgers.c.id.in_(list(used))).values(seen_at=now))
        await connection.execute(delete(ledgers).where(ledgers.c.seen_at < now - UNUSED_RETENTION))
        await connection.execute(delete(event_ids).where(event_ids.c.at < now - ID_RETENTION))
        remaining = list(await connection.scalars(select(ledgers.c.id).order_by(ledgers.c.id)))
    for first in range(0, len(remaining), _LEDGERS_AT_ONCE):
        async with database.transaction(in_turn=False) as connection:
            await _delete_expired_buckets(
                connection, remaining[first : first + _LEDGERS_AT_ONCE], now, longest, adjusted
            )


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
    rows = await connection.execute(query.where(ledgers.c.id.in_(list(ids))))
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
