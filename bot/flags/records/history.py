"""The audit rows and the pending reverts of one flag."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.flags.flag import subject
from bot.flags.records.reverts import PendingRevert, RevertKind, open_reverts
from bot.store.audit import AuditEntry, AuditRow
from bot.store.tables.core import audit as rows

MOST_HISTORY = 300
CHANGES = ("flag.changed", "flag.drifted")
"""The actions of the audit rows that stand for a change of the flag."""


async def history(
    connection: AsyncConnection,
    flag: str,
    environment: str,
    *,
    limit: int = MOST_HISTORY,
    actions: Collection[str] = (),
) -> Sequence[AuditRow]:
    """Return the audit log's last rows on the flag, the newest first; only those of `actions` if given."""
    query = select(rows).where(rows.c.subject == subject(flag, environment)).order_by(rows.c.id.desc())
    if actions:
        query = query.where(rows.c.action.in_(actions))
    return [
        AuditRow(
            row.id,
            row.at,
            AuditEntry(row.actor, row.action, row.subject, row.reason, row.service, row.before, row.after),
        )
        for row in await connection.execute(query.limit(limit))
    ]


async def reverts_on(connection: AsyncConnection, flag: str, environment: str) -> Sequence[PendingRevert]:
    """Return the pending reverts of the flag."""
    pending = [revert for kind in RevertKind for revert in await open_reverts(connection, kind)]
    return [
        revert for revert in pending if (revert.state.flag, revert.state.environment) == (flag, environment)
    ]
