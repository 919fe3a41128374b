"""Which firings of alerts belong to which incident, as rows. Runs in its callers' transactions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.alert import Alert, Firing
from bot.incidents.incident import OPEN
from bot.store.tables.incidents import incident_alerts, incidents

_AT_ONCE = 400
"""How many values a statement has at most: SQLite takes 999 in its oldest builds, two lists of them here."""


async def read_known(connection: AsyncConnection, alerts: Sequence[Alert]) -> Sequence[Firing]:
    """Return the firings that the alerts may be about: those told before, and others that still fire."""
    rows = incident_alerts.c
    known: list[Firing] = []
    for start in range(0, len(alerts), _AT_ONCE):
        part = alerts[start : start + _AT_ONCE]
        query = select(incident_alerts).where(
            rows.fingerprint.in_({alert.fingerprint for alert in part}),
            or_(rows.ended_at.is_(None), rows.started_at.in_({alert.started_at for alert in part})),
        )
        known += [_firing(row) for row in await connection.execute(query)]
    return list(dict.fromkeys(known))


async def read_all(connection: AsyncConnection, incident_id: int) -> Sequence[Firing]:
    """Return the firings of an incident."""
    query = select(incident_alerts).where(incident_alerts.c.incident_id == incident_id)
    return [_firing(row) for row in await connection.execute(query)]


async def open_incident_of(connection: AsyncConnection, group: str) -> int | None:
    """Return the number of the group's incident that is open; None if there is none."""
    unresolved = select(incidents.c.id).where(incidents.c.alert_group == group, incidents.c.status.in_(OPEN))
    return (await connection.execute(unresolved.order_by(incidents.c.id).limit(1))).scalar_one_or_none()


async def add(connection: AsyncConnection, incident_id: int, alerts: Iterable[Alert]) -> None:
    """Insert firings, none of which is known."""
    rows = [
        {
            "fingerprint": alert.fingerprint,
            "started_at": alert.started_at,
            "incident_id": incident_id,
            "name": alert.name,
            "summary": alert.summary,
        }
        for alert in alerts
    ]
    if rows:
        await connection.execute(insert(incident_alerts), rows)


async def set_end(connection: AsyncConnection, firing: Firing, ended_at: datetime) -> None:
    """Store when a firing ended."""
    await _change(connection, firing, ended_at=ended_at)


async def fire_again(connection: AsyncConnection, firing: Firing, incident_id: int) -> None:
    """Store that a firing is not over; it belongs to this incident from now on."""
    await _change(connection, firing, ended_at=None, incident_id=incident_id)


async def _change(connection: AsyncConnection, firing: Firing, **values: object) -> None:
    rows = incident_alerts.c
    this = (rows.fingerprint == firing.fingerprint, rows.started_at == firing.started_at)
    await connection.execute(update(incident_alerts).where(*this).values(values))


def _firing(row: Row[Any]) -> Firing:
    return Firing(row.fingerprint, row.started_at, row.incident_id, row.ended_at, row.name, row.summary)
