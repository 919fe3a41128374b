"""Forgetting: buckets that no tier keeps any more, ids of pushed events, ledgers out of use."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ScalarSelect, and_, delete, func, not_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.ledger.rollups import DAY, HOUR, MINUTE, WIDTHS, instant, kept_from, seconds
from bot.store.database import Database
from bot.store.tables.core import buckets, event_ids
from bot.store.tables.core import slos as ledgers

IDS_KEPT = timedelta(days=7)
"""How long a pushed event's id is remembered: a sender may repeat it for that long."""

OUT_OF_USE_KEPT = timedelta(days=30)
"""How long the ledger of an SLO stays that is not in the catalog: a policy may be restored."""

_LEDGERS_AT_ONCE = 100


async def compact(database: Database, catalog: Collection[int], now: datetime, longest: timedelta) -> None:
    """Drop what need not be kept, in small transactions, so that nobody waits long for them.

    `catalog` are the numbers of the ledgers in use, `longest` the longest window.
    """
    async with database.transaction(in_turn=False) as connection:
        await connection.execute(update(ledgers).where(ledgers.c.id.in_(list(catalog))).values(seen_at=now))
        await connection.execute(delete(ledgers).where(ledgers.c.seen_at < now - OUT_OF_USE_KEPT))
        await connection.execute(delete(event_ids).where(event_ids.c.at < now - IDS_KEPT))
        kept = list(await connection.scalars(select(ledgers.c.id).order_by(ledgers.c.id)))
    for at in range(0, len(kept), _LEDGERS_AT_ONCE):
        async with database.transaction(in_turn=False) as connection:
            await _drop_old(connection, kept[at : at + _LEDGERS_AT_ONCE], now, longest)


async def _drop_old(
    connection: AsyncConnection, ids: Collection[int], now: datetime, longest: timedelta
) -> None:
    def newest(width: int) -> ScalarSelect[int]:
        mine = (buckets.c.slo_id == ledgers.c.id) & (buckets.c.width == width)
        return select(func.max(buckets.c.start)).where(mine).scalar_subquery()

    query = select(ledgers.c.id, ledgers.c.base, ledgers.c.refined, newest(MINUTE), newest(DAY))
    found = await connection.execute(query.where(ledgers.c.id.in_(list(ids))))
    for slo_id, base, refined, minute, day in found.all():
        # Counted from the newest events, not only from now: a clock that runs ahead for an hour
        # must not cost the history.
        ends = minute + MINUTE if minute is not None else (day or 0) + DAY
        horizon = min(now, instant(ends))
        for width in {base or MINUTE, *WIDTHS}:
            old = and_(
                buckets.c.slo_id == slo_id,
                buckets.c.width == width,
                buckets.c.start < kept_from(width, horizon, longest),
            )
            if width == MINUTE and refined is not None:
                hour = int(seconds(refined))
                old &= not_(buckets.c.start.between(hour, hour + HOUR - 1))
            await connection.execute(delete(buckets).where(old))
