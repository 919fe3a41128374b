"""Incidents as rows, and their timelines. Runs in its callers' transactions."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.downtime import Impact
from bot.incidents.incident import (
    COUNTED,
    OPEN,
    CauseClass,
    Incident,
    Role,
    Severity,
    Status,
    UnknownIncidentError,
)
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store.tables.incidents import (
    incident_entries,
    incident_impacts,
    incident_roles,
    incident_services,
    incidents,
)
from bot.texts import clean

_COLUMNS = frozenset(column.name for column in incidents.c)
_FIELDS = tuple(field.name for field in fields(Incident) if field.name in _COLUMNS)


async def read(connection: AsyncConnection, id_: int, *, lock: bool = False) -> Incident:
    """Return one incident, with `lock` for update; raises `UnknownIncidentError`."""
    query = select(incidents).where(incidents.c.id == id_)
    rows = await _read(connection, query.with_for_update() if lock else query)
    if not rows:
        raise UnknownIncidentError(id_)
    return rows[0]


async def read_by_key(connection: AsyncConnection, key: str) -> Incident | None:
    """Return the incident that was opened by this key."""
    return next(iter(await _read(connection, select(incidents).where(incidents.c.key == key))), None)


async def read_many(
    connection: AsyncConnection,
    *,
    unresolved: bool = False,
    service: str | None = None,
    since: datetime | None = None,
    private: bool | None = None,
    without: Collection[int] = (),
    limit: int | None = None,
) -> Sequence[Incident]:
    """Return incidents, newest first: all, or those unresolved, of one service, opened since a time, private.

    Those of the numbers in `without` are left out.
    """
    query = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if unresolved:
        query = query.where(incidents.c.status.in_(OPEN))
    if service is not None:
        of_service = select(incident_services.c.incident_id).where(incident_services.c.service == service)
        query = query.where(incidents.c.id.in_(of_service))
    if since is not None:
        query = query.where(incidents.c.opened_at >= since)
    if private is not None:
        query = query.where(incidents.c.private.is_(private))
    if without:
        query = query.where(incidents.c.id.not_in(without))
    return await _read(connection, query)


async def add(connection: AsyncConnection, incident: Incident) -> None:
    """Insert the services and impacts of a new incident whose own row exists."""
    await _write_services(connection, incident)
    await _write_impacts(connection, incident)


def row_of(incident: Incident) -> dict[str, Any]:
    """Return the values of the incident's own row."""
    return {name: getattr(incident, name) for name in _FIELDS if name != "id"} | {
        "document": dict(incident.document),
        "former_titles": list(incident.former_titles),
    }


async def write(connection: AsyncConnection, before: Incident, after: Incident, now: datetime) -> None:
    """Write what changed between the two."""
    values = row_of(after) | {"updated_at": now}
    await connection.execute(update(incidents).where(incidents.c.id == after.id).values(values))
    if before.services != after.services:
        await connection.execute(delete(incident_services).where(incident_services.c.incident_id == after.id))
        await _write_services(connection, after)
    if before.impacts != after.impacts:
        await connection.execute(delete(incident_impacts).where(incident_impacts.c.incident_id == after.id))
        await _write_impacts(connection, after)
    if before.roles != after.roles:
        await connection.execute(delete(incident_roles).where(incident_roles.c.incident_id == after.id))
        rows = [
            {"incident_id": after.id, "role": role, "person": person} for role, person in after.roles.items()
        ]
        if rows:
            await connection.execute(insert(incident_roles), rows)


async def read_impacts(
    connection: AsyncConnection, service: str, since: datetime, until: datetime
) -> Sequence[Impact]:
    """Return the impacts on a service, of all incidents that count, that lie at least partly in the time."""
    impacts, services = incident_impacts, incident_services
    counted = select(incidents.c.id).where(incidents.c.status.in_(COUNTED))
    query = (
        select(impacts)
        .join(services, services.c.incident_id == impacts.c.incident_id)
        .where(services.c.service == service, impacts.c.start < until)
        .where(impacts.c.incident_id.in_(counted))
        .where((impacts.c.end.is_(None)) | (impacts.c.end > since))
        .where((impacts.c.service.is_(None)) | (impacts.c.service == service))
    )
    return [_impact(row) for row in await connection.execute(query)]


