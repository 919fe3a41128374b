"""Reads what is exempt on services and what waits for it, with what was said when it was approved."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.freezes.exemptions.requests import StoredExemptionRequest, exemption_key, pending_of
from bot.freezes.records import exemption_of
from bot.freezes.verdict import Exemption
from bot.store.tables.core import exemptions
from bot.store.tables.exemptions import exemption_requests as requests
from bot.store.value_lists import is_one_of


@dataclass(frozen=True, slots=True)
class ListedExemption:
    """An exemption, and who asked for it and what was said to that, where somebody did."""

    exemption: Exemption
    asked_by: str | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ExemptionListing:
    """What is exempt on a service, and what waits for approval, oldest first."""

    granted: Sequence[ListedExemption] = field(default=())
    waiting: Sequence[StoredExemptionRequest] = field(default=())


async def read_listing(
    connection: AsyncConnection, services: Collection[str], now: datetime
) -> Mapping[str, ExemptionListing]:
    """Return the listing of each of the services that has something to list."""
    valid = or_(exemptions.c.until.is_(None), exemptions.c.until > now)
    query = (
        select(exemptions).where(is_one_of(exemptions.c.service, services), valid).order_by(exemptions.c.id)
    )
    rows = [row for row in await connection.execute(query) if not exemption_of(row).is_used(now)]
    keys = {row.request for row in rows if row.request}
    answered: dict[str, tuple[str, str | None]] = {}
    asked = select(requests).where(
        is_one_of(requests.c.service, services), requests.c.decided_at.is_not(None)
    )
    for row in await connection.execute(asked):
        if exemption_key(row.id) in keys:
            answered[exemption_key(row.id)] = (row.by, row.comment)
    granted: dict[str, list[ListedExemption]] = defaultdict(list)
    for row in rows:
        exemption = exemption_of(row)
        asked_by, comment = answered.get(row.request, (None, None))
        listed = ListedExemption(exemption, asked_by, comment or "")
        granted[row.service].append(listed)
    waiting: dict[str, list[StoredExemptionRequest]] = defaultdict(list)
    for one in await pending_of(connection, services, now):
        waiting[one.service].append(one)
    names = {*granted, *waiting}
    return {name: ExemptionListing(granted[name], waiting[name]) for name in sorted(names)}
