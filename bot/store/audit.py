"""The audit log: who changed what, from what to what, why. Rows are only ever added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Column, String, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.audit_chain import append
from bot.store.tables.core import audit
from bot.store.value_lists import begins_with

PAGE = 200
"""How many rows a page of the log has by default."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `actor` is a Slack user id, `governor` or an API token's name.

    `action` is dotted (`service.frozen`), `subject` what it was done to, `service` the service it
    concerns, if one. `before` and `after` are JSON objects or None.
    """

    actor: str
    action: str
    subject: str
    reason: str
    service: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A stored entry: with its id, its time and its hash in the chain."""

    id: int
    at: datetime
    entry: AuditEntry
    hash: str | None = None


async def record(connection: AsyncConnection, entry: AuditEntry, now: datetime) -> None:
    """Append the entry to the log within the caller's transaction.

    From here to the end of the transaction no other writer can append, so do slow work before. A subject or
    an actor that is longer than its column is cut: PostgreSQL would refuse the row, and with it what it tells
    of.
    """
    values = {
        "actor": _cut(audit.c.actor, entry.actor),
        "action": entry.action,
        "service": entry.service,
        "subject": _cut(audit.c.subject, entry.subject),
        "reason": entry.reason,
        "before": None if entry.before is None else dict(entry.before),
        "after": None if entry.after is None else dict(entry.after),
    }
    await append(connection, now, values)


def _cut(column: Column[str], text: str) -> str:
    """Return a text that the column takes."""
    length = cast("String", column.type).length or len(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


async def read(
    connection: AsyncConnection,
    *,
    since: datetime | None = None,
    service: str | None = None,
    actor: str | None = None,
    flag: str | None = None,
    after_id: int = 0,
    newest: bool = False,
    before_id: int | None = None,
    limit: int = PAGE,
) -> Sequence[AuditRow]:
    """Return at most `limit` rows between `after_id` and `before_id`, both left out.

    They are the first ones, oldest first; if `newest`, the last ones, newest first.
    """
    query = select(audit).where(audit.c.id > after_id).limit(limit)
    query = query.order_by(audit.c.id.desc() if newest else audit.c.id)
    if before_id is not None:
        query = query.where(audit.c.id < before_id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if service is not None:
        query = query.where(audit.c.service == service)
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if flag is not None:
        # Changes of a flag have the subject `FLAG in ENVIRONMENT`.
        query = query.where(begins_with(audit.c.subject, f"{flag} in "))
    return [
        AuditRow(
            row.id,
            row.at,
            AuditEntry(row.actor, row.action, row.subject, row.reason, row.service, row.before, row.after),
            row.hash,
        )
        for row in await connection.execute(query)
    ]
