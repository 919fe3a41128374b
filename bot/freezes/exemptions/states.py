"""How far exemptions have come: asked for, granted, declined, used, run out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.exemptions.requests import (
    DECIDED_WITHIN,
    RequestState,
    StoredExemptionRequest,
    exemption_key,
    request_of,
)
from bot.freezes.records import exemption_of
from bot.freezes.verdict import Exemption
from bot.store.tables.core import exemptions
from bot.store.tables.exemptions import exemption_requests as requests
from bot.store.value_lists import is_one_of

MOST_LISTED = 200


class ExemptionState(StrEnum):
    """How far an exemption has come."""

    PENDING = "pending"
    GRANTED = "granted"
    DECLINED = "declined"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class ExemptionRecord:
    """What somebody asked for, how far it has come, and who decided on it when with what comment."""

    asked: StoredExemptionRequest
    state: ExemptionState
    decided_by: str | None
    decided_at: datetime | None
    comment: str
    granted: Exemption | None
    used_for: str | None = None


async def read_record(connection: AsyncConnection, id_: int, now: datetime) -> ExemptionRecord | None:
    """Return what was asked for by a number; None if there is none."""
    row = (await connection.execute(select(requests).where(requests.c.id == id_))).one_or_none()
    return None if row is None else (await _records(connection, [row], now))[0]


async def read_records(
    connection: AsyncConnection, service: str | None, now: datetime
) -> Sequence[ExemptionRecord]:
    """Return what was asked for a service, for all services if None, the newest first."""
    query = select(requests).order_by(requests.c.id.desc()).limit(MOST_LISTED)
    if service is not None:
        query = query.where(requests.c.service == service)
    return await _records(connection, (await connection.execute(query)).all(), now)


async def find_open(
    connection: AsyncConnection, service: str, change: str, commit: str | None, now: datetime
) -> ExemptionRecord | None:
    """Return what was asked for the same change and was granted and is not used, else what still waits.

    What was asked for another commit is not the same, nor for one where `commit` is None.
    """
    query = select(requests).where(
        and_(requests.c.service == service, requests.c.state != RequestState.DECLINED)
    )
    rows = (await connection.execute(query.order_by(requests.c.id.desc()).limit(MOST_LISTED))).all()
    same = [row for row in rows if request_of(row).asks_for(change, commit)]
    found = await _records(connection, same, now)
    going_on = (ExemptionState.GRANTED, ExemptionState.PENDING)
    return next((record for state in going_on for record in found if record.state is state), None)


async def _records(
    connection: AsyncConnection, rows: Sequence[Row[Any]], now: datetime
) -> Sequence[ExemptionRecord]:
    keys = [exemption_key(row.id) for row in rows if row.state == RequestState.GRANTED]
    granted: dict[str, Row[Any]] = {}
    if keys:
        found = await connection.execute(select(exemptions).where(is_one_of(exemptions.c.request, keys)))
        granted = {row.request: row for row in found}
    return [_record(row, granted.get(exemption_key(row.id)), now) for row in rows]


def _record(row: Row[Any], granted: Row[Any] | None, now: datetime) -> ExemptionRecord:
    exemption = exemption_of(granted) if granted is not None else None
    return ExemptionRecord(
        request_of(row),
        _state(row, exemption, now),
        row.decided_by,
        row.decided_at,
        row.comment or "",
        exemption,
        granted.used_for if granted is not None else None,
    )


def _state(row: Row[Any], exemption: Exemption | None, now: datetime) -> ExemptionState:
    if row.state == RequestState.DECLINED:
        return ExemptionState.DECLINED
    if row.state == RequestState.PENDING:
        is_over = row.asked_at <= now - DECIDED_WITHIN or (row.until is not None and row.until <= now)
        return ExemptionState.EXPIRED if is_over else ExemptionState.PENDING
    if exemption is None:
        return ExemptionState.EXPIRED
    if exemption.is_used(now):
        return ExemptionState.USED
    return ExemptionState.GRANTED if exemption.is_valid(now) else ExemptionState.EXPIRED
