"""Exemptions are used once: by the deployment of their change, or an hour after a machine was let through."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.hold import GOVERNOR
from bot.freezes.records import exemption_of
from bot.freezes.verdict import Change, Exemption, Verdict
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import exemptions as rows


class ExemptionUses:
    """Records that exemptions are claimed and used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, verdict: Verdict, by: str, now: datetime) -> None:
        """Note that a machine was let through by the verdict's exemption, if it was for the first time."""
        granted = verdict.granted
        if granted is None or granted.id is None or granted.claimed_at is not None:
            return
        unclaimed = (rows.c.id == granted.id) & rows.c.claimed_at.is_(None) & rows.c.used_at.is_(None)
        async with self._database.transaction() as connection:
            claimed = await connection.execute(update(rows).where(unclaimed).values(claimed_at=now))
            if claimed.rowcount:
                await audit.record(connection, _entry("exemption.claimed", granted, by, ""), now)

    async def use(
        self,
        connection: AsyncConnection,
        service: Service,
        change: Change,
        is_called: Callable[[str], bool],
        *,
        used_for: str,
        at: datetime,
        now: datetime,
    ) -> None:
        """Use up what let the change ship at a time; `is_called` knows the names of the change."""
        unused = (rows.c.service == service.name) & rows.c.used_at.is_(None) & (rows.c.since <= at)
        found = await connection.execute(select(rows).where(unused).order_by(rows.c.id))
        for exemption in map(exemption_of, found.all()):
            has_run_out = exemption.until is not None and exemption.until <= at
            if has_run_out or not is_called(exemption.change) or not exemption.is_of_commit(change):
                continue
            mine = (rows.c.id == exemption.id) & rows.c.used_at.is_(None)
            used = await connection.execute(
                update(rows).where(mine).values(used_at=now, used_for=used_for[:200])
            )
            if used.rowcount:
                await audit.record(
                    connection, _entry("exemption.used", exemption, GOVERNOR, f"shipped as {used_for}"), now
                )


def _entry(action: str, exemption: Exemption, by: str, reason: str) -> audit.AuditEntry:
    return audit.AuditEntry(
        by,
        action,
        exemption.change[:200],
        reason,
        exemption.service,
        after={"exemption": exemption.id, "change": exemption.change, "commit": exemption.commit},
    )
