"""The rows of the table `adjustments`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState, CountsAs
from bot.catalog.window import Span
from bot.store.tables.adjustments import adjustments as table
from bot.store.value_lists import is_one_of


async def read_in_force(
    connection: AsyncConnection, services: Collection[str], since: datetime
) -> Mapping[str, Sequence[Adjustment]]:
    """Return the adjustments that count and end after `since`, by service, oldest first."""
    query = select(table).where(
        table.c.state == AdjustmentState.APPROVED,
        table.c.ends_at > since,
        is_one_of(table.c.service, services),
    )
    found: dict[str, list[Adjustment]] = {}
    for row in await connection.execute(query.order_by(table.c.id)):
        found.setdefault(row.service, []).append(adjustment_of(row))
    return found


async def read_steps(
    connection: AsyncConnection, service: str, since: datetime, until: datetime
) -> Sequence[Adjustment]:
    """Return what began to count, or was reversed, between two times; the latest first."""
    begun_at = func.coalesce(table.c.decided_at, table.c.asked_at)
    has_begun = (table.c.state == AdjustmentState.APPROVED) & begun_at.between(since, until)
    has_ended = (table.c.state == AdjustmentState.REVERSED) & table.c.reversed_at.between(since, until)
    query = select(table).where(table.c.service == service, has_begun | has_ended)
    found = [adjustment_of(row) for row in await connection.execute(query)]
    return sorted(found, key=_last_step, reverse=True)


def _last_step(adjustment: Adjustment) -> datetime:
    return adjustment.reversed_at or adjustment.decided_at or adjustment.asked_at


async def read_edges(connection: AsyncConnection, since: datetime) -> Mapping[str, frozenset[datetime]]:
    """Return, by service, the starts and ends of what counts or may come to count and ends after `since`."""
    counting = (AdjustmentState.APPROVED, AdjustmentState.WAITING)
    query = select(table.c.service, table.c.starts_at, table.c.ends_at).where(
        table.c.state.in_(counting), table.c.ends_at > since
    )
    edges: dict[str, set[datetime]] = {}
    for service, start, end in await connection.execute(query):
        edges.setdefault(service, set()).update((start, end))
    return {service: frozenset(times) for service, times in edges.items()}


async def read_one(connection: AsyncConnection, number: int, *, lock: bool = False) -> Adjustment | None:
    """Return the adjustment of that number; None if there is none."""
    query = select(table).where(table.c.id == number)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else adjustment_of(row)


async def read_of_service(connection: AsyncConnection, service: str, since: datetime) -> Sequence[Adjustment]:
    """Return what was asked about a service that ends after `since`; newest first."""
    open_ones = or_(table.c.ends_at > since, table.c.state == AdjustmentState.WAITING)
    query = select(table).where(table.c.service == service, open_ones).order_by(table.c.id.desc())
    return [adjustment_of(row) for row in await connection.execute(query)]


def adjustment_of(row: Row[Any]) -> Adjustment:
    """Return a row as a value."""
    return Adjustment(
        id=row.id,
        service=row.service,
        slo=row.slo,
        kind=AdjustmentKind(row.kind),
        counts_as=CountsAs(row.counts_as),
        span=Span(row.starts_at, row.ends_at),
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        bad_events=row.bad_events,
        state=AdjustmentState(row.state),
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reversed_by=row.reversed_by,
        reversed_at=row.reversed_at,
    )


def row_values(adjustment: Adjustment, request: str) -> dict[str, Any]:
    """Return the columns of a new adjustment; `request` is its idempotency key."""
    return {
        "service": adjustment.service,
        "slo": adjustment.slo,
        "kind": str(adjustment.kind),
        "counts_as": str(adjustment.counts_as),
        "starts_at": adjustment.span.start,
        "ends_at": adjustment.span.end,
        "bad_events": adjustment.bad_events,
        "reason": adjustment.reason,
        "state": str(adjustment.state),
        "asked_by": adjustment.asked_by,
        "asked_at": adjustment.asked_at,
        "decided_by": adjustment.decided_by,
        "decided_at": adjustment.decided_at,
        "request": request,
    }
