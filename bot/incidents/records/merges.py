"""What follows a duplicate into the incident that it is part of. Runs in its callers' transactions."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.incident import Status
from bot.incidents.records import incidents as records
from bot.incidents.records.steps import StepName, StepState
from bot.incidents.timeline import EntryKind
from bot.store.tables.incidents import actions, incident_alerts, incident_entries, incident_steps, incidents

_OF_ITSELF = frozenset({EntryKind.STATUS, EntryKind.SEVERITY, EntryKind.ROLE, EntryKind.TITLE})
"""The kinds of entry that say what became of the duplicate alone."""


async def follow(connection: AsyncConnection, id_: int, into: int) -> None:
    """Let alerts, actions and earlier duplicates belong to the other incident; copy the timeline there."""
    for column in (incident_alerts.c.incident_id, actions.c.incident_id, incidents.c.merged_into):
        moved = update(column.table).where(column == id_).values({column.name: into})
        await connection.execute(moved)
    query = select(incident_entries).where(incident_entries.c.incident_id == id_)
    rows = (await connection.execute(query.order_by(incident_entries.c.id))).all()
    entries = await records.read_entries(connection, into)
    known = {entry.mark for entry in entries}
    for row in rows:
        mark = row.mark or f"merged {id_} {row.id}"
        if EntryKind(row.kind) in _OF_ITSELF or mark in known:
            continue
        is_opening = row.kind == EntryKind.OPENED
        kind, text = (EntryKind.NOTE, f"incident {id_}: {row.text}") if is_opening else (row.kind, row.text)
        values = {
            column.name: getattr(row, column.name) for column in incident_entries.c if column.name != "id"
        }
        copied = values | {"incident_id": into, "kind": kind, "text": text, "mark": mark}
        await connection.execute(incident_entries.insert().values(copied))


async def target_of_group(connection: AsyncConnection, group: str) -> int | None:
    """Return the open incident that one of an alert group was merged into last; None if there is none."""
    target = incidents.alias("target")
    query = (
        select(target.c.id)
        .join(incidents, incidents.c.merged_into == target.c.id)
        .where(incidents.c.alert_group == group, incidents.c.status == Status.MERGED)
        .where(target.c.status.in_([status for status in Status if not status.is_over]))
    )
    return (await connection.execute(query.order_by(incidents.c.id.desc()).limit(1))).scalar_one_or_none()


async def is_hold_pending(connection: AsyncConnection, id_: int, service: str) -> bool:
    """Return whether an incident is still to place its hold on a service."""
    rows = incident_steps.c
    query = select(rows.id).where(
        rows.incident_id == id_,
        rows.name == StepName.HOLD,
        rows.subject == service,
        rows.state == StepState.PENDING,
    )
    return (await connection.execute(query.limit(1))).first() is not None
