"""Reads holds, exemptions and freeze states from the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.decision import FreezeState
from bot.freezes.hold import Hold, HoldEnd, HoldKind, holds_in_force
from bot.freezes.verdict import Exemption
from bot.store.tables.core import exemptions as exemption_rows
from bot.store.tables.core import holds as hold_rows
from bot.store.tables.core import standings as freeze_state_rows
from bot.store.value_lists import is_one_of


async def read_holds(connection: AsyncConnection, service: str | None = None) -> Sequence[Hold]:
    """Return the holds that nobody lifted, whether or not their time has run out."""
    query = select(hold_rows).where(hold_rows.c.lifted_at.is_(None)).order_by(hold_rows.c.id)
    if service is not None:
        query = query.where(hold_rows.c.service == service)
    return [hold_of(row) for row in await connection.execute(query)]


async def holds_at(connection: AsyncConnection, service: str, at: datetime) -> Sequence[Hold]:
    """Return the holds on the service at a time, whether or not they were lifted since."""
    columns = hold_rows.c
    query = select(hold_rows).where(
        columns.service == service,
        columns.since <= at,
        or_(columns.lifted_at.is_(None), columns.lifted_at > at),
    )
    rows = await connection.execute(query.order_by(columns.id))
    return holds_in_force([hold_of(row) for row in rows], at)


async def read_end(connection: AsyncConnection, hold_id: int) -> HoldEnd | None:
    """Return how a hold ended; None for one that has not, or is not kept any more."""
    columns = hold_rows.c
    query = select(columns.lifted_at, columns.lifted_by, columns.lift_reason)
    row = (await connection.execute(query.where(columns.id == hold_id))).one_or_none()
    return HoldEnd(row.lifted_at, row.lifted_by, row.lift_reason) if row and row.lifted_at else None


async def read_exemptions(
    connection: AsyncConnection, service: str | None, at: datetime
) -> Sequence[Exemption]:
    """Return the exemptions that had not run out at a time, also those granted since; of all for None."""
    valid = or_(exemption_rows.c.until.is_(None), exemption_rows.c.until > at)
    query = select(exemption_rows).where(valid)
    if service is not None:
        query = query.where(exemption_rows.c.service == service)
    rows = await connection.execute(query.order_by(exemption_rows.c.id))
    return [exemption_of(row) for row in rows]


def exemption_of(row: Row[Any]) -> Exemption:
    """Return the exemption in a row of `exemptions`."""
    return Exemption(
        row.service,
        row.change,
        row.reason,
        row.by,
        row.since,
        row.until,
        row.commit,
        row.id,
        row.claimed_at,
        row.used_at,
    )


async def read_freeze_states(
    connection: AsyncConnection, services: Collection[str]
) -> dict[str, FreezeState]:
    """Return the services' freeze states; those never judged are missing."""
    query = select(freeze_state_rows).where(is_one_of(freeze_state_rows.c.service, services))
    return {
        row.service: FreezeState(_level(row.warned), row.recovered_since, row.kept_at, frozenset(row.alerts))
        for row in await connection.execute(query)
    }


def _level(stored: float | None) -> Decimal | None:
    # The shortest text of a binary fraction is the level that the policy writes.
    return None if stored is None else Decimal(repr(stored))


def hold_of(row: Row[Any]) -> Hold:
    """Return the hold in a row of `holds`."""
    return Hold(
        row.id,
        row.service,
        HoldKind(row.kind),
        row.reason,
        row.by,
        row.since,
        row.until,
        row.slo,
        row.observed,
    )