async def add_entry(connection: AsyncConnection, id_: int, entry: TimelineEntry) -> None:
    """Add an entry to the timeline; the caller has checked that its mark is new."""
    await add_entries(connection, id_, [entry])


async def add_entries(connection: AsyncConnection, id_: int, entries: Sequence[TimelineEntry]) -> None:
    """Add entries whose marks are new to the timeline."""
    values = [
        {
            "incident_id": id_,
            "at": entry.at,
            "kind": entry.kind,
            "text": clean(entry.text),
            "by": entry.by,
            "mark": entry.mark,
            "url": entry.url,
        }
        for entry in entries
    ]
    if values:
        await connection.execute(insert(incident_entries), values)


async def has_mark(connection: AsyncConnection, id_: int, mark: str) -> bool:
    """Return whether the timeline has an entry with this mark."""
    query = select(incident_entries.c.id).where(
        incident_entries.c.incident_id == id_, incident_entries.c.mark == mark
    )
    return (await connection.execute(query)).first() is not None


async def remove_entry(connection: AsyncConnection, id_: int, mark: str) -> bool:
    """Remove the entry with this mark from the timeline; return whether there was one."""
    deleted = await connection.execute(
        delete(incident_entries).where(incident_entries.c.incident_id == id_, incident_entries.c.mark == mark)
    )
    return deleted.rowcount > 0


async def read_entries(connection: AsyncConnection, id_: int) -> Sequence[TimelineEntry]:
    """Return the stored entries of the timeline, in order of time."""
    query = select(incident_entries).where(incident_entries.c.incident_id == id_)
    rows = await connection.execute(query.order_by(incident_entries.c.at, incident_entries.c.id))
    return [TimelineEntry(row.at, EntryKind(row.kind), row.text, row.by, row.mark, row.url) for row in rows]


async def last_changed(connection: AsyncConnection, id_: int) -> datetime:
    """Return when somebody last wrote or changed something."""
    query = select(incidents.c.updated_at).where(incidents.c.id == id_)
    changed: datetime = (await connection.execute(query)).scalar_one()
    return changed


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[Incident]:
    rows = (await connection.execute(query)).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    services, impacts, roles = incident_services, incident_impacts, incident_roles
    service_rows = await _by_incident(connection, _of(services, ids).order_by(services.c.position))
    impact_rows = await _by_incident(connection, _of(impacts, ids).order_by(impacts.c.start, impacts.c.id))
    role_rows = await _by_incident(connection, _of(roles, ids))
    return [
        _incident(
            row,
            tuple(service.service for service in service_rows[row.id]),
            tuple(_impact(impact) for impact in impact_rows[row.id]),
            {Role(role.role): role.person for role in role_rows[row.id]},
        )
        for row in rows
    ]


def _of(table: Any, ids: Sequence[int]) -> Select[Any]:
    return select(table).where(table.c.incident_id.in_(ids))


async def _by_incident(connection: AsyncConnection, query: Select[Any]) -> Mapping[int, list[Row[Any]]]:
    rows: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in await connection.execute(query):
        rows[row.incident_id].append(row)
    return rows


def _incident(
    row: Row[Any], services: tuple[str, ...], impacts: tuple[Impact, ...], roles: Mapping[Role, str]
) -> Incident:
    values = {name: getattr(row, name) for name in _FIELDS}
    values |= {
        "severity": Severity(row.severity),
        "status": Status(row.status),
        "cause": None if row.cause is None else CauseClass(row.cause),
        "former_titles": tuple(row.former_titles or ()),
    }
    return Incident(**values, services=services, impacts=impacts, roles=roles)


def _impact(row: Row[Any]) -> Impact:
    return Impact(row.start, row.end, row.share, row.service, row.assumed)


async def _write_services(connection: AsyncConnection, incident: Incident) -> None:
    rows = [
        {"incident_id": incident.id, "service": service, "position": position}
        for position, service in enumerate(incident.services)
    ]
    if rows:
        await connection.execute(insert(incident_services), rows)


async def _write_impacts(connection: AsyncConnection, incident: Incident) -> None:
    rows = [_impact_row(incident.id, impact) for impact in incident.impacts]
    if rows:
        await connection.execute(insert(incident_impacts), rows)


def _impact_row(id_: int, impact: Impact) -> dict[str, Any]:
    values = {field.name: getattr(impact, field.name) for field in fields(Impact)}
    return {"incident_id": id_, **values}
