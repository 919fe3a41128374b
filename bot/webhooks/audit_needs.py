"""Which rows of the audit log webhooks still need: those must not be archived."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables.webhooks import webhook_deliveries, webhook_endpoints
from bot.webhooks.records import RETURNS_WITHIN


async def first_needed_row(connection: AsyncConnection, now: datetime) -> int | None:
    """Return the first row that deliveries are made of, or may be made of; None without webhooks.

    A delivery is made of its row at each attempt, so a row is needed as long as its delivery is kept: it may
    be tried again, or asked for again.
    """
    endpoints = webhook_endpoints.c
    follows = endpoints.removed_at.is_(None) | (endpoints.removed_at >= now - RETURNS_WITHIN)
    cursor = await connection.scalar(select(func.min(endpoints.cursor)).where(follows))
    delivered = await connection.scalar(select(func.min(webhook_deliveries.c.audit_id)))
    needed = [row for row in (None if cursor is None else cursor + 1, delivered) if row is not None]
    return min(needed, default=None)
