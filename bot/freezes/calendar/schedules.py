"""Freeze windows that people planned, as rows: read together with those of the policies.

A window of the policies is found by its document's name, one that somebody planned by `#` and its number,
which no document can have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.selection import ServiceSelection
from bot.store.tables.freeze_schedules import freeze_schedules

_COLUMNS = freeze_schedules.c


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """A window as somebody planned it: for a selection of the services of one Slack workspace."""

    id: int
    team: str | None
    selection: ServiceSelection
    start: datetime
    time_zone: str
    duration: timedelta
    rule: str | None
    reason: str
    by: str

    @property
    def name(self) -> str:
        """The name by which it is found."""
        return f"#{self.id}"

    def window(self, catalog: Catalog) -> FreezeWindow:
        """Return it as a window for the services that it means now."""
        services = catalog.seen_from(self.team).services
        names = tuple(name for name in self.selection.of(services) if name in services)
        return FreezeWindow(
            self.name, self.start, self.time_zone, self.duration, self.reason, names, self.rule
        )

    def described(self) -> dict[str, Any]:
        """Return what the audit log keeps of it."""
        return {
            "services": list(self.selection.services),
            "labels": dict(self.selection.labels),
            "start": f"{self.start:%Y-%m-%dT%H:%M}",
            "timeZone": self.time_zone,
            "minutes": round(self.duration.total_seconds() / 60),
            "rrule": self.rule,
            "reason": self.reason,
        }


async def read_planned(connection: AsyncConnection) -> list[PlannedWindow]:
    """Return the windows that people planned and nobody removed, oldest first."""
    query = select(freeze_schedules).where(_COLUMNS.removed_at.is_(None)).order_by(_COLUMNS.id)
    return [_planned(row) for row in await connection.execute(query)]


async def read_windows(connection: AsyncConnection, catalog: Catalog) -> Mapping[str, FreezeWindow]:
    """Return all windows by name: of the policies, and those that people planned."""
    planned = {each.name: each.window(catalog) for each in await read_planned(connection)}
    return {**catalog.freeze_windows, **planned}


def _planned(row: Row[Any]) -> PlannedWindow:
    return PlannedWindow(
        row.id,
        row.team,
        ServiceSelection(tuple(row.services), dict(row.labels)),
        datetime.fromisoformat(row.start),
        row.time_zone,
        timedelta(minutes=row.minutes),
        row.rule,
        row.reason,
        row.by,
    )
